import { Button, Group, Select, Stack, Table, Text, Textarea, TextInput } from '@mantine/core';
import { useMutation, useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';
import { api, data, type Schema } from '../api/client';
import { queryClient, session } from '../api/queries';
import { when } from '../ui/format';
import { Card, Empty, Fault, Loaded, Screen, State } from '../ui/parts';

type Kind = Schema['StopKind'];

/** What is stopped at once, and for whom somebody broke the glass. */
export function Emergency() {
  const { t } = useTranslation();
  const { data: signedIn } = useQuery(session);
  const roles = signedIn?.user.roles ?? [];
  const may = roles.includes('operator') || roles.includes('policy-approver');
  return (
    <Screen title={t('nav.emergency')} note={t('emergency.note')}>
      {!may && <Text c="dimmed">{t('emergency.stopperOnly')}</Text>}
      <Stops may={may} />
      <Glass may={may} me={signedIn?.user.id ?? ''} />
    </Screen>
  );
}

function Stops({ may }: { may: boolean }) {
  const { t, i18n } = useTranslation();
  const query = useQuery({
    queryKey: ['stops'],
    queryFn: () => data(api.GET('/api/v1/stops')),
    refetchInterval: 5_000,
  });
  const [kind, setKind] = useState<Kind>('model');
  const [name, setName] = useState('');
  const [reason, setReason] = useState('');
  const changed = () => queryClient.invalidateQueries({ queryKey: ['stops'] });
  const stop = useMutation({
    mutationFn: () => data(api.POST('/api/v1/stops', { body: { kind, name, reason } })),
    onSuccess: async () => {
      setName('');
      setReason('');
      await changed();
    },
  });
  const goOn = useMutation({
    mutationFn: (path: { kind: Kind; name: string }) =>
      data(api.DELETE('/api/v1/stops/{kind}/{name}', { params: { path } })),
    onSuccess: changed,
  });
  return (
    <Card title={t('stops.title')}>
      <Stack>
        <form
          onSubmit={(event) => {
            event.preventDefault();
            stop.mutate();
          }}
        >
          <Group align="flex-end">
            <Select
              label={t('field.kind')}
              data={(['model', 'region'] as const).map((value) => ({
                value,
                label: t(`field.${value}`),
              }))}
              value={kind}
              onChange={(value) => setKind((value ?? 'model') as Kind)}
              allowDeselect={false}
              w={140}
            />
            <TextInput
              label={t('field.name')}
              value={name}
              onChange={(event) => setName(event.currentTarget.value)}
              required
            />
            <TextInput
              label={t('field.reason')}
              value={reason}
              onChange={(event) => setReason(event.currentTarget.value)}
              required
            />
            <Button type="submit" color="red" disabled={!may} loading={stop.isPending}>
              {t('stops.stop')}
            </Button>
          </Group>
        </form>
        {stop.isError && <Fault error={stop.error} />}
        {goOn.isError && <Fault error={goOn.error} />}
        <Loaded query={query}>
          {(list) =>
            list.items.length === 0 ? (
              <Text c="dimmed">{t('stops.none')}</Text>
            ) : (
              <Table>
                <Table.Tbody>
                  {list.items.map((one) => (
                    <Table.Tr key={`${one.kind}/${one.name}`}>
                      <Table.Th scope="row">
                        {t(`field.${one.kind}`)} {one.name}
                      </Table.Th>
                      <Table.Td>{one.reason}</Table.Td>
                      <Table.Td>
                        {one.by}, {when(one.at, i18n.language)}
                      </Table.Td>
                      <Table.Td>
                        <Button
                          size="compact-sm"
                          variant="default"
                          disabled={!may}
                          onClick={() => goOn.mutate({ kind: one.kind, name: one.name })}
                        >
                          {t('stops.goOn')}
                        </Button>
                      </Table.Td>
                    </Table.Tr>
                  ))}
                </Table.Tbody>
              </Table>
            )
          }
        </Loaded>
      </Stack>
    </Card>
  );
}

function Glass({ may, me }: { may: boolean; me: string }) {
  const { t, i18n } = useTranslation();
  const query = useQuery({
    queryKey: ['emergencies'],
    queryFn: () => data(api.GET('/api/v1/emergencies')),
  });
  const [tenant, setTenant] = useState('');
  const [reason, setReason] = useState('');
  const [minutes, setMinutes] = useState('30');
  const changed = () => queryClient.invalidateQueries({ queryKey: ['emergencies'] });
  const open = useMutation({
    mutationFn: () =>
      data(
        api.POST('/api/v1/tenants/{id}/emergencies', {
          params: { path: { id: tenant } },
          body: { reason, minutes: Number(minutes) },
        }),
      ),
    onSuccess: async () => {
      setReason('');
      await changed();
    },
  });
  const review = useMutation({
    mutationFn: ({ id, findings }: { id: string; findings: string }) =>
      data(
        api.POST('/api/v1/emergencies/{id}/review', {
          params: { path: { id } },
          body: { findings },
        }),
      ),
    onSuccess: changed,
  });
  return (
    <Card title={t('emergency.glass')}>
      <Stack>
        <Text c="dimmed">{t('emergency.glassNote')}</Text>
        <form
          onSubmit={(event) => {
            event.preventDefault();
            open.mutate();
          }}
        >
          <Group align="flex-end">
            <TextInput
              label={t('field.tenant')}
              value={tenant}
              onChange={(event) => setTenant(event.currentTarget.value)}
              required
            />
            <TextInput
              label={t('emergency.minutes')}
              type="number"
              min={1}
              max={240}
              value={minutes}
              onChange={(event) => setMinutes(event.currentTarget.value)}
              required
              w={110}
            />
            <TextInput
              label={t('emergency.why')}
              value={reason}
              onChange={(event) => setReason(event.currentTarget.value)}
              required
            />
            <Button type="submit" color="red" disabled={!may} loading={open.isPending}>
              {t('emergency.break')}
            </Button>
          </Group>
        </form>
        {open.isError && <Fault error={open.error} />}
        {review.isError && <Fault error={review.error} />}
        <Loaded query={query}>
          {(list) =>
            list.items.length === 0 ? (
              <Empty>{t('emergency.none')}</Empty>
            ) : (
              <Stack>
                {list.items.map((one) => (
                  <Stack key={one.id} gap={4}>
                    <Group gap="sm">
                      <State value={one.open ? 'pending' : 'verified'} />
                      <Text fw={600}>{one.tenant}</Text>
                      <Text>{one.reason}</Text>
                      <Text c="dimmed">
                        {one.by}, {when(one.at, i18n.language)} – {when(one.until, i18n.language)}
                      </Text>
                    </Group>
                    {one.open ? (
                      <Findings
                        closed={
                          one.by === me ? t('emergency.own') : !may && t('emergency.stopperOnly')
                        }
                        send={(findings) => review.mutate({ id: one.id, findings })}
                      />
                    ) : (
                      <Text size="sm">
                        {one.reviewed_by}: {one.findings}
                      </Text>
                    )}
                  </Stack>
                ))}
              </Stack>
            )
          }
        </Loaded>
      </Stack>
    </Card>
  );
}

function Findings(props: { closed: string | false; send: (findings: string) => void }) {
  const { t } = useTranslation();
  const [findings, setFindings] = useState('');
  return (
    <Group align="flex-end">
      <Textarea
        label={t('emergency.findings')}
        value={findings}
        onChange={(event) => setFindings(event.currentTarget.value)}
        disabled={props.closed !== false}
        description={props.closed || undefined}
        w={360}
      />
      <Button
        variant="default"
        disabled={props.closed !== false || findings.trim() === ''}
        onClick={() => props.send(findings)}
      >
        {t('emergency.review')}
      </Button>
    </Group>
  );
}

import {
  Anchor,
  Button,
  Group,
  NumberInput,
  Select,
  Stack,
  Table,
  Text,
  TextInput,
} from '@mantine/core';
import { useMutation, useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';
import { api, data, type Schema } from '../api/client';
import { queryClient, session, tenants } from '../api/queries';
import { count, when } from '../ui/format';
import { Card, Fault, Loaded, Screen, State } from '../ui/parts';

/** How long what is kept, what must not be deleted, and who was erased. */
export function Keeping() {
  const { t } = useTranslation();
  const { data: signedIn } = useQuery(session);
  const may = signedIn?.user.roles.includes('operator') ?? false;
  return (
    <Screen title={t('nav.keeping')} note={t('keeping.note')}>
      {!may && <Text c="dimmed">{t('keeping.operatorOnly')}</Text>}
      <Retention may={may} />
      <Erasures may={may} />
      <Holds may={may} />
    </Screen>
  );
}

function Retention({ may }: { may: boolean }) {
  const { t, i18n } = useTranslation();
  const query = useQuery({
    queryKey: ['retention'],
    queryFn: () => data(api.GET('/api/v1/retention')),
  });
  const run = useMutation({
    mutationFn: () => data(api.POST('/api/v1/retention/run')),
    onSuccess: (now) => queryClient.setQueryData(['retention'], now),
  });
  return (
    <Card title={t('retention.title')}>
      <Stack>
        <Loaded query={query}>
          {(list) => (
            <>
              <Table.ScrollContainer minWidth={760}>
                <Table>
                  <Table.Thead>
                    <Table.Tr>
                      <Table.Th>{t('retention.category')}</Table.Th>
                      <Table.Th>{t('retention.days')}</Table.Th>
                      <Table.Th ta="right">{t('retention.kept')}</Table.Th>
                      <Table.Th ta="right">{t('retention.held')}</Table.Th>
                      <Table.Th ta="right">{t('retention.waiting')}</Table.Th>
                      <Table.Th ta="right">{t('retention.soon')}</Table.Th>
                      <Table.Th>{t('retention.next')}</Table.Th>
                    </Table.Tr>
                  </Table.Thead>
                  <Table.Tbody>
                    {list.items.map((one) => (
                      <Rule key={one.category} rule={one} may={may} />
                    ))}
                  </Table.Tbody>
                </Table>
              </Table.ScrollContainer>
              <Group justify="space-between">
                <Text size="sm" c="dimmed">
                  {list.reported_at
                    ? t('retention.reported', { at: when(list.reported_at, i18n.language) })
                    : t('retention.never')}
                </Text>
                <Button
                  variant="default"
                  disabled={!may}
                  loading={run.isPending}
                  onClick={() => run.mutate()}
                >
                  {t('retention.run')}
                </Button>
              </Group>
            </>
          )}
        </Loaded>
        {run.isError && <Fault error={run.error} />}
      </Stack>
    </Card>
  );
}

function Rule({ rule, may }: { rule: Schema['RetentionView']; may: boolean }) {
  const { t, i18n } = useTranslation();
  const [floor, setFloor] = useState<number | string>(rule.floor_days);
  const [ceiling, setCeiling] = useState<number | string>(rule.ceiling_days ?? '');
  const set = useMutation({
    mutationFn: () =>
      data(
        api.PUT('/api/v1/retention/{category}', {
          params: { path: { category: rule.category } },
          body: {
            floor_days: Number(floor),
            ceiling_days: ceiling === '' ? null : Number(ceiling),
          },
        }),
      ),
    onSuccess: (now) => queryClient.setQueryData(['retention'], now),
  });
  const { report } = rule;
  const number = (value: number | undefined) =>
    value === undefined ? '–' : count(value, i18n.language);
  const changed = Number(floor) !== rule.floor_days || ceiling !== (rule.ceiling_days ?? '');
  const label = t(`retention.of.${rule.category}` as 'retention.of.calls');
  return (
    <Table.Tr>
      <Table.Th scope="row">
        {label}
        <Text size="xs" c="dimmed">
          {t('retention.least', { days: rule.least_days, because: rule.least_because })}
        </Text>
      </Table.Th>
      <Table.Td>
        <Group gap="xs" wrap="nowrap" align="flex-start">
          <NumberInput
            aria-label={`${label}: ${t('retention.floor')}`}
            value={floor}
            onChange={setFloor}
            min={0}
            w={92}
            disabled={!may}
          />
          <NumberInput
            aria-label={`${label}: ${t('retention.ceiling')}`}
            placeholder="∞"
            value={ceiling}
            onChange={setCeiling}
            min={0}
            w={92}
            disabled={!may}
          />
          {changed && (
            <Button size="sm" loading={set.isPending} onClick={() => set.mutate()}>
              {t('action.save')}
            </Button>
          )}
        </Group>
        {set.isError && <Fault error={set.error} />}
      </Table.Td>
      <Table.Td ta="right">{number(report?.kept)}</Table.Td>
      <Table.Td ta="right">{number(report?.held)}</Table.Td>
      <Table.Td ta="right">{number(report?.waiting)}</Table.Td>
      <Table.Td ta="right">{number(report?.due_within_30_days)}</Table.Td>
      <Table.Td>{report?.next_due ? when(report.next_due, i18n.language) : '–'}</Table.Td>
    </Table.Tr>
  );
}

function TenantPick(props: { value: string | null; onChange: (value: string | null) => void }) {
  const { t } = useTranslation();
  const list = useQuery(tenants);
  return (
    <Select
      label={t('field.tenant')}
      data={(list.data?.items ?? []).map((one) => one.id)}
      value={props.value}
      onChange={props.onChange}
      required
    />
  );
}

function Erasures({ may }: { may: boolean }) {
  const { t, i18n } = useTranslation();
  const query = useQuery({
    queryKey: ['erasures'],
    queryFn: () => data(api.GET('/api/v1/erasures')),
    refetchInterval: 2_000,
  });
  const [tenant, setTenant] = useState<string | null>(null);
  const [subject, setSubject] = useState('');
  const [reason, setReason] = useState('');
  const erase = useMutation({
    mutationFn: () =>
      data(api.POST('/api/v1/erasures', { body: { tenant: tenant ?? '', subject, reason } })),
    onSuccess: async () => {
      setSubject('');
      setReason('');
      await queryClient.invalidateQueries({ queryKey: ['erasures'] });
    },
  });
  return (
    <Card title={t('erasure.title')}>
      <Stack>
        <Text c="dimmed" size="sm">
          {t('erasure.note')}
        </Text>
        <form
          onSubmit={(event) => {
            event.preventDefault();
            erase.mutate();
          }}
        >
          <Group align="flex-end">
            <TenantPick value={tenant} onChange={setTenant} />
            <TextInput
              label={t('erasure.subject')}
              value={subject}
              onChange={(event) => setSubject(event.currentTarget.value)}
              autoComplete="off"
              required
            />
            <TextInput
              label={t('field.reason')}
              value={reason}
              onChange={(event) => setReason(event.currentTarget.value)}
              required
            />
            <Button type="submit" color="red" disabled={!may} loading={erase.isPending}>
              {t('erasure.erase')}
            </Button>
          </Group>
        </form>
        {erase.isError && <Fault error={erase.error} />}
        <Loaded query={query}>
          {(list) =>
            list.items.length === 0 ? (
              <Text c="dimmed">{t('erasure.none')}</Text>
            ) : (
              <Table>
                <Table.Tbody>
                  {list.items.map((one) => (
                    <Table.Tr key={one.id}>
                      <Table.Th scope="row">
                        {one.tenant} <span className="mono">{one.subject.slice(0, 12)}…</span>
                      </Table.Th>
                      <Table.Td>{one.reason}</Table.Td>
                      <Table.Td>
                        {one.by}, {when(one.at, i18n.language)}
                      </Table.Td>
                      <Table.Td>
                        <State value={one.state} />
                      </Table.Td>
                      <Table.Td>
                        {one.state === 'done' && (
                          <>
                            {t('erasure.done', {
                              keys: count(one.keys, i18n.language),
                              payloads: count(one.payloads, i18n.language),
                            })}{' '}
                            <Anchor
                              href={`/api/v1/erasures/${one.id}/certificate`}
                              download={`certificate-${one.id}.json`}
                            >
                              {t('erasure.certificate')}
                            </Anchor>
                          </>
                        )}
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

function Holds({ may }: { may: boolean }) {
  const { t, i18n } = useTranslation();
  const query = useQuery({ queryKey: ['holds'], queryFn: () => data(api.GET('/api/v1/holds')) });
  const [tenant, setTenant] = useState<string | null>(null);
  const [subject, setSubject] = useState('');
  const [reason, setReason] = useState('');
  const changed = () => queryClient.invalidateQueries({ queryKey: ['holds'] });
  const place = useMutation({
    mutationFn: () =>
      data(
        api.POST('/api/v1/holds', {
          body: { tenant: tenant ?? '', subject: subject.trim() || null, reason },
        }),
      ),
    onSuccess: async () => {
      setSubject('');
      setReason('');
      await changed();
    },
  });
  const release = useMutation({
    mutationFn: (id: string) =>
      data(api.DELETE('/api/v1/holds/{id}', { params: { path: { id } } })),
    onSuccess: changed,
  });
  return (
    <Card title={t('hold.title')}>
      <Stack>
        <form
          onSubmit={(event) => {
            event.preventDefault();
            place.mutate();
          }}
        >
          <Group align="flex-end">
            <TenantPick value={tenant} onChange={setTenant} />
            <TextInput
              label={t('hold.subject')}
              value={subject}
              onChange={(event) => setSubject(event.currentTarget.value)}
              autoComplete="off"
            />
            <TextInput
              label={t('field.reason')}
              value={reason}
              onChange={(event) => setReason(event.currentTarget.value)}
              required
            />
            <Button type="submit" disabled={!may} loading={place.isPending}>
              {t('hold.place')}
            </Button>
          </Group>
        </form>
        {place.isError && <Fault error={place.error} />}
        {release.isError && <Fault error={release.error} />}
        <Loaded query={query}>
          {(list) =>
            list.items.length === 0 ? (
              <Text c="dimmed">{t('hold.none')}</Text>
            ) : (
              <Table>
                <Table.Tbody>
                  {list.items.map((one) => (
                    <Table.Tr key={one.id}>
                      <Table.Th scope="row">
                        {one.tenant}{' '}
                        {one.subject ? (
                          <span className="mono">{one.subject.slice(0, 12)}…</span>
                        ) : (
                          t('hold.everything')
                        )}
                      </Table.Th>
                      <Table.Td>{one.reason}</Table.Td>
                      <Table.Td>
                        {one.by}, {when(one.at, i18n.language)}
                      </Table.Td>
                      <Table.Td>
                        {one.released_at ? (
                          t('hold.released', {
                            by: one.released_by ?? '',
                            at: when(one.released_at, i18n.language),
                          })
                        ) : (
                          <Button
                            size="compact-sm"
                            variant="default"
                            disabled={!may}
                            onClick={() => release.mutate(one.id)}
                          >
                            {t('hold.release')}
                          </Button>
                        )}
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

import { Alert, Button, Group, Modal, Stack, Table, Text, TextInput } from '@mantine/core';
import { useMutation, useQuery } from '@tanstack/react-query';
import { useNavigate } from '@tanstack/react-router';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';
import { api, data, Refused } from '../api/client';
import { queryClient, session } from '../api/queries';
import { count, short, when } from '../ui/format';
import { ScreenLink } from '../ui/link';
import { Card, Empty, Fault, Loaded, Screen, State, Wide } from '../ui/parts';

const changes = {
  queryKey: ['changes'],
  queryFn: () => data(api.GET('/api/v1/policy/changes')),
  refetchInterval: 5_000,
};

/** Changes of policy on their way, what was in force when, and the policy in shadow. */
export function Changes() {
  const { t, i18n } = useTranslation();
  const query = useQuery(changes);
  const { data: signedIn } = useQuery(session);
  const roles = signedIn?.user.roles ?? [];
  const [asked, setAsked] = useState(false);
  const author = roles.includes('policy-author');
  return (
    <Screen
      title={t('nav.changes')}
      note={t('changes.note')}
      actions={
        <Stack gap={2} align="flex-end">
          <Button disabled={!author} onClick={() => setAsked(true)}>
            {t('changes.new')}
          </Button>
          {!author && (
            <Text size="xs" c="dimmed">
              {t('changes.authorOnly')}
            </Text>
          )}
        </Stack>
      }
    >
      <NewChange opened={asked} close={() => setAsked(false)} />
      <Loaded query={query}>
        {(list) =>
          list.items.length === 0 ? (
            <Empty>{t('changes.empty')}</Empty>
          ) : (
            <Wide label={t('nav.changes')}>
              <Table>
                <Table.Thead>
                  <Table.Tr>
                    {['title', 'status', 'author', 'approvedBy', 'changedAt'].map((name) => (
                      <Table.Th key={name}>{t(`field.${name}`)}</Table.Th>
                    ))}
                  </Table.Tr>
                </Table.Thead>
                <Table.Tbody>
                  {list.items.map((change) => (
                    <Table.Tr key={change.id}>
                      <Table.Td>
                        <ScreenLink to="/changes/$id" params={{ id: change.id }}>
                          {change.title}
                        </ScreenLink>
                      </Table.Td>
                      <Table.Td>
                        <State value={change.state} />
                      </Table.Td>
                      <Table.Td>{change.author}</Table.Td>
                      <Table.Td>{change.approved_by ?? '–'}</Table.Td>
                      <Table.Td>{when(change.updated_at, i18n.language)}</Table.Td>
                    </Table.Tr>
                  ))}
                </Table.Tbody>
              </Table>
            </Wide>
          )
        }
      </Loaded>
      <Versions mayRollBack={roles.includes('policy-approver')} />
      <Shadow mayEnd={author || roles.includes('policy-approver')} />
    </Screen>
  );
}

function NewChange({ opened, close }: { opened: boolean; close: () => void }) {
  const { t } = useTranslation();
  const navigate = useNavigate();
  const [title, setTitle] = useState('');
  const begin = useMutation({
    mutationFn: () => data(api.POST('/api/v1/policy/changes', { body: { title } })),
    onSuccess: async (change) => {
      await queryClient.invalidateQueries({ queryKey: ['changes'] });
      close();
      await navigate({ to: '/changes/$id', params: { id: change.id }, search: { tab: undefined } });
    },
  });
  const refused = begin.error instanceof Refused ? begin.error : undefined;
  return (
    <Modal opened={opened} onClose={close} title={t('changes.new')}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          begin.mutate();
        }}
      >
        <Stack>
          <TextInput
            label={t('field.title')}
            description={t('changes.titleHint')}
            value={title}
            onChange={(event) => setTitle(event.currentTarget.value)}
            error={refused?.field('title')}
            required
            data-autofocus
          />
          {begin.isError && !refused?.field('title') && <Fault error={begin.error} />}
          <Group justify="flex-end">
            <Button variant="default" onClick={close}>
              {t('action.cancel')}
            </Button>
            <Button type="submit" loading={begin.isPending}>
              {t('changes.begin')}
            </Button>
          </Group>
        </Stack>
      </form>
    </Modal>
  );
}

function Versions({ mayRollBack }: { mayRollBack: boolean }) {
  const { t, i18n } = useTranslation();
  const query = useQuery({
    queryKey: ['versions'],
    queryFn: () => data(api.GET('/api/v1/policy/versions')),
  });
  const [wanted, setWanted] = useState<number>();
  const [reason, setReason] = useState('');
  const back = useMutation({
    mutationFn: (version: number) =>
      data(api.POST('/api/v1/policy/rollback', { body: { version, reason } })),
    onSuccess: async () => {
      setWanted(undefined);
      await queryClient.invalidateQueries();
    },
  });
  return (
    <Card title={t('changes.versions')}>
      <Modal
        opened={wanted !== undefined}
        onClose={() => setWanted(undefined)}
        title={t('changes.backTo', { n: wanted })}
      >
        <form
          onSubmit={(event) => {
            event.preventDefault();
            if (wanted !== undefined) back.mutate(wanted);
          }}
        >
          <Stack>
            <TextInput
              label={t('field.reason')}
              value={reason}
              onChange={(event) => setReason(event.currentTarget.value)}
              required
              data-autofocus
            />
            {back.isError && <Fault error={back.error} />}
            <Button type="submit" color="red" loading={back.isPending}>
              {t('changes.rollBack')}
            </Button>
          </Stack>
        </form>
      </Modal>
      <Loaded query={query}>
        {(versions) => (
          <Stack>
            {!mayRollBack && (
              <Text size="sm" c="dimmed">
                {t('changes.approverOnly')}
              </Text>
            )}
            <Table>
              <Table.Tbody>
                {versions.items.map((version, at) => (
                  <Table.Tr key={version.version}>
                    <Table.Th scope="row">{t('policy.version', { n: version.version })}</Table.Th>
                    <Table.Td className="mono">{short(version.digest)}</Table.Td>
                    <Table.Td>{when(version.activated_at, i18n.language)}</Table.Td>
                    <Table.Td>{version.activated_by}</Table.Td>
                    <Table.Td>
                      {version.change && (
                        <ScreenLink to="/changes/$id" params={{ id: version.change }}>
                          {t('changes.change')}
                        </ScreenLink>
                      )}
                    </Table.Td>
                    <Table.Td>
                      {at === 0 ? (
                        <State value="active" />
                      ) : (
                        <Button
                          size="compact-xs"
                          variant="default"
                          disabled={!mayRollBack || version.digest === versions.items[0]?.digest}
                          onClick={() => setWanted(version.version)}
                        >
                          {t('changes.rollBack')}
                        </Button>
                      )}
                    </Table.Td>
                  </Table.Tr>
                ))}
              </Table.Tbody>
            </Table>
          </Stack>
        )}
      </Loaded>
    </Card>
  );
}

function Shadow({ mayEnd }: { mayEnd: boolean }) {
  const { t, i18n } = useTranslation();
  const query = useQuery({
    queryKey: ['shadow'],
    queryFn: () => data(api.GET('/api/v1/policy/shadow')),
    refetchInterval: 5_000,
  });
  const end = useMutation({
    mutationFn: () => data(api.DELETE('/api/v1/policy/shadow')),
    onSuccess: () => queryClient.invalidateQueries({ queryKey: ['shadow'] }),
  });
  return (
    <Card title={t('shadow.title')}>
      <Loaded query={query}>
        {(shadow) =>
          !shadow.digest ? (
            <Text c="dimmed">{t('shadow.none')}</Text>
          ) : (
            <Stack>
              <Group justify="space-between">
                <Text>
                  <span className="mono">{short(shadow.digest)}</span>{' '}
                  {t('shadow.since', {
                    at: when(shadow.started_at, i18n.language),
                    by: shadow.started_by,
                  })}
                </Text>
                <Button
                  variant="default"
                  disabled={!mayEnd}
                  loading={end.isPending}
                  onClick={() => end.mutate()}
                >
                  {t('shadow.end')}
                </Button>
              </Group>
              <Text>
                {t('shadow.calls', { count: shadow.calls })}{' '}
                {Object.entries(shadow.flips)
                  .map(([flip, calls]) => `${t(`flip.${flip}`)}: ${count(calls, i18n.language)}`)
                  .join(' · ')}
              </Text>
              {shadow.examples.length === 0 && <Alert>{t('shadow.same')}</Alert>}
              {shadow.examples.slice(0, 10).map((example) => (
                <Group key={example.decision_id} gap="xs">
                  <ScreenLink
                    to="/decisions/$id"
                    params={{ id: example.decision_id }}
                    fz="sm"
                    py={4}
                  >
                    <span className="mono">{example.decision_id}</span>
                  </ScreenLink>
                  <Text size="sm">{example.tenant}</Text>
                  <Text size="sm" c="dimmed">
                    {Object.entries(example.flips as Record<string, string[]>)
                      .map(([flip, rules]) => `${t(`flip.${flip}`)}: ${rules.join(', ')}`)
                      .join(' · ')}
                  </Text>
                </Group>
              ))}
              {end.isError && <Fault error={end.error} />}
            </Stack>
          )
        }
      </Loaded>
    </Card>
  );
}

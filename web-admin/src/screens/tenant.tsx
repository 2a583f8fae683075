import {
  Alert,
  Button,
  Checkbox,
  Code,
  Group,
  Modal,
  Stack,
  Table,
  Text,
  TextInput,
  Tooltip,
} from '@mantine/core';
import { useDisclosure } from '@mantine/hooks';
import { useMutation, useQuery } from '@tanstack/react-query';
import { useParams } from '@tanstack/react-router';
import { type FormEvent, useState } from 'react';
import { useTranslation } from 'react-i18next';
import { api, data, Refused, type Schema } from '../api/client';
import { queryClient, session } from '../api/queries';
import { when } from '../ui/format';
import { LegalFile } from '../ui/legal-file';
import { Card, Copy, Empty, Fault, Loaded, Screen, State, Wide } from '../ui/parts';

export function Tenant() {
  const { t } = useTranslation();
  const { id } = useParams({ from: '/signed-in/tenants/$id' });
  const may = useQuery(session).data?.user.roles.includes('operator') ?? false;
  const tenant = useQuery({
    queryKey: ['tenant', id],
    queryFn: () => data(api.GET('/api/v1/tenants/{id}', { params: { path: { id } } })),
  });
  const keys = useQuery({
    queryKey: ['keys', id],
    queryFn: () => data(api.GET('/api/v1/tenants/{id}/keys', { params: { path: { id } } })),
  });
  const [creating, { open: show, close }] = useDisclosure();
  const [revoking, setRevoking] = useState<Schema['ApiKey'] | null>(null);
  return (
    <Screen
      title={tenant.data?.display_name ?? id}
      note={id}
      actions={
        <Group>
          {tenant.data && <Standing tenant={tenant.data} may={may} />}
          <Tooltip label={t('tenants.operatorOnly')} disabled={may}>
            <Button disabled={!may} onClick={show}>
              {t('keys.new')}
            </Button>
          </Tooltip>
        </Group>
      }
    >
      <Card title={t('tenants.facts')}>
        <Loaded query={tenant}>
          {(facts) => (
            <Table w="auto">
              <Table.Tbody>
                {(
                  [
                    ['status', <State key="s" value={facts.status} />],
                    ['plan', facts.plan],
                    ['residency', facts.residency.join(', ') || t('tenants.nowhere')],
                    ['purposes', facts.purposes.join(', ') || '–'],
                    [
                      'labels',
                      Object.entries(facts.labels)
                        .map(([name, value]) => `${name}=${value}`)
                        .join(', ') || '–',
                    ],
                  ] as const
                ).map(([name, value]) => (
                  <Table.Tr key={name}>
                    <Table.Th scope="row">{t(`field.${name}`)}</Table.Th>
                    <Table.Td>{value}</Table.Td>
                  </Table.Tr>
                ))}
              </Table.Tbody>
            </Table>
          )}
        </Loaded>
      </Card>
      <LegalFile tenant={id} may={may} />
      <Card title={t('keys.title')}>
        <Loaded query={keys}>
          {(page) =>
            page.items.length === 0 ? (
              <Empty>{t('keys.empty')}</Empty>
            ) : (
              <Keys keys={page.items} may={may} revoke={setRevoking} />
            )
          }
        </Loaded>
      </Card>
      <Modal
        opened={creating}
        onClose={close}
        title={t('keys.new')}
        closeButtonProps={{ 'aria-label': t('action.close') }}
      >
        <NewKey tenant={id} close={close} />
      </Modal>
      <Modal
        opened={revoking !== null}
        onClose={() => setRevoking(null)}
        title={t('keys.revoke')}
        closeButtonProps={{ 'aria-label': t('action.close') }}
      >
        {revoking && <Revoke apiKey={revoking} close={() => setRevoking(null)} />}
      </Modal>
    </Screen>
  );
}

function Keys(props: {
  keys: Schema['ApiKey'][];
  may: boolean;
  revoke: (key: Schema['ApiKey']) => void;
}) {
  const { t, i18n } = useTranslation();
  return (
    <Wide label={t('keys.title')}>
      <Table>
        <Table.Thead>
          <Table.Tr>
            {['name', 'prefix', 'scopes', 'status', 'created', 'expires', 'lastUsed'].map(
              (name) => (
                <Table.Th key={name}>{t(`field.${name}`)}</Table.Th>
              ),
            )}
            <Table.Th>{t('field.action')}</Table.Th>
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {props.keys.map((key) => (
            <Table.Tr key={key.id}>
              <Table.Td>{key.name}</Table.Td>
              <Table.Td className="mono">rv_{key.prefix}…</Table.Td>
              <Table.Td>{key.scopes.join(', ')}</Table.Td>
              <Table.Td>
                <State value={key.revoked_at ? 'revoked' : 'active'} />
              </Table.Td>
              <Table.Td>{when(key.created_at, i18n.language)}</Table.Td>
              <Table.Td>{when(key.expires_at, i18n.language)}</Table.Td>
              <Table.Td>{when(key.last_used_at, i18n.language)}</Table.Td>
              <Table.Td>
                {!key.revoked_at && (
                  <Button
                    size="xs"
                    variant="default"
                    disabled={!props.may}
                    title={props.may ? undefined : t('tenants.operatorOnly')}
                    onClick={() => props.revoke(key)}
                    aria-label={`${t('keys.revoke')}: ${key.name}`}
                  >
                    {t('keys.revoke')}
                  </Button>
                )}
              </Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </Wide>
  );
}

function Standing({ tenant, may }: { tenant: Schema['Tenant']; may: boolean }) {
  const { t } = useTranslation();
  const status = tenant.status === 'active' ? 'suspended' : 'active';
  const change = useMutation({
    mutationFn: () =>
      data(
        api.PUT('/api/v1/tenants/{id}/status', {
          params: { path: { id: tenant.id } },
          body: { status },
        }),
      ),
    onSuccess: () =>
      Promise.all([
        queryClient.invalidateQueries({ queryKey: ['tenant', tenant.id] }),
        queryClient.invalidateQueries({ queryKey: ['tenants'] }),
      ]),
  });
  return (
    <Group>
      {change.isError && <Fault error={change.error} />}
      <Tooltip label={t('tenants.operatorOnly')} disabled={may}>
        <Button
          variant="default"
          disabled={!may}
          loading={change.isPending}
          onClick={() => change.mutate()}
        >
          {t(tenant.status === 'active' ? 'tenants.suspend' : 'tenants.activate')}
        </Button>
      </Tooltip>
    </Group>
  );
}

function NewKey({ tenant, close }: { tenant: string; close: () => void }) {
  const { t } = useTranslation();
  const [name, setName] = useState('');
  const [scopes, setScopes] = useState<string[]>(['classify', 'read']);
  const [expires, setExpires] = useState('');
  const [holder, setHolder] = useState('');
  const create = useMutation({
    mutationFn: () =>
      data(
        api.POST('/api/v1/tenants/{id}/keys', {
          params: { path: { id: tenant } },
          body: {
            name,
            scopes,
            holder: holder || null,
            expires_at: expires ? `${expires}T00:00:00Z` : null,
          },
        }),
      ),
    onSuccess: () => queryClient.invalidateQueries({ queryKey: ['keys', tenant] }),
  });
  const refused = create.error instanceof Refused ? create.error : undefined;
  const shown = ['name', 'scopes', 'holder', 'expires_at'].some((field) => refused?.field(field));
  if (create.data) {
    return (
      <Stack>
        <Alert variant="outline" color="blue" title={t('keys.once')}>
          {t('keys.onceNote')}
        </Alert>
        <Code block className="break" data-testid="secret">
          {create.data.secret}
        </Code>
        <Group justify="flex-end">
          <Copy value={create.data.secret} label={t('keys.secret')} />
          <Button onClick={close}>{t('keys.done')}</Button>
        </Group>
      </Stack>
    );
  }
  const submit = (event: FormEvent) => {
    event.preventDefault();
    create.mutate();
  };
  return (
    <form onSubmit={submit}>
      <Stack>
        <TextInput
          label={t('field.name')}
          required
          value={name}
          error={refused?.field('name')}
          onChange={(event) => setName(event.currentTarget.value)}
        />
        <TextInput
          label={t('keys.holder')}
          description={t('keys.holderHint')}
          value={holder}
          error={refused?.field('holder')}
          onChange={(event) => setHolder(event.currentTarget.value)}
        />
        <Checkbox.Group
          label={t('field.scopes')}
          value={scopes}
          onChange={setScopes}
          error={refused?.field('scopes')}
        >
          <Group mt="xs">
            {['classify', 'explain', 'read'].map((scope) => (
              <Checkbox key={scope} value={scope} label={scope} />
            ))}
          </Group>
        </Checkbox.Group>
        <TextInput
          type="date"
          label={t('field.expires')}
          description={t('keys.expiresHint')}
          value={expires}
          error={refused?.field('expires_at')}
          onChange={(event) => setExpires(event.currentTarget.value)}
        />
        {create.isError && !shown && <Fault error={create.error} />}
        <Group justify="flex-end">
          <Button variant="default" onClick={close}>
            {t('action.cancel')}
          </Button>
          <Button type="submit" loading={create.isPending}>
            {t('keys.create')}
          </Button>
        </Group>
      </Stack>
    </form>
  );
}

function Revoke({ apiKey, close }: { apiKey: Schema['ApiKey']; close: () => void }) {
  const { t } = useTranslation();
  const revoke = useMutation({
    mutationFn: () =>
      data(api.DELETE('/api/v1/keys/{id}', { params: { path: { id: apiKey.id } } })),
    onSuccess: async () => {
      await queryClient.invalidateQueries({ queryKey: ['keys', apiKey.tenant] });
      close();
    },
  });
  return (
    <Stack>
      <Text>{t('keys.revokeNote', { name: apiKey.name })}</Text>
      {revoke.isError && <Fault error={revoke.error} />}
      <Group justify="flex-end">
        <Button variant="default" onClick={close}>
          {t('action.cancel')}
        </Button>
        <Button color="red" loading={revoke.isPending} onClick={() => revoke.mutate()}>
          {t('keys.revokeNow')}
        </Button>
      </Group>
    </Stack>
  );
}

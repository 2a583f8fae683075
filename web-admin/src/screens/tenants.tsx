import {
  Button,
  Group,
  Modal,
  Select,
  Stack,
  Table,
  TagsInput,
  TextInput,
  Tooltip,
} from '@mantine/core';
import { useDisclosure } from '@mantine/hooks';
import { useMutation, useQuery } from '@tanstack/react-query';
import { useNavigate } from '@tanstack/react-router';
import { type FormEvent, useState } from 'react';
import { useTranslation } from 'react-i18next';
import { api, data, Refused } from '../api/client';
import { queryClient, session, tenants } from '../api/queries';
import { when } from '../ui/format';
import { ScreenLink } from '../ui/link';
import { Empty, Fault, Loaded, Screen, State, Wide } from '../ui/parts';

export function Tenants() {
  const { t, i18n } = useTranslation();
  const query = useQuery(tenants);
  const roles = useQuery(session).data?.user.roles ?? [];
  const may = roles.includes('operator');
  const [open, { open: show, close }] = useDisclosure();
  return (
    <Screen
      title={t('nav.tenants')}
      note={t('tenants.note')}
      actions={
        <Tooltip label={t('tenants.operatorOnly')} disabled={may}>
          <Button disabled={!may} onClick={show}>
            {t('tenants.new')}
          </Button>
        </Tooltip>
      }
    >
      <Loaded query={query}>
        {(page) =>
          page.items.length === 0 ? (
            <Empty>{t('tenants.empty')}</Empty>
          ) : (
            <Wide label={t('nav.tenants')}>
              <Table striped highlightOnHover>
                <Table.Thead>
                  <Table.Tr>
                    {['tenant', 'name', 'status', 'plan', 'residency', 'labels', 'created'].map(
                      (name) => (
                        <Table.Th key={name}>{t(`field.${name}`)}</Table.Th>
                      ),
                    )}
                  </Table.Tr>
                </Table.Thead>
                <Table.Tbody>
                  {page.items.map((tenant) => (
                    <Table.Tr key={tenant.id}>
                      <Table.Td>
                        <ScreenLink to="/tenants/$id" params={{ id: tenant.id }}>
                          {tenant.id}
                        </ScreenLink>
                      </Table.Td>
                      <Table.Td>{tenant.display_name}</Table.Td>
                      <Table.Td>
                        <State value={tenant.status} />
                      </Table.Td>
                      <Table.Td>{tenant.plan}</Table.Td>
                      <Table.Td>{tenant.residency.join(', ') || '–'}</Table.Td>
                      <Table.Td>
                        {Object.entries(tenant.labels)
                          .map(([name, value]) => `${name}=${value}`)
                          .join(', ') || '–'}
                      </Table.Td>
                      <Table.Td>{when(tenant.created_at, i18n.language)}</Table.Td>
                    </Table.Tr>
                  ))}
                </Table.Tbody>
              </Table>
            </Wide>
          )
        }
      </Loaded>
      <Modal
        opened={open}
        onClose={close}
        title={t('tenants.new')}
        closeButtonProps={{ 'aria-label': t('action.close') }}
      >
        <NewTenant close={close} />
      </Modal>
    </Screen>
  );
}

function NewTenant({ close }: { close: () => void }) {
  const { t } = useTranslation();
  const navigate = useNavigate();
  const [draft, setDraft] = useState({ id: '', display_name: '', plan: 'standard' });
  const [residency, setResidency] = useState<string[]>([]);
  const [purposes, setPurposes] = useState<string[]>([]);
  const [jurisdiction, setJurisdiction] = useState<string | null>('EU');
  const create = useMutation({
    mutationFn: () =>
      data(
        api.POST('/api/v1/tenants', {
          body: {
            ...draft,
            residency,
            purposes,
            labels: jurisdiction ? { jurisdiction } : {},
          },
        }),
      ),
    onSuccess: async (tenant) => {
      await queryClient.invalidateQueries({ queryKey: ['tenants'] });
      close();
      await navigate({ to: '/tenants/$id', params: { id: tenant.id } });
    },
  });
  const refused = create.error instanceof Refused ? create.error : undefined;
  const shown = ['id', 'display_name', 'plan', 'residency', 'purposes'].some((name) =>
    refused?.field(name),
  );
  const submit = (event: FormEvent) => {
    event.preventDefault();
    create.mutate();
  };
  return (
    <form onSubmit={submit}>
      <Stack>
        <TextInput
          label={t('field.tenant')}
          description={t('tenants.idHint')}
          required
          value={draft.id}
          error={refused?.field('id')}
          onChange={(event) => setDraft({ ...draft, id: event.currentTarget.value })}
        />
        <TextInput
          label={t('field.name')}
          required
          value={draft.display_name}
          error={refused?.field('display_name')}
          onChange={(event) => setDraft({ ...draft, display_name: event.currentTarget.value })}
        />
        <TextInput
          label={t('field.plan')}
          required
          value={draft.plan}
          error={refused?.field('plan')}
          onChange={(event) => setDraft({ ...draft, plan: event.currentTarget.value })}
        />
        <TagsInput
          label={t('field.residency')}
          description={t('tenants.residencyHint')}
          data={['eu-west', 'us-east']}
          value={residency}
          error={refused?.field('residency')}
          onChange={setResidency}
        />
        <TagsInput
          label={t('field.purposes')}
          value={purposes}
          error={refused?.field('purposes')}
          onChange={setPurposes}
        />
        <Select
          label={t('field.jurisdiction')}
          data={['EU', 'US', 'CN']}
          value={jurisdiction}
          onChange={setJurisdiction}
        />
        {create.isError && !shown && <Fault error={create.error} />}
        <Group justify="flex-end">
          <Button variant="default" onClick={close}>
            {t('action.cancel')}
          </Button>
          <Button type="submit" loading={create.isPending}>
            {t('tenants.create')}
          </Button>
        </Group>
      </Stack>
    </form>
  );
}

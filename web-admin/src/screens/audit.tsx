import { Button, Group, Select, SimpleGrid, Stack, Table, Text, TextInput } from '@mantine/core';
import { keepPreviousData, useQuery } from '@tanstack/react-query';
import { useNavigate, useSearch } from '@tanstack/react-router';
import { type FormEvent, useState } from 'react';
import { useTranslation } from 'react-i18next';
import { api, data } from '../api/client';
import { tenants } from '../api/queries';
import type { AuditSearch } from '../app/router';
import { count, money, when } from '../ui/format';
import { ScreenLink } from '../ui/link';
import { LogHealth } from '../ui/log-health';
import { Card, Empty, Loaded, Screen, State, Wide } from '../ui/parts';

const KINDS = ['call', 'intent', 'outcome', 'refusal', 'refusal-aggregate', 'control'];
const STATUSES = ['completed', 'failed', 'refused', 'pending', 'unknown'];

export function Audit() {
  const { t, i18n } = useTranslation();
  const navigate = useNavigate();
  const search = useSearch({ from: '/signed-in/audit' });
  const filter = { ...search, kind: search.kind === 'call' ? undefined : search.kind };
  const query = useQuery({
    queryKey: ['audit', search],
    queryFn: () => data(api.GET('/api/v1/audit', { params: { query: { ...filter, limit: 50 } } })),
    placeholderData: keepPreviousData,
  });
  const go = (next: AuditSearch) => navigate({ to: '/audit', search: next });
  return (
    <Screen title={t('nav.audit')} note={t('audit.note')}>
      <Card title={t('logs.title')}>
        <LogHealth />
      </Card>
      <Filters key={JSON.stringify(search)} search={search} go={go} />
      <Loaded query={query}>
        {(page) =>
          page.items.length === 0 ? (
            <Empty>{t('audit.empty')}</Empty>
          ) : (
            <Stack>
              <Wide label={t('nav.audit')}>
                <Table striped highlightOnHover fz="sm">
                  <Table.Thead>
                    <Table.Tr>
                      {[
                        'at',
                        'kind',
                        'decision',
                        'tenant',
                        'status',
                        'code',
                        'region',
                        'redacted',
                      ].map((name) => (
                        <Table.Th key={name}>{t(`field.${name}`)}</Table.Th>
                      ))}
                      <Table.Th ta="right">{t('field.items')}</Table.Th>
                      <Table.Th ta="right">{t('field.cost')}</Table.Th>
                    </Table.Tr>
                  </Table.Thead>
                  <Table.Tbody>
                    {page.items.map((row) => (
                      <Table.Tr key={`${row.origin}/${row.index}`}>
                        <Table.Td style={{ whiteSpace: 'nowrap' }}>
                          {when(row.at, i18n.language)}
                        </Table.Td>
                        <Table.Td>
                          {t(`word.${row.kind}`, { defaultValue: row.kind })}
                          <Text size="xs" c="dimmed" className="mono">
                            {row.origin.split('/').pop()} #{row.index}
                          </Text>
                        </Table.Td>
                        <Table.Td>
                          {row.decision_id ? (
                            <ScreenLink
                              to="/decisions/$id"
                              params={{ id: row.decision_id }}
                              className="mono"
                              fz="sm"
                            >
                              {row.decision_id.slice(0, 16)}…
                            </ScreenLink>
                          ) : (
                            <Text size="sm">{row.action ?? '–'}</Text>
                          )}
                        </Table.Td>
                        <Table.Td style={{ whiteSpace: 'nowrap' }}>{row.tenant ?? '–'}</Table.Td>
                        <Table.Td>
                          <State value={row.status} />
                        </Table.Td>
                        <Table.Td className="mono">{row.code ?? '–'}</Table.Td>
                        <Table.Td style={{ whiteSpace: 'nowrap' }}>{row.region ?? '–'}</Table.Td>
                        <Table.Td>
                          {Object.entries(row.redactions)
                            .map(([kind, n]) => `${kind} ${n}`)
                            .join(', ') || '–'}
                        </Table.Td>
                        <Table.Td ta="right">{count(row.items, i18n.language)}</Table.Td>
                        <Table.Td ta="right">{money(row.cost, i18n.language)}</Table.Td>
                      </Table.Tr>
                    ))}
                  </Table.Tbody>
                </Table>
              </Wide>
              <Group>
                <Button
                  variant="default"
                  disabled={!search.after}
                  title={search.after ? undefined : t('audit.isFirst')}
                  onClick={() => go({ ...search, after: undefined })}
                >
                  {t('audit.first')}
                </Button>
                <Button
                  variant="default"
                  disabled={!page.next}
                  title={page.next ? undefined : t('audit.isLast')}
                  onClick={() => go({ ...search, after: page.next ?? undefined })}
                >
                  {t('audit.next')}
                </Button>
              </Group>
            </Stack>
          )
        }
      </Loaded>
    </Screen>
  );
}

function Filters({ search, go }: { search: AuditSearch; go: (next: AuditSearch) => void }) {
  const { t } = useTranslation();
  const known = useQuery(tenants);
  const [draft, setDraft] = useState<AuditSearch>(search);
  const set = (name: keyof AuditSearch) => (value: string | null) =>
    setDraft({ ...draft, [name]: value || undefined });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    go({ ...draft, after: undefined });
  };
  return (
    <form onSubmit={submit}>
      <SimpleGrid cols={{ base: 1, xs: 2, md: 4 }} spacing="sm">
        <Select
          label={t('field.tenant')}
          clearable
          clearButtonProps={{ 'aria-label': t('audit.clear') }}
          value={draft.tenant ?? null}
          data={known.data?.items.map((tenant) => tenant.id) ?? []}
          onChange={set('tenant')}
        />
        <Select
          label={t('field.kind')}
          clearable
          clearButtonProps={{ 'aria-label': t('audit.clear') }}
          value={draft.kind ?? null}
          data={KINDS.slice(1).map((value) => ({ value, label: t(`word.${value}`) }))}
          onChange={set('kind')}
        />
        <Select
          label={t('field.status')}
          clearable
          clearButtonProps={{ 'aria-label': t('audit.clear') }}
          value={draft.status ?? null}
          data={STATUSES.map((value) => ({ value, label: t(`word.${value}`) }))}
          onChange={set('status')}
        />
        <TextInput
          label={t('field.code')}
          value={draft.code ?? ''}
          onChange={(event) => set('code')(event.currentTarget.value)}
        />
        <TextInput
          label={t('field.region')}
          value={draft.region ?? ''}
          onChange={(event) => set('region')(event.currentTarget.value)}
        />
        <TextInput
          label={t('field.decision')}
          placeholder="dec_…"
          value={draft.decision ?? ''}
          onChange={(event) => set('decision')(event.currentTarget.value)}
        />
        <TextInput
          label={t('audit.from')}
          placeholder="2026-11-24T00:00:00Z"
          value={draft.from ?? ''}
          onChange={(event) => set('from')(event.currentTarget.value)}
        />
        <TextInput
          label={t('audit.until')}
          placeholder="2026-11-25T00:00:00Z"
          value={draft.until ?? ''}
          onChange={(event) => set('until')(event.currentTarget.value)}
        />
      </SimpleGrid>
      <Group mt="sm">
        <Button type="submit">{t('audit.filter')}</Button>
        <Button variant="default" onClick={() => go({})}>
          {t('audit.clear')}
        </Button>
      </Group>
    </form>
  );
}

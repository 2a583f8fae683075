import { Button, Group, Select, Skeleton, Stack, Table, TextInput } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useNavigate, useSearch } from '@tanstack/react-router';
import { type FormEvent, lazy, Suspense, useState } from 'react';
import { useTranslation } from 'react-i18next';
import { api, data } from '../api/client';
import { tenants } from '../api/queries';
import { count, money } from '../ui/format';
import { Card, Empty, Loaded, Screen, Wide } from '../ui/parts';

const Chart = lazy(() => import('../ui/chart'));
const COLOURS = ['#1864ab', '#2b8a3e', '#d9480f', '#862e9c', '#0b7285', '#a61e4d'];

export function Usage() {
  const { t, i18n } = useTranslation();
  const navigate = useNavigate();
  const search = useSearch({ from: '/signed-in/usage' });
  const known = useQuery(tenants);
  const [draft, setDraft] = useState(search);
  const query = useQuery({
    queryKey: ['usage', search],
    queryFn: () => data(api.GET('/api/v1/usage', { params: { query: search } })),
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    void navigate({ to: '/usage', search: draft });
  };
  const number = (value: number) => count(value, i18n.language);
  return (
    <Screen title={t('nav.usage')} note={t('usage.note')}>
      <form onSubmit={submit}>
        <Group align="flex-end">
          <Select
            label={t('field.tenant')}
            clearable
            clearButtonProps={{ 'aria-label': t('audit.clear') }}
            value={draft.tenant ?? null}
            data={known.data?.items.map((tenant) => tenant.id) ?? []}
            onChange={(value) => setDraft({ ...draft, tenant: value ?? undefined })}
          />
          <TextInput
            type="date"
            label={t('audit.from')}
            value={draft.from ?? ''}
            onChange={(event) =>
              setDraft({ ...draft, from: event.currentTarget.value || undefined })
            }
          />
          <TextInput
            type="date"
            label={t('audit.until')}
            value={draft.until ?? ''}
            onChange={(event) =>
              setDraft({ ...draft, until: event.currentTarget.value || undefined })
            }
          />
          <Button type="submit">{t('audit.filter')}</Button>
        </Group>
      </form>
      <Loaded query={query}>
        {({ rows }) => {
          if (rows.length === 0) return <Empty>{t('usage.empty')}</Empty>;
          const names = [...new Set(rows.map((row) => row.tenant))];
          const days = [...new Set(rows.map((row) => row.day))].sort();
          const chart = days.map((day) => {
            const bars: Record<string, string | number> = { day: day.slice(5) };
            for (const row of rows.filter((one) => one.day === day)) {
              bars[row.tenant] = Number(bars[row.tenant] ?? 0) + row.items;
            }
            return bars;
          });
          return (
            <Stack gap="lg">
              <Card title={t('usage.items')}>
                <Suspense fallback={<Skeleton height={240} />}>
                  <Chart
                    label={t('usage.items')}
                    rows={chart}
                    series={names.map((name, place) => ({
                      key: name,
                      name,
                      colour: COLOURS[place % COLOURS.length] ?? '#1864ab',
                    }))}
                  />
                </Suspense>
              </Card>
              <Wide label={t('nav.usage')}>
                <Table striped>
                  <Table.Thead>
                    <Table.Tr>
                      {['day', 'tenant', 'model', 'region'].map((name) => (
                        <Table.Th key={name}>{t(`field.${name}`)}</Table.Th>
                      ))}
                      {['calls', 'refusals', 'items', 'characters', 'tokens', 'cost'].map(
                        (name) => (
                          <Table.Th key={name} ta="right">
                            {t(`field.${name}`)}
                          </Table.Th>
                        ),
                      )}
                    </Table.Tr>
                  </Table.Thead>
                  <Table.Tbody>
                    {rows.map((row) => (
                      <Table.Tr key={`${row.day}/${row.tenant}/${row.model}/${row.region}`}>
                        <Table.Td>{row.day}</Table.Td>
                        <Table.Td>{row.tenant}</Table.Td>
                        <Table.Td>{row.model ?? '–'}</Table.Td>
                        <Table.Td>{row.region ?? '–'}</Table.Td>
                        {[row.calls, row.refusals, row.items, row.characters, row.tokens].map(
                          (value, place) => (
                            <Table.Td key={place} ta="right">
                              {number(value)}
                            </Table.Td>
                          ),
                        )}
                        <Table.Td ta="right">{money(row.cost, i18n.language)}</Table.Td>
                      </Table.Tr>
                    ))}
                  </Table.Tbody>
                </Table>
              </Wide>
            </Stack>
          );
        }}
      </Loaded>
    </Screen>
  );
}

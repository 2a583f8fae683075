import {
  Grid,
  Paper,
  SegmentedControl,
  SimpleGrid,
  Skeleton,
  Stack,
  Table,
  Text,
} from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useNavigate, useSearch } from '@tanstack/react-router';
import { lazy, Suspense } from 'react';
import { useTranslation } from 'react-i18next';
import { api, data } from '../api/client';
import { count, money } from '../ui/format';
import { ScreenLink } from '../ui/link';
import { LogHealth } from '../ui/log-health';
import { Card, Loaded, Screen } from '../ui/parts';

const Chart = lazy(() => import('../ui/chart'));

export function Overview() {
  const { t, i18n } = useTranslation();
  const navigate = useNavigate();
  const { days = '7' } = useSearch({ from: '/signed-in/' });
  const query = useQuery({
    queryKey: ['overview', days],
    queryFn: () => data(api.GET('/api/v1/overview', { params: { query: { days: Number(days) } } })),
    refetchInterval: 10_000,
  });
  const number = (value: number) => count(value, i18n.language);
  return (
    <Screen
      title={t('nav.overview')}
      note={t('overview.note')}
      actions={
        <SegmentedControl
          aria-label={t('overview.period')}
          value={days}
          onChange={(value) => navigate({ to: '/', search: { days: value } })}
          data={['7', '30', '90'].map((value) => ({
            value,
            label: t('overview.days', { n: value }),
          }))}
        />
      }
    >
      <Loaded query={query}>
        {({ totals, by_day, refusals_by_code }) => (
          <Stack gap="lg">
            <SimpleGrid cols={{ base: 2, md: 6 }}>
              {(
                [
                  ['calls', number(totals.calls)],
                  ['completed', number(totals.completed)],
                  ['refused', number(totals.refused)],
                  ['failed', number(totals.failed)],
                  ['redacted', number(totals.redacted)],
                  [
                    'cost',
                    totals.cost.map((cost) => money(cost, i18n.language)).join(' · ') || '–',
                  ],
                ] as const
              ).map(([key, value]) => (
                <Paper withBorder p="md" key={key}>
                  <Text size="sm" c="dimmed">
                    {t(`total.${key}`)}
                  </Text>
                  <Text fw={700} size="xl" className="break">
                    {value}
                  </Text>
                </Paper>
              ))}
            </SimpleGrid>
            <Card title={t('overview.byDay')}>
              <Suspense fallback={<Skeleton height={240} />}>
                <Chart
                  label={t('overview.byDay')}
                  rows={by_day.map((day) => ({ ...day, day: day.day.slice(5) }))}
                  series={[
                    { key: 'completed', name: t('total.completed'), colour: '#2b8a3e' },
                    { key: 'refused', name: t('total.refused'), colour: '#d9480f' },
                    { key: 'failed', name: t('total.failed'), colour: '#862e9c' },
                  ]}
                />
              </Suspense>
            </Card>
            <Grid>
              <Grid.Col span={{ base: 12, md: 7 }}>
                <Card title={t('logs.title')}>
                  <LogHealth />
                </Card>
              </Grid.Col>
              <Grid.Col span={{ base: 12, md: 5 }}>
                <Card title={t('overview.codes')}>
                  {refusals_by_code.length === 0 ? (
                    <Text c="dimmed">{t('overview.noCodes')}</Text>
                  ) : (
                    <Table>
                      <Table.Thead>
                        <Table.Tr>
                          <Table.Th>{t('field.code')}</Table.Th>
                          <Table.Th ta="right">{t('total.calls')}</Table.Th>
                        </Table.Tr>
                      </Table.Thead>
                      <Table.Tbody>
                        {refusals_by_code.map((row) => (
                          <Table.Tr key={row.code}>
                            <Table.Td>
                              <ScreenLink to="/audit" search={{ code: row.code }} className="mono">
                                {row.code}
                              </ScreenLink>
                            </Table.Td>
                            <Table.Td ta="right">{number(row.count)}</Table.Td>
                          </Table.Tr>
                        ))}
                      </Table.Tbody>
                    </Table>
                  )}
                </Card>
              </Grid.Col>
            </Grid>
          </Stack>
        )}
      </Loaded>
    </Screen>
  );
}

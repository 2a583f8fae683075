import { Alert, Group, Progress, SimpleGrid, Skeleton, Stack, Table, Text } from '@mantine/core';
import { lazy, Suspense } from 'react';
import { useTranslation } from 'react-i18next';
import type { Schema } from '../api/client';
import { count, money, when } from './format';
import { ScreenLink } from './link';
import { Card, State, Wide } from './parts';

const Chart = lazy(() => import('./chart'));

export const FLIPS = ['denied', 'allowed', 'redacted', 'exposed', 'rerouted'] as const;
const COLOURS = {
  denied: 'var(--mantine-color-red-7)',
  allowed: 'var(--mantine-color-green-7)',
  redacted: 'var(--mantine-color-violet-6)',
  exposed: 'var(--mantine-color-orange-6)',
  rerouted: 'var(--mantine-color-cyan-7)',
  same: 'var(--mantine-color-gray-5)',
} as const;
type Flips = Partial<Record<(typeof FLIPS)[number], number>>;

/** What a simulation found; the shape of `reeve_policy::replay::Impact`. */
export type Report = {
  replayed: number;
  own: number;
  not_replayed: Record<string, number>;
  checked: number;
  reproduced: number;
  not_searched: number;
  kinds_not_sought: string[];
  flips: Flips;
  by_tenant: Record<string, { calls: number; flips: Flips }>;
  by_tenant_and_rule: Record<string, Record<string, Flips>>;
  by_hour?: { at: number; calls: number; flips: Flips }[];
  examples: Partial<
    Record<
      (typeof FLIPS)[number],
      { decision_id: string; at: number; tenant: string; rules: string[] }[]
    >
  >;
  regions: Record<string, { before: number; after: number }>;
  cost: Record<string, { before_micros: number; after_micros: number }>;
  never_matched: string[];
  limits: { limited: number; unlimited: number; by_tenant: Record<string, Record<string, number>> };
};

/** What a change would have done to recorded traffic. */
export function Impact({ simulation }: { simulation: Schema['Simulation'] }) {
  const { t, i18n } = useTranslation();
  const language = i18n.language;
  const report = simulation.report as Report | null | undefined;
  if (!report) {
    const share = simulation.total > 0 ? (100 * simulation.done) / simulation.total : 0;
    return (
      <Stack>
        <State value={simulation.state} />
        {simulation.failure && <Alert color="red">{simulation.failure}</Alert>}
        <Progress value={share} aria-label={t('impact.progress')} />
        <Text size="sm" c="dimmed">
          {count(simulation.done, language)} / {count(simulation.total, language)}
        </Text>
      </Stack>
    );
  }
  const rows = Object.entries(report.by_tenant_and_rule).flatMap(([tenant, rules]) =>
    Object.entries(rules).flatMap(([rule, flips]) =>
      Object.entries(flips).map(([flip, calls]) => ({
        tenant,
        rule,
        flip,
        calls: calls ?? 0,
        of: report.by_tenant[tenant]?.calls ?? 0,
      })),
    ),
  );
  const hours = (report.by_hour ?? []).map((hour) => {
    const flipped = FLIPS.reduce((sum, flip) => sum + (hour.flips[flip] ?? 0), 0);
    const day = new Date(hour.at / 1000).toLocaleString(language, {
      day: 'numeric',
      month: 'short',
      hour: '2-digit',
      minute: '2-digit',
    });
    return { day, ...hour.flips, same: hour.calls - flipped };
  });
  const series = [...FLIPS, 'same' as const]
    .filter((key) => hours.some((hour) => (hour[key] ?? 0) > 0))
    .map((key) => ({ key, name: t(`flip.${key}`), colour: COLOURS[key] }));
  const skipped = Object.entries(report.not_replayed);
  const examples = FLIPS.flatMap((flip) =>
    (report.examples[flip] ?? []).map((example) => ({ flip, ...example })),
  );
  return (
    <Stack>
      <Text c="dimmed">
        {t('impact.period', {
          from: when(simulation.from, language),
          until: when(simulation.until, language),
        })}
      </Text>
      <SimpleGrid cols={{ base: 2, sm: 3, md: 6 }}>
        {FLIPS.map((flip) => (
          <Card key={flip} title={t(`flip.${flip}`)}>
            <Text fz="xl" fw={700} data-flip={flip}>
              {count(report.flips[flip] ?? 0, language)}
            </Text>
          </Card>
        ))}
        <Card title={t('flip.limited')}>
          <Text fz="xl" fw={700}>
            {count(report.limits.limited, language)}
          </Text>
        </Card>
      </SimpleGrid>
      {hours.length > 0 && (
        <Card title={t('impact.overTime')}>
          <Suspense fallback={<Skeleton height={240} />}>
            <Chart label={t('impact.overTime')} rows={hours} series={series} />
          </Suspense>
        </Card>
      )}
      <Card title={t('impact.who')}>
        {rows.length === 0 ? (
          <Text c="dimmed">{t('impact.nobody')}</Text>
        ) : (
          <Wide label={t('impact.who')}>
            <Table>
              <Table.Thead>
                <Table.Tr>
                  {['tenant', 'rule', 'effect', 'calls', 'share'].map((name) => (
                    <Table.Th key={name}>{t(`field.${name}`)}</Table.Th>
                  ))}
                </Table.Tr>
              </Table.Thead>
              <Table.Tbody>
                {rows.map((row) => (
                  <Table.Tr key={`${row.tenant} ${row.rule} ${row.flip}`}>
                    <Table.Th scope="row">{row.tenant}</Table.Th>
                    <Table.Td className="mono">
                      {row.rule === '-' ? t('impact.noRule') : row.rule}
                    </Table.Td>
                    <Table.Td>{t(`flip.${row.flip}`)}</Table.Td>
                    <Table.Td>{count(row.calls, language)}</Table.Td>
                    <Table.Td miw={140}>
                      <Progress
                        value={row.of > 0 ? (100 * row.calls) / row.of : 0}
                        aria-label={t('impact.shareOf', { tenant: row.tenant })}
                      />
                    </Table.Td>
                  </Table.Tr>
                ))}
              </Table.Tbody>
            </Table>
          </Wide>
        )}
      </Card>
      <SimpleGrid cols={{ base: 1, md: 2 }}>
        <Card title={t('impact.coverage')}>
          <Stack gap={4}>
            <Text>{t('impact.replayed', { count: report.replayed })}</Text>
            <Text>
              {t('impact.reproduced', {
                n: count(report.reproduced, language),
                of: count(report.checked, language),
              })}
            </Text>
            {skipped.map(([why, calls]) => (
              <Text key={why} size="sm" c="dimmed">
                {t('impact.skipped', { n: count(calls, language) })}{' '}
                <span className="mono">{why}</span>
              </Text>
            ))}
            {report.not_searched > 0 && (
              <Text size="sm" c="dimmed">
                {t('impact.notSearched', {
                  count: report.not_searched,
                  kinds: report.kinds_not_sought.join(', '),
                })}
              </Text>
            )}
            {report.never_matched.length > 0 && (
              <Text size="sm" c="dimmed" className="break">
                {t('impact.neverMatched')}{' '}
                <span className="mono">{report.never_matched.join(', ')}</span>
              </Text>
            )}
          </Stack>
        </Card>
        <Card title={t('impact.shift')}>
          <Table>
            <Table.Thead>
              <Table.Tr>
                <Table.Th>{t('field.region')}</Table.Th>
                <Table.Th>{t('impact.before')}</Table.Th>
                <Table.Th>{t('impact.after')}</Table.Th>
              </Table.Tr>
            </Table.Thead>
            <Table.Tbody>
              {Object.entries(report.regions).map(([region, shift]) => (
                <Table.Tr key={region}>
                  <Table.Th scope="row">{region}</Table.Th>
                  <Table.Td>{count(shift.before, language)}</Table.Td>
                  <Table.Td>{count(shift.after, language)}</Table.Td>
                </Table.Tr>
              ))}
              {Object.entries(report.cost).map(([currency, shift]) => (
                <Table.Tr key={currency}>
                  <Table.Th scope="row">{t('total.cost')}</Table.Th>
                  <Table.Td>{money({ micros: shift.before_micros, currency }, language)}</Table.Td>
                  <Table.Td>{money({ micros: shift.after_micros, currency }, language)}</Table.Td>
                </Table.Tr>
              ))}
            </Table.Tbody>
          </Table>
        </Card>
      </SimpleGrid>
      {examples.length > 0 && (
        <Card title={t('impact.examples')}>
          {examples.map((example) => (
            <Group key={`${example.flip} ${example.decision_id}`} gap="xs">
              <Text size="sm">{t(`flip.${example.flip}`)}</Text>
              <ScreenLink to="/decisions/$id" params={{ id: example.decision_id }} fz="sm" py={4}>
                <span className="mono">{example.decision_id}</span>
              </ScreenLink>
              <Text size="sm">{example.tenant}</Text>
              <Text size="sm" className="mono" c="dimmed">
                {example.rules.join(', ')}
              </Text>
            </Group>
          ))}
        </Card>
      )}
    </Stack>
  );
}

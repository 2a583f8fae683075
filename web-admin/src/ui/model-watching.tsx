import { Button, Group, NumberInput, Stack, Table, Text, TextInput, Title } from '@mantine/core';
import { useMutation, useQuery } from '@tanstack/react-query';
import { lazy, Suspense, useState } from 'react';
import { useTranslation } from 'react-i18next';
import { api, data, type Schema } from '../api/client';
import { queryClient } from '../api/queries';
import { count } from './format';
import { Card, Fault, Loaded, State } from './parts';

const Chart = lazy(() => import('./chart'));

type Seen = Schema['VersionSeen'];

const COLOURS = ['#1864ab', '#a87000', '#2b8a3e', '#862e9c', '#c92a2a', '#0b7285', '#5c6670'];
/** Labels beyond these are shown together. */
const SHOWN = COLOURS.length - 1;

/** What the versions answered: counts of many texts, beside what they were trained on. */
export function ModelWatching({ name, operator }: { name: string; operator: boolean }) {
  const { t } = useTranslation();
  const [tenant, setTenant] = useState('');
  const [asked, setAsked] = useState('');
  const query = useQuery({
    queryKey: ['models', name, 'observations', asked],
    queryFn: () =>
      data(
        api.GET('/api/v1/models/{name}/observations', {
          params: { path: { name }, query: asked ? { tenant: asked } : {} },
        }),
      ),
    refetchInterval: 30_000,
  });
  return (
    <Card title={t('watch.title')}>
      <Stack>
        <Text size="sm" c="dimmed">
          {t('watch.note')}
        </Text>
        <form
          onSubmit={(event) => {
            event.preventDefault();
            setAsked(tenant.trim());
          }}
        >
          <Group align="flex-end">
            <TextInput
              label={t('watch.ofTenant')}
              value={tenant}
              onChange={(event) => setTenant(event.currentTarget.value)}
            />
            <Button type="submit" variant="default">
              {t('watch.show')}
            </Button>
          </Group>
        </form>
        <Loaded query={query}>
          {({ versions }) => {
            const seen = versions.filter((one) => one.seen.texts > 0 || one.mirrored > 0);
            return seen.length === 0 ? (
              <Text c="dimmed">{t('watch.nothing')}</Text>
            ) : (
              <Stack gap="xl">
                {seen.map((one) => (
                  <Version key={one.digest} name={name} seen={one} operator={operator} />
                ))}
              </Stack>
            );
          }}
        </Loaded>
      </Stack>
    </Card>
  );
}

function Version({ name, seen, operator }: { name: string; seen: Seen; operator: boolean }) {
  const { t, i18n } = useTranslation();
  const language = i18n.language;
  const number = (value: number) => count(value, language);
  const most = Object.entries(seen.seen.labels)
    .sort(([, a], [, b]) => b - a)
    .map(([label]) => label);
  const shown = most.slice(0, SHOWN);
  const hours = seen.hours.map((hour) => {
    const rest = Object.entries(hour.labels)
      .filter(([label]) => !shown.includes(label))
      .reduce((sum, [, n]) => sum + n, 0);
    const at = new Intl.DateTimeFormat(language, { dateStyle: 'short', timeStyle: 'short' });
    return {
      day: at.format(new Date(hour.at)),
      ...Object.fromEntries(shown.map((label) => [label, hour.labels[label] ?? 0])),
      [REST]: rest,
    };
  });
  const series = [...shown, ...(most.length > SHOWN ? [REST] : [])].map((label, index) => ({
    key: label,
    name: label === REST ? t('watch.rest') : label,
    colour: COLOURS[index % COLOURS.length] ?? '#5c6670',
  }));
  const buckets = (now: Record<string, number>, trained?: Record<string, number>) => {
    const names = [...new Set([...Object.keys(now), ...Object.keys(trained ?? {})])];
    return names
      .sort((a, b) => Number(a) - Number(b))
      .map((bucket) => ({ day: bucket, now: part(now, bucket), trained: part(trained, bucket) }));
  };
  const two = [
    { key: 'now', name: t('watch.now'), colour: '#1864ab' },
    ...(seen.trained ? [{ key: 'trained', name: t('watch.trained'), colour: '#a87000' }] : []),
  ];
  return (
    <section>
      <Title order={3} size="h6">
        {t('model.version', { version: seen.version })}
      </Title>
      <Text size="sm" data-watched={seen.version}>
        {t('watch.texts', { texts: number(seen.seen.texts) })}
        {seen.seen.tokens > 0 &&
          ` · ${t('watch.unknown', { share: percent(seen.seen.unknown / seen.seen.tokens, language) })}`}
        {seen.mirrored > 0 &&
          ` · ${t('watch.mirrored', { texts: number(seen.mirrored), differing: number(seen.differing) })}`}
      </Text>
      <Suspense fallback={null}>
        {hours.length > 0 && (
          <Chart
            label={t('watch.labels', { version: seen.version })}
            rows={hours}
            series={series}
          />
        )}
        <Group grow align="flex-start">
          <Chart
            label={t('watch.confidence', { version: seen.version })}
            rows={buckets(seen.seen.confidence, seen.trained?.confidence).map((row) => ({
              ...row,
              day: `${Number(row.day) / 10}–${(Number(row.day) + 1) / 10}`,
            }))}
            series={two}
            unstacked
          />
          <Chart
            label={t('watch.lengths', { version: seen.version })}
            rows={buckets(seen.seen.lengths, seen.trained?.lengths)}
            series={two}
            unstacked
          />
        </Group>
      </Suspense>
      <Group gap="xl" align="flex-start">
        <Table w="auto">
          <Table.Thead>
            <Table.Tr>
              <Table.Th>{t('field.tenant')}</Table.Th>
              <Table.Th>{t('field.items')}</Table.Th>
            </Table.Tr>
          </Table.Thead>
          <Table.Tbody>
            {seen.tenants.map((one) => (
              <Table.Tr key={one.tenant}>
                <Table.Td>{one.tenant}</Table.Td>
                <Table.Td>{number(one.texts)}</Table.Td>
              </Table.Tr>
            ))}
          </Table.Tbody>
        </Table>
        <Table w="auto">
          <Table.Thead>
            <Table.Tr>
              <Table.Th>{t('watch.measure')}</Table.Th>
              <Table.Th>{t('watch.value')}</Table.Th>
              <Table.Th>{t('watch.chance')}</Table.Th>
              <Table.Th>{t('watch.threshold')}</Table.Th>
              <Table.Th>{t('field.status')}</Table.Th>
            </Table.Tr>
          </Table.Thead>
          <Table.Tbody>
            {seen.drift.map((one) => (
              <Table.Tr key={one.measure}>
                <Table.Th scope="row">{t(`watch.measures.${one.measure}`)}</Table.Th>
                <Table.Td>{one.permille / 1000}</Table.Td>
                <Table.Td>{one.chance_permille / 1000}</Table.Td>
                <Table.Td>
                  <Threshold name={name} drift={one} operator={operator} />
                </Table.Td>
                <Table.Td>
                  <State value={one.passes ? 'alert' : 'quiet'} />
                </Table.Td>
              </Table.Tr>
            ))}
          </Table.Tbody>
        </Table>
      </Group>
      {seen.drift.length === 0 && (
        <Text size="sm" c="dimmed">
          {t('watch.tooFew')}
        </Text>
      )}
    </section>
  );
}

const REST = '…';

function part(counts: Record<string, number> | undefined, bucket: string): number {
  const all = Object.values(counts ?? {}).reduce((sum, n) => sum + n, 0);
  return all === 0 ? 0 : Math.round((1000 * (counts?.[bucket] ?? 0)) / all) / 10;
}

function percent(share: number, language: string): string {
  return new Intl.NumberFormat(language, {
    style: 'percent',
    maximumFractionDigits: 1,
  }).format(share);
}

/** From where on an alert is raised. */
function Threshold(props: { name: string; drift: Schema['Drift']; operator: boolean }) {
  const { t } = useTranslation();
  const { name, drift } = props;
  const [value, setValue] = useState<number | string>(drift.threshold_permille / 1000);
  const save = useMutation({
    mutationFn: () =>
      data(
        api.PUT('/api/v1/models/{name}/thresholds/{measure}', {
          params: { path: { name, measure: drift.measure } },
          body: { permille: Math.round(Number(value) * 1000) },
        }),
      ),
    onSuccess: () => queryClient.invalidateQueries({ queryKey: ['models', name] }),
  });
  return (
    <Group gap={4} wrap="nowrap">
      <NumberInput
        aria-label={t('watch.thresholdOf', { measure: t(`watch.measures.${drift.measure}`) })}
        size="xs"
        w={80}
        min={0}
        step={0.05}
        decimalScale={3}
        value={value}
        onChange={setValue}
        disabled={!props.operator}
      />
      {Number(value) * 1000 !== drift.threshold_permille && (
        <Button size="compact-xs" variant="default" onClick={() => save.mutate()}>
          {t('watch.set')}
        </Button>
      )}
      {save.isError && <Fault error={save.error} />}
    </Group>
  );
}

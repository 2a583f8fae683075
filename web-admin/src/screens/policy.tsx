import { Anchor, Group, Skeleton, Stack, Table, Tabs, Text } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { lazy, Suspense, useState } from 'react';
import { useTranslation } from 'react-i18next';
import { api, data, type Schema } from '../api/client';
import { count, money, when } from '../ui/format';
import { Card, Copy, Loaded, Screen, State, Wide } from '../ui/parts';
import { Transfers } from '../ui/transfers';
import { TryIt } from '../ui/try-it';

const Cedar = lazy(() => import('../ui/cedar'));

type Plan = {
  requests_per_second: number;
  burst: number;
  concurrency: number;
  monthly_items: number;
  monthly_budget?: Schema['Amount'] | null;
  prices: {
    per_item: Schema['Amount'];
    per_thousand_characters: Schema['Amount'];
    per_explanation?: Schema['Amount'];
  };
};

export function Policy() {
  const { t, i18n } = useTranslation();
  const query = useQuery({ queryKey: ['policy'], queryFn: () => data(api.GET('/api/v1/policy')) });
  const [file, setFile] = useState<string | null>(null);
  const [tab, setTab] = useState<string | null>('rules');
  return (
    <Screen title={t('nav.policy')} note={t('policy.note')}>
      <Loaded query={query}>
        {(policy) => {
          const plans = Object.entries(policy.plans as Record<string, unknown>) as [string, Plan][];
          const regions = Object.entries(
            policy.regions as Record<string, { jurisdiction?: string }>,
          );
          const shown = file ?? Object.keys(policy.files)[0] ?? '';
          return (
            <Stack gap="lg">
              <Card title={`${policy.name} · ${t('policy.version', { n: policy.version })}`}>
                <Group justify="space-between">
                  <div>
                    <Text className="mono break">{policy.digest}</Text>
                    <Text size="sm" c="dimmed">
                      {t('policy.activated', {
                        at: when(policy.activated_at, i18n.language),
                        by: policy.activated_by,
                      })}
                    </Text>
                  </div>
                  <Copy value={policy.digest} label={t('policy.digest')} />
                </Group>
              </Card>
              <Tabs value={tab} onChange={setTab} keepMounted={false}>
                <Tabs.List>
                  {['rules', 'try', 'source', 'plans', 'regions', 'transfers'].map((name) => (
                    <Tabs.Tab key={name} value={name}>
                      {t(`policy.${name}`)}
                    </Tabs.Tab>
                  ))}
                </Tabs.List>
                <Tabs.Panel value="rules" pt="md">
                  <Wide label={t('policy.rules')}>
                    <Table>
                      <Table.Thead>
                        <Table.Tr>
                          {['effect', 'rule', 'reason', 'action', 'file'].map((name) => (
                            <Table.Th key={name}>{t(`field.${name}`)}</Table.Th>
                          ))}
                        </Table.Tr>
                      </Table.Thead>
                      <Table.Tbody>
                        {policy.rules.map((rule) => (
                          <Table.Tr key={rule.id}>
                            <Table.Td>
                              <State value={rule.effect} />
                            </Table.Td>
                            <Table.Td>
                              <Text fw={600}>{rule.title}</Text>
                              <Text className="mono" c="dimmed">
                                {rule.id}
                              </Text>
                            </Table.Td>
                            <Table.Td>{rule.reason}</Table.Td>
                            <Table.Td>{rule.action}</Table.Td>
                            <Table.Td>
                              <Anchor
                                component="button"
                                type="button"
                                fz="sm"
                                onClick={() => {
                                  setFile(rule.file);
                                  setTab('source');
                                }}
                              >
                                {rule.file}
                              </Anchor>
                            </Table.Td>
                          </Table.Tr>
                        ))}
                      </Table.Tbody>
                    </Table>
                  </Wide>
                </Tabs.Panel>
                <Tabs.Panel value="transfers" pt="md">
                  <Transfers />
                </Tabs.Panel>
                <Tabs.Panel value="try" pt="md">
                  <TryIt />
                </Tabs.Panel>
                <Tabs.Panel value="source" pt="md">
                  <Stack>
                    <Group gap="xs">
                      {Object.keys(policy.files).map((name) => (
                        <Anchor
                          key={name}
                          component="button"
                          type="button"
                          fw={name === shown ? 700 : 400}
                          aria-pressed={name === shown}
                          onClick={() => setFile(name)}
                        >
                          {name}
                        </Anchor>
                      ))}
                    </Group>
                    <Suspense fallback={<Skeleton height={300} />}>
                      <Cedar text={policy.files[shown] ?? ''} label={shown} />
                    </Suspense>
                  </Stack>
                </Tabs.Panel>
                <Tabs.Panel value="plans" pt="md">
                  <Wide label={t('policy.plans')}>
                    <Table>
                      <Table.Thead>
                        <Table.Tr>
                          {[
                            'plan',
                            'rate',
                            'burst',
                            'concurrency',
                            'quota',
                            'budget',
                            'perItem',
                            'perThousand',
                            'perExplanation',
                          ].map((name) => (
                            <Table.Th key={name}>{t(`field.${name}`)}</Table.Th>
                          ))}
                        </Table.Tr>
                      </Table.Thead>
                      <Table.Tbody>
                        {plans.map(([name, plan]) => (
                          <Table.Tr key={name}>
                            <Table.Th scope="row">{name}</Table.Th>
                            <Table.Td>{count(plan.requests_per_second, i18n.language)}/s</Table.Td>
                            <Table.Td>{count(plan.burst, i18n.language)}</Table.Td>
                            <Table.Td>{count(plan.concurrency, i18n.language)}</Table.Td>
                            <Table.Td>{count(plan.monthly_items, i18n.language)}</Table.Td>
                            <Table.Td>{money(plan.monthly_budget, i18n.language)}</Table.Td>
                            <Table.Td>{money(plan.prices.per_item, i18n.language)}</Table.Td>
                            <Table.Td>
                              {money(plan.prices.per_thousand_characters, i18n.language)}
                            </Table.Td>
                            <Table.Td>{money(plan.prices.per_explanation, i18n.language)}</Table.Td>
                          </Table.Tr>
                        ))}
                      </Table.Tbody>
                    </Table>
                  </Wide>
                </Tabs.Panel>
                <Tabs.Panel value="regions" pt="md">
                  <Table w="auto">
                    <Table.Thead>
                      <Table.Tr>
                        <Table.Th>{t('field.region')}</Table.Th>
                        <Table.Th>{t('field.jurisdiction')}</Table.Th>
                      </Table.Tr>
                    </Table.Thead>
                    <Table.Tbody>
                      {regions.map(([name, rules]) => (
                        <Table.Tr key={name}>
                          <Table.Th scope="row">{name}</Table.Th>
                          <Table.Td>{rules.jurisdiction ?? '–'}</Table.Td>
                        </Table.Tr>
                      ))}
                    </Table.Tbody>
                  </Table>
                </Tabs.Panel>
              </Tabs>
            </Stack>
          );
        }}
      </Loaded>
    </Screen>
  );
}

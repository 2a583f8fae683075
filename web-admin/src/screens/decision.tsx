import { Grid, Group, Stack, Table, Text, Timeline } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useParams } from '@tanstack/react-router';
import { useTranslation } from 'react-i18next';
import { api, data } from '../api/client';
import { Explained } from '../ui/explained';
import { short, when } from '../ui/format';
import { Card, Copy, Loaded, Screen, State, Wide } from '../ui/parts';

type Rule = { id: string; reason: string };
type Decided = {
  policy?: string;
  permitted?: string[];
  rules?: Rule[];
  refused?: { region: string; rules: Rule[]; failed: boolean }[];
  obligations?: {
    redact?: string[];
    retain_days?: number | null;
    notices?: string[];
    log?: string;
  };
};
type Entry = {
  decision?: Decided | null;
  input?: Record<string, unknown> | null;
  redactions?: Record<string, number>;
};

export function Decision() {
  const { t, i18n } = useTranslation();
  const { id } = useParams({ from: '/signed-in/decisions/$id' });
  const query = useQuery({
    queryKey: ['decision', id],
    queryFn: () => data(api.GET('/api/v1/decisions/{id}', { params: { path: { id } } })),
  });
  return (
    <Screen title={t('decision.title')} note={id} actions={<Copy value={id} label={id} />}>
      <Loaded query={query}>
        {(view) => {
          const record = (view.intent ?? view.refusal ?? {}) as Entry;
          const decided = record.decision ?? undefined;
          const inputs = Object.entries(record.input ?? {});
          const redactions = Object.entries(record.redactions ?? {});
          return (
            <Grid>
              <Grid.Col span={{ base: 12, md: 5 }}>
                <Stack>
                  <Card title={t('decision.outcome')}>
                    <Group>
                      <State value={view.status} />
                      <Text>{view.tenant ?? '–'}</Text>
                      <Text c="dimmed">{when(view.at, i18n.language)}</Text>
                    </Group>
                  </Card>
                  <Card title={t('decision.stages')}>
                    <Timeline bulletSize={14} active={view.stages.length}>
                      {view.stages.map((stage) => (
                        <Timeline.Item
                          key={stage.name}
                          title={t(`stage.${stage.name}`, { defaultValue: stage.name })}
                        >
                          <Text size="sm">{stage.detail}</Text>
                          {stage.duration_us != null && (
                            <Text size="xs" c="dimmed">
                              {(stage.duration_us / 1000).toFixed(2)} ms
                            </Text>
                          )}
                        </Timeline.Item>
                      ))}
                    </Timeline>
                  </Card>
                  <Card title={t('decision.redacted')}>
                    {redactions.length === 0 ? (
                      <Text c="dimmed">{t('decision.nothingRedacted')}</Text>
                    ) : (
                      redactions.map(([kind, n]) => (
                        <Group key={kind} justify="space-between">
                          <Text className="mono">{kind}</Text>
                          <Text>{n}</Text>
                        </Group>
                      ))
                    )}
                  </Card>
                </Stack>
              </Grid.Col>
              <Grid.Col span={{ base: 12, md: 7 }}>
                <Stack>
                  <Card title={t('decision.rules')}>
                    <Stack gap="xs">
                      <Text size="sm" c="dimmed">
                        {t('decision.policy')}{' '}
                        <span className="mono">{short(decided?.policy)}</span>
                      </Text>
                      {(decided?.permitted ?? []).map((region) => (
                        <Group key={region} gap="xs">
                          <State value="permit" />
                          <Text>{region}</Text>
                        </Group>
                      ))}
                      {(decided?.rules ?? []).map((rule) => (
                        <Reason key={rule.id} rule={rule} />
                      ))}
                      {(decided?.refused ?? []).map((refused) => (
                        <div key={refused.region}>
                          <Group gap="xs">
                            <State value="refused" />
                            <Text>{refused.region}</Text>
                          </Group>
                          {refused.rules.length === 0 ? (
                            <Text size="sm" c="dimmed">
                              {t(refused.failed ? 'decision.errored' : 'decision.noRule')}
                            </Text>
                          ) : (
                            refused.rules.map((rule) => <Reason key={rule.id} rule={rule} />)
                          )}
                        </div>
                      ))}
                      {!decided && <Text c="dimmed">{t('decision.notDecided')}</Text>}
                    </Stack>
                  </Card>
                  <Card title={t('decision.explained')}>
                    <Explained id={id} />
                  </Card>
                  <Card title={t('decision.inputs')}>
                    {inputs.length === 0 ? (
                      <Text c="dimmed">{t('decision.notDecided')}</Text>
                    ) : (
                      <Wide label={t('decision.inputs')}>
                        <Table fz="sm">
                          <Table.Tbody>
                            {inputs.map(([name, value]) => (
                              <Table.Tr key={name}>
                                <Table.Th scope="row" w={160}>
                                  {name}
                                </Table.Th>
                                <Table.Td className="mono break">
                                  {name === 'at'
                                    ? when(view.at, i18n.language)
                                    : JSON.stringify(value)}
                                </Table.Td>
                              </Table.Tr>
                            ))}
                          </Table.Tbody>
                        </Table>
                      </Wide>
                    )}
                  </Card>
                  <Card title={t('decision.proof')}>
                    <Stack gap="sm">
                      {view.entries.map((entry) => (
                        <div key={`${entry.origin}/${entry.index}`}>
                          <Group gap="xs">
                            <State value={entry.inclusion?.verified ? 'verified' : 'unchecked'} />
                            <Text className="mono">
                              {entry.origin} #{entry.index}
                            </Text>
                          </Group>
                          <Text size="xs" c="dimmed" className="mono break">
                            {t('decision.leaf')} {entry.leaf_hash}
                          </Text>
                          {entry.inclusion && (
                            <Text size="xs" c="dimmed" className="mono break">
                              {t('decision.root', { count: entry.inclusion.tree_size })}{' '}
                              {entry.inclusion.root}
                            </Text>
                          )}
                        </div>
                      ))}
                    </Stack>
                  </Card>
                  <Card title={t('decision.raw')}>
                    <Wide label={t('decision.raw')}>
                      <pre className="mono raw">
                        {JSON.stringify(
                          { intent: view.intent, outcome: view.outcome, refusal: view.refusal },
                          null,
                          2,
                        )}
                      </pre>
                    </Wide>
                  </Card>
                </Stack>
              </Grid.Col>
            </Grid>
          );
        }}
      </Loaded>
    </Screen>
  );
}

function Reason({ rule }: { rule: Rule }) {
  return (
    <div>
      <Text className="mono">{rule.id}</Text>
      <Text size="sm" c="dimmed">
        {rule.reason}
      </Text>
    </div>
  );
}

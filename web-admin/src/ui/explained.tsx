import { Group, Stack, Text } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useTranslation } from 'react-i18next';
import { api, data, Refused } from '../api/client';
import { Card, Fault, State } from './parts';

/** The shape of `reeve_policy::explain::Explanation`. */
type Explanation = {
  regions: { region: string; permitted: boolean; failed: boolean; rules: string[] }[];
  rules: {
    id: string;
    title: string;
    article: string | null;
    effect: string;
    source: string;
    file: string;
    attributes: Record<string, unknown>;
  }[];
  ways: {
    changes: { attribute: string; to: string; by: 'caller' | 'operator' }[];
    permitted: string[];
  }[];
};

/** The rules that made a decision, what they read, and what would have to differ. */
export function Explained({ id }: { id: string }) {
  const { t } = useTranslation();
  const query = useQuery({
    queryKey: ['explanation', id],
    queryFn: () =>
      data(api.GET('/api/v1/decisions/{id}/explanation', { params: { path: { id } } })),
    retry: false,
  });
  const missing = query.error instanceof Refused && query.error.problem.status === 404;
  if (query.isError) {
    return missing ? (
      <Text c="dimmed">{t('decision.notDecided')}</Text>
    ) : (
      <Fault error={query.error} />
    );
  }
  if (!query.data) return null;
  const explanation = query.data.explanation as unknown as Explanation;
  return (
    <Stack>
      <Group gap="xs">
        <State value={query.data.reproduced ? 'verified' : 'failed'} />
        <Text>{t(query.data.reproduced ? 'explain.reproduced' : 'explain.differs')}</Text>
      </Group>
      {explanation.ways.length > 0 && (
        <Card title={t('explain.ways')}>
          <Stack gap="xs">
            {explanation.ways.map((way) => (
              <Group key={JSON.stringify(way.changes)} gap="xs">
                {way.changes.map((change) => (
                  <Text key={change.attribute} size="sm">
                    <span className="mono">
                      {change.attribute} → {change.to}
                    </span>{' '}
                    ({t(`explain.by.${change.by}`)})
                  </Text>
                ))}
                <Text size="sm" c="dimmed">
                  {way.permitted.join(', ')}
                </Text>
              </Group>
            ))}
          </Stack>
        </Card>
      )}
      {explanation.rules.map((rule) => (
        <Card key={rule.id} title={rule.title}>
          <Stack gap="xs">
            <Group gap="xs">
              <State value={rule.effect} />
              <Text className="mono">{rule.id}</Text>
              <Text size="sm" c="dimmed">
                {rule.article ?? ''} · {rule.file}
              </Text>
            </Group>
            <pre className="mono raw">{rule.source}</pre>
            {Object.entries(rule.attributes).map(([name, value]) => (
              <Text key={name} size="sm" className="mono break">
                {name} = {JSON.stringify(value)}
              </Text>
            ))}
          </Stack>
        </Card>
      ))}
    </Stack>
  );
}

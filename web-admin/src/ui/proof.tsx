import { Alert, Button, Code, Group, SimpleGrid, Stack, Text } from '@mantine/core';
import { useMutation } from '@tanstack/react-query';
import { useTranslation } from 'react-i18next';
import { api, data, type Schema } from '../api/client';
import { Card, Fault, State } from './parts';

/** A call for which two policies differ; the shape of `reeve_prover::Sample`. */
type Sample = {
  action: string;
  tenant: string;
  context: Record<string, unknown>;
  entities: { uid: { type: string; id: string }; attrs: Record<string, unknown>; tags?: unknown }[];
  rules_before: string[];
  rules_after: string[];
};
type Finding = { answer: 'never' } | { answer: 'sometimes'; sample: Sample };
type Report = { newly_allowed: Finding; newly_denied: Finding; may_fail: string[] };

/** What a solver says a change newly allows and denies, for every call that there could be. */
export function Proof(props: {
  change: string;
  proof: Schema['Proof'] | null | undefined;
  may: boolean;
  onAsked: () => Promise<unknown>;
}) {
  const { t } = useTranslation();
  const { proof } = props;
  const ask = useMutation({
    mutationFn: () =>
      data(
        api.POST('/api/v1/policy/changes/{id}/proofs', { params: { path: { id: props.change } } }),
      ),
    onSuccess: props.onAsked,
  });
  const report = proof?.report as Report | null | undefined;
  const working = proof?.state === 'queued' || proof?.state === 'running';
  return (
    <Card title={t('proof.title')}>
      <Stack>
        <Group>
          <Button
            variant="default"
            disabled={!props.may || working}
            loading={ask.isPending}
            onClick={() => ask.mutate()}
          >
            {t('proof.ask')}
          </Button>
          {proof && <State value={proof.state} />}
          <Text size="sm" c="dimmed">
            {t('proof.note')}
          </Text>
        </Group>
        {ask.isError && <Fault error={ask.error} />}
        {proof?.failure && (
          <Alert color="yellow" title={t('proof.failed')}>
            {proof.failure}. {t('proof.two')}
          </Alert>
        )}
        {report && (
          <SimpleGrid cols={{ base: 1, md: 2 }}>
            {(['newly_allowed', 'newly_denied'] as const).map((question) => (
              <Answer key={question} question={question} finding={report[question]} />
            ))}
          </SimpleGrid>
        )}
        {report && report.may_fail.length > 0 && (
          <Text size="sm">
            {t('proof.mayFail')} <span className="mono">{report.may_fail.join(', ')}</span>
          </Text>
        )}
      </Stack>
    </Card>
  );
}

function Answer({
  question,
  finding,
}: {
  question: 'newly_allowed' | 'newly_denied';
  finding: Finding;
}) {
  const { t } = useTranslation();
  if (finding.answer === 'never') {
    return (
      <Stack gap={4} data-proof={question}>
        <Text fw={600}>{t(`proof.${question}`)}</Text>
        <Text>{t('proof.never')}</Text>
      </Stack>
    );
  }
  const { sample } = finding;
  const model = sample.entities.find((entity) => entity.uid.type === 'Model');
  const tenant = sample.entities.find(
    (entity) => entity.uid.type === 'Tenant' && entity.uid.id === sample.tenant,
  );
  return (
    <Stack gap={4} data-proof={question}>
      <Text fw={600}>{t(`proof.${question}`)}</Text>
      <Text>{t('proof.sometimes', { tenant: sample.tenant, action: sample.action })}</Text>
      <Text size="sm">
        {t('proof.before')} <span className="mono">{sample.rules_before.join(', ') || '–'}</span>
      </Text>
      <Text size="sm">
        {t('proof.after')} <span className="mono">{sample.rules_after.join(', ') || '–'}</span>
      </Text>
      <Text size="sm" c="dimmed">
        {t('proof.made')}
      </Text>
      <Code block tabIndex={0} aria-label={t('proof.sample')} mah={320}>
        {JSON.stringify(
          {
            context: sample.context,
            tenant: tenant && { ...tenant.attrs, tags: tenant.tags },
            model: model?.attrs,
          },
          null,
          2,
        )}
      </Code>
    </Stack>
  );
}

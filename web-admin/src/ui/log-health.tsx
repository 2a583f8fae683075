import { Button, Group, Stack, Text, Tooltip } from '@mantine/core';
import { useMutation, useQuery } from '@tanstack/react-query';
import { useTranslation } from 'react-i18next';
import { api, data, type Schema } from '../api/client';
import { logs, queryClient, session } from '../api/queries';
import { when } from './format';
import { Fault, Loaded, State } from './parts';

function state(log: Schema['LogStatus']): string {
  if (log.findings.length > 0) return 'findings';
  return log.verified_at ? 'verified' : 'unchecked';
}

/** Every log: how long it is, when it was verified, and what was found. */
export function LogHealth() {
  const { t, i18n } = useTranslation();
  const query = useQuery(logs);
  const user = useQuery(session).data?.user;
  const verify = useMutation({
    mutationFn: (origin: string) =>
      data(api.POST('/api/v1/logs/verify', { params: { query: { origin } } })),
    onSettled: () => queryClient.invalidateQueries({ queryKey: ['logs'] }),
  });
  const may = user?.roles.includes('auditor') ?? false;
  return (
    <Stack gap="sm">
      <Loaded query={query}>
        {(list) =>
          list.map((log) => (
            <Group key={log.origin} justify="space-between" wrap="nowrap">
              <div>
                <Group gap="xs">
                  <Text className="mono">{log.origin}</Text>
                  <State value={state(log)} />
                </Group>
                <Text size="sm" c="dimmed">
                  {t('logs.entries', { count: log.size })} ·{' '}
                  {log.verified_at
                    ? t('logs.verifiedAt', { at: when(log.verified_at, i18n.language) })
                    : t('logs.never')}
                </Text>
                {log.findings.map((finding) => (
                  <Text key={`${finding.file}${finding.index}${finding.kind}`} size="sm" c="red">
                    {finding.kind}: {finding.file} {finding.index ?? ''} {finding.detail}
                  </Text>
                ))}
              </div>
              <Tooltip label={t('logs.auditorOnly')} disabled={may}>
                <Button
                  size="xs"
                  variant="default"
                  disabled={!may}
                  loading={verify.isPending && verify.variables === log.origin}
                  onClick={() => verify.mutate(log.origin)}
                  aria-label={`${t('logs.verify')}: ${log.origin}`}
                >
                  {t('logs.verify')}
                </Button>
              </Tooltip>
            </Group>
          ))
        }
      </Loaded>
      {verify.isError && <Fault error={verify.error} />}
    </Stack>
  );
}

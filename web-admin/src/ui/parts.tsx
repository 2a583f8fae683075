import {
  Alert,
  Badge,
  Button,
  CopyButton,
  Group,
  Paper,
  Skeleton,
  Stack,
  Text,
  Title,
} from '@mantine/core';
import type { UseQueryResult } from '@tanstack/react-query';
import type { ReactNode } from 'react';
import { useTranslation } from 'react-i18next';
import { Refused } from '../api/client';

/** A screen: its heading, what can be done on it, and its content. */
export function Screen(props: {
  title: string;
  note?: string;
  actions?: ReactNode;
  children: ReactNode;
}) {
  return (
    <Stack gap="lg">
      <Group justify="space-between" align="flex-end">
        <div>
          <Title order={1} size="h2">
            {props.title}
          </Title>
          {props.note && <Text c="dimmed">{props.note}</Text>}
        </div>
        {props.actions}
      </Group>
      {props.children}
    </Stack>
  );
}

export function Card(props: { title: string; children: ReactNode }) {
  return (
    <Paper withBorder p="md" component="section">
      <Title order={2} size="h5" mb="sm">
        {props.title}
      </Title>
      {props.children}
    </Paper>
  );
}

/** What went wrong, in the server's own words. */
export function Fault({ error }: { error: unknown }) {
  const { t } = useTranslation();
  const problem = error instanceof Refused ? error.problem : undefined;
  return (
    <Alert color="red" variant="outline" role="alert" title={problem?.title ?? t('state.failed')}>
      <Text size="sm">{problem?.detail ?? (problem ? '' : String(error))}</Text>
      {problem && (
        <Text size="sm" className="mono">
          {problem.code}
        </Text>
      )}
    </Alert>
  );
}

/** Shows a query's data, or that it is loading, or that it failed. */
export function Loaded<T>({
  query,
  children,
}: {
  query: UseQueryResult<T>;
  children: (data: T) => ReactNode;
}) {
  const { t } = useTranslation();
  if (query.data !== undefined) return <>{children(query.data)}</>;
  if (query.isError) {
    return (
      <Stack align="flex-start">
        <Fault error={query.error} />
        <Button variant="default" onClick={() => query.refetch()}>
          {t('state.again')}
        </Button>
      </Stack>
    );
  }
  return (
    <Stack role="status" aria-label={t('state.loading')}>
      <Skeleton height={28} width="40%" />
      <Skeleton height={180} />
    </Stack>
  );
}

export function Empty({ children }: { children: ReactNode }) {
  return (
    <Paper withBorder p="xl">
      <Text ta="center" c="dimmed">
        {children}
      </Text>
    </Paper>
  );
}

const TONES: Record<string, string> = {
  completed: '#2b8a3e',
  active: '#2b8a3e',
  verified: '#2b8a3e',
  permit: '#2b8a3e',
  approved: '#2b8a3e',
  applied: '#2b8a3e',
  ready: '#2b8a3e',
  quiet: '#2b8a3e',
  kept: '#a87000',
  pending: '#a87000',
  candidate: '#a87000',
  'in-review': '#a87000',
  loading: '#a87000',
  leaving: '#a87000',
  unknown: '#a87000',
  unchecked: '#a87000',
  failed: '#c92a2a',
  refused: '#c92a2a',
  suspended: '#c92a2a',
  revoked: '#c92a2a',
  findings: '#c92a2a',
  forbid: '#c92a2a',
  alert: '#c92a2a',
  rejected: '#c92a2a',
};

/** A state as a word with a coloured dot: never by colour alone. */
export function State({ value }: { value: string | null | undefined }) {
  const { t } = useTranslation();
  if (!value) return <>–</>;
  return (
    <Badge
      variant="default"
      tt="none"
      fw={500}
      miw="max-content"
      leftSection={<span className="dot" style={{ background: TONES[value] ?? '#5c6670' }} />}
    >
      {t(`word.${value}`, { defaultValue: value })}
    </Badge>
  );
}

export function Copy({ value, label }: { value: string; label: string }) {
  const { t } = useTranslation();
  return (
    <CopyButton value={value}>
      {({ copied, copy }) => (
        <Button
          size="xs"
          variant="default"
          onClick={copy}
          aria-label={`${t('action.copy')}: ${label}`}
        >
          {copied ? t('action.copied') : t('action.copy')}
        </Button>
      )}
    </CopyButton>
  );
}

/** A table that scrolls sideways by mouse and by keyboard where it is wider than the screen. */
export function Wide({ label, children }: { label: string; children: ReactNode }) {
  return (
    <section className="table-scroll" aria-label={label} tabIndex={0}>
      {children}
    </section>
  );
}

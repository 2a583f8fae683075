import { Button, Group, Select, Stack, Table, TagsInput, Text, TextInput } from '@mantine/core';
import { useMutation, useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';
import { api, data, type Schema } from '../api/client';
import { queryClient } from '../api/queries';
import { Card, Fault, Loaded } from './parts';

type File = Schema['LegalFile'];

/** One thing on file: its name, a word to it where it has one, and its last day. */
type Row = {
  kind: 'agreements' | 'instruments' | 'bases' | 'overseen';
  name: string;
  word: string;
  until: string;
};
const KINDS = ['agreements', 'instruments', 'bases', 'overseen'] as const;

const day = (moment: string | null | undefined) => moment?.slice(0, 10) ?? '';
const end = (until: string) => (until ? `${until}T00:00:00Z` : null);

function rowsOf(file: File): Row[] {
  return [
    ...Object.entries(file.agreements ?? {}).map(([name, until]) => ({
      kind: 'agreements' as const,
      name,
      word: '',
      until: day(until),
    })),
    ...Object.entries(file.instruments ?? {}).map(([name, { kind, until }]) => ({
      kind: 'instruments' as const,
      name,
      word: kind,
      until: day(until),
    })),
    ...Object.entries(file.bases ?? {}).map(([name, word]) => ({
      kind: 'bases' as const,
      name,
      word,
      until: '',
    })),
    ...Object.entries(file.overseen ?? {}).map(([name, until]) => ({
      kind: 'overseen' as const,
      name,
      word: '',
      until: day(until),
    })),
  ];
}

function fileOf(entity: string, purposes: string[], rows: Row[]): File {
  const of = (kind: Row['kind']) => rows.filter((row) => row.kind === kind);
  return {
    entity: entity || null,
    purposes,
    agreements: Object.fromEntries(of('agreements').map((row) => [row.name, end(row.until)])),
    instruments: Object.fromEntries(
      of('instruments').map((row) => [row.name, { kind: row.word, until: end(row.until) }]),
    ),
    bases: Object.fromEntries(of('bases').map((row) => [row.name, row.word])),
    overseen: Object.fromEntries(of('overseen').map((row) => [row.name, end(row.until)])),
  };
}

/** What is on file for a tenant that law asks for. */
export function LegalFile({ tenant, may }: { tenant: string; may: boolean }) {
  const { t } = useTranslation();
  const query = useQuery({
    queryKey: ['legal', tenant],
    queryFn: () =>
      data(api.GET('/api/v1/tenants/{id}/legal', { params: { path: { id: tenant } } })),
  });
  return (
    <Card title={t('legal.title')}>
      <Loaded query={query}>
        {(file) => <Form key={JSON.stringify(file)} tenant={tenant} file={file} may={may} />}
      </Loaded>
    </Card>
  );
}

function Form({ tenant, file, may }: { tenant: string; file: File; may: boolean }) {
  const { t } = useTranslation();
  const [entity, setEntity] = useState(file.entity ?? '');
  const [purposes, setPurposes] = useState<string[]>(file.purposes ?? []);
  const [rows, setRows] = useState(rowsOf(file));
  const [fresh, setFresh] = useState<Row>({ kind: 'agreements', name: '', word: '', until: '' });
  const save = useMutation({
    mutationFn: () =>
      data(
        api.PUT('/api/v1/tenants/{id}/legal', {
          params: { path: { id: tenant } },
          body: fileOf(entity, purposes, rows),
        }),
      ),
    onSuccess: () =>
      Promise.all([
        queryClient.invalidateQueries({ queryKey: ['legal', tenant] }),
        queryClient.invalidateQueries({ queryKey: ['tenant', tenant] }),
      ]),
  });
  const needsWord = fresh.kind === 'instruments' || fresh.kind === 'bases';
  return (
    <Stack>
      <Text c="dimmed">{t('legal.note')}</Text>
      <Group align="flex-start" grow>
        <TagsInput
          label={t('field.purposes')}
          value={purposes}
          onChange={setPurposes}
          readOnly={!may}
        />
        <TextInput
          label={t('legal.entity')}
          value={entity}
          onChange={(event) => setEntity(event.currentTarget.value)}
          readOnly={!may}
        />
      </Group>
      {rows.length > 0 && (
        <Table>
          <Table.Tbody>
            {rows.map((row) => (
              <Table.Tr key={`${row.kind} ${row.name}`}>
                <Table.Td>{t(`legal.${row.kind}`)}</Table.Td>
                <Table.Th scope="row">{row.name}</Table.Th>
                <Table.Td>{row.word}</Table.Td>
                <Table.Td>{row.until ? t('legal.until', { day: row.until }) : ''}</Table.Td>
                <Table.Td>
                  <Button
                    size="compact-sm"
                    variant="default"
                    disabled={!may}
                    aria-label={`${t('legal.remove')}: ${row.name}`}
                    onClick={() => setRows(rows.filter((other) => other !== row))}
                  >
                    {t('legal.remove')}
                  </Button>
                </Table.Td>
              </Table.Tr>
            ))}
          </Table.Tbody>
        </Table>
      )}
      {may && (
        <Group align="flex-end">
          <Select
            label={t('field.kind')}
            data={KINDS.map((value) => ({ value, label: t(`legal.${value}`) }))}
            value={fresh.kind}
            onChange={(kind) => setFresh({ ...fresh, kind: (kind ?? 'agreements') as Row['kind'] })}
            allowDeselect={false}
          />
          <TextInput
            label={t(`legal.name.${fresh.kind}`)}
            value={fresh.name}
            onChange={(event) => setFresh({ ...fresh, name: event.currentTarget.value })}
          />
          {needsWord && (
            <TextInput
              label={t(`legal.word.${fresh.kind}`)}
              value={fresh.word}
              onChange={(event) => setFresh({ ...fresh, word: event.currentTarget.value })}
            />
          )}
          {fresh.kind !== 'bases' && (
            <TextInput
              type="date"
              label={t('legal.end')}
              value={fresh.until}
              onChange={(event) => setFresh({ ...fresh, until: event.currentTarget.value })}
            />
          )}
          <Button
            variant="default"
            disabled={fresh.name === '' || (needsWord && fresh.word === '')}
            onClick={() => {
              const same = (row: Row) => row.kind === fresh.kind && row.name === fresh.name;
              setRows([...rows.filter((row) => !same(row)), fresh]);
              setFresh({ ...fresh, name: '', word: '', until: '' });
            }}
          >
            {t('legal.add')}
          </Button>
        </Group>
      )}
      {save.isError && <Fault error={save.error} />}
      <Group>
        <Button disabled={!may} loading={save.isPending} onClick={() => save.mutate()}>
          {t('legal.save')}
        </Button>
        {!may && (
          <Text size="sm" c="dimmed">
            {t('tenants.operatorOnly')}
          </Text>
        )}
      </Group>
    </Stack>
  );
}

import {
  Button,
  FileInput,
  Group,
  List,
  Modal,
  NumberInput,
  Select,
  Stack,
  Table,
  TagsInput,
  Text,
  TextInput,
} from '@mantine/core';
import { useMutation } from '@tanstack/react-query';
import { type FormEvent, useState } from 'react';
import { useTranslation } from 'react-i18next';
import { api, data, type Schema } from '../api/client';
import { queryClient } from '../api/queries';
import { count, short, when } from './format';
import { Card, Fault, State, Wide } from './parts';

type Detail = Schema['ModelDetail'];
type Version = Schema['VersionDetail'];
type Deed = 'promote' | 'canary' | 'shadow' | 'place' | 'alias' | 'restore' | 'withdraw';

/** The versions with their cards, and what can be done with each. */
export function ModelVersions(props: { detail: Detail; operator: boolean; approver: boolean }) {
  const { t, i18n } = useTranslation();
  const { detail, operator, approver } = props;
  const [chosen, setChosen] = useState<{ version: Version; deed: Deed }>();
  const [card, setCard] = useState<Version>();
  const deeds = (version: Version): Deed[] =>
    version.state === 'withdrawn'
      ? ['restore']
      : ['promote', 'canary', 'shadow', 'place', 'alias', 'withdraw'];
  return (
    <Card title={t('model.versions')}>
      <Wide label={t('model.versions')}>
        <Table>
          <Table.Thead>
            <Table.Tr>
              {['version', 'status', 'digest', 'created', 'risk', 'action'].map((name) => (
                <Table.Th key={name}>{t(`field.${name}`)}</Table.Th>
              ))}
            </Table.Tr>
          </Table.Thead>
          <Table.Tbody>
            {detail.versions.map((version) => (
              <Table.Tr key={version.digest} data-version={version.version}>
                <Table.Td>
                  <Button variant="subtle" size="compact-sm" onClick={() => setCard(version)}>
                    {version.version}
                  </Button>
                  <Text size="sm">{version.aliases.join(', ')}</Text>
                </Table.Td>
                <Table.Td>
                  <State value={version.state} />
                </Table.Td>
                <Table.Td className="mono">{short(version.digest)}</Table.Td>
                <Table.Td>
                  {when(version.created_at, i18n.language)}, {version.created_by}
                </Table.Td>
                <Table.Td>{t(`models.risk.${version.risk_class}`, version.risk_class)}</Table.Td>
                <Table.Td>
                  <Group gap={4}>
                    {deeds(version).map((deed) => (
                      <Button
                        key={deed}
                        size="compact-sm"
                        variant="default"
                        disabled={deed === 'withdraw' ? !approver : !operator}
                        onClick={() => setChosen({ version, deed })}
                      >
                        {t(`model.deed.${deed}`)}
                      </Button>
                    ))}
                  </Group>
                </Table.Td>
              </Table.Tr>
            ))}
          </Table.Tbody>
        </Table>
      </Wide>
      <Modal
        opened={chosen !== undefined}
        onClose={() => setChosen(undefined)}
        title={
          chosen &&
          t('model.deedOf', {
            deed: t(`model.deed.${chosen.deed}`),
            version: chosen.version.version,
          })
        }
        closeButtonProps={{ 'aria-label': t('action.close') }}
      >
        {chosen && (
          <Do
            detail={detail}
            version={chosen.version}
            deed={chosen.deed}
            done={() => setChosen(undefined)}
          />
        )}
      </Modal>
      <Modal
        opened={card !== undefined}
        onClose={() => setCard(undefined)}
        size="lg"
        title={card && `${detail.name} ${card.version}`}
        closeButtonProps={{ 'aria-label': t('action.close') }}
      >
        {card && <ModelCard version={card} />}
      </Modal>
    </Card>
  );
}

/** The form of one deed. */
function Do(props: { detail: Detail; version: Version; deed: Deed; done: () => void }) {
  const { t } = useTranslation();
  const { detail, version, deed } = props;
  const { digest } = version;
  const { name } = detail;
  const placed = detail.placements.filter((one) => one.wanted && one.digest === digest);
  const [reason, setReason] = useState('');
  const [percent, setPercent] = useState<number | string>(10);
  const [by, setBy] = useState<string | null>('subject');
  const [alias, setAlias] = useState('staging');
  const [regions, setRegions] = useState(placed.map((one) => one.region));
  const permille = Math.round(Number(percent) * 10);
  const send = async () => {
    const path = { name };
    switch (deed) {
      case 'promote':
      case 'restore':
        await data(
          api.POST('/api/v1/models/{name}/changes', {
            params: { path },
            body: { kind: deed, digest, reason },
          }),
        );
        return;
      case 'canary':
        await data(
          api.POST('/api/v1/models/{name}/changes', {
            params: { path },
            body: { kind: deed, digest, reason, permille, by: by as Schema['ShareBy'] },
          }),
        );
        return;
      case 'shadow':
        await data(
          api.PUT('/api/v1/models/{name}/shadow', {
            params: { path },
            body: { digest, permille },
          }),
        );
        return;
      case 'alias':
        await data(
          api.PUT('/api/v1/models/{name}/aliases/{alias}', {
            params: { path: { name, alias } },
            body: { digest },
          }),
        );
        return;
      case 'place':
        await data(
          api.PUT('/api/v1/models/{digest}/placement', {
            params: { path: { digest } },
            body: { regions },
          }),
        );
        return;
      case 'withdraw':
        await data(
          api.POST('/api/v1/models/{digest}/withdrawal', {
            params: { path: { digest } },
            body: { reason },
          }),
        );
    }
  };
  const act = useMutation({
    mutationFn: send,
    onSuccess: async () => {
      await queryClient.invalidateQueries({ queryKey: ['models'] });
      props.done();
    },
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    act.mutate();
  };
  const asked = deed === 'promote' || deed === 'canary' || deed === 'restore';
  return (
    <form onSubmit={submit}>
      <Stack>
        <Text size="sm">{t(`model.about.${deed}`)}</Text>
        {(deed === 'canary' || deed === 'shadow') && (
          <NumberInput
            label={t('model.percent')}
            value={percent}
            onChange={setPercent}
            min={0.1}
            max={100}
            step={5}
            decimalScale={1}
            required
          />
        )}
        {deed === 'canary' && (
          <Select
            label={t('model.whose')}
            data={['subject', 'decision'].map((value) => ({
              value,
              label: t(`model.shareBy.${value}`),
            }))}
            value={by}
            onChange={setBy}
            allowDeselect={false}
          />
        )}
        {deed === 'alias' && (
          <TextInput
            label={t('model.alias')}
            value={alias}
            onChange={(event) => setAlias(event.currentTarget.value)}
            required
          />
        )}
        {deed === 'place' && (
          <TagsInput label={t('model.regions')} value={regions} onChange={setRegions} />
        )}
        {(asked || deed === 'withdraw') && (
          <TextInput
            label={t('field.reason')}
            value={reason}
            onChange={(event) => setReason(event.currentTarget.value)}
            required
          />
        )}
        {act.isError && <Fault error={act.error} />}
        <Button
          type="submit"
          loading={act.isPending}
          color={deed === 'withdraw' ? 'red' : undefined}
        >
          {t(asked ? 'model.ask' : 'model.do')}
        </Button>
      </Stack>
    </form>
  );
}

/** What a version is for and how well it does, as its bundle states it. */
function ModelCard({ version }: { version: Version }) {
  const { t, i18n } = useTranslation();
  const card = version.card as {
    intended_use?: string;
    languages?: string[];
    license?: string;
    limits?: string[];
    training_data?: { digest: string; texts: number } | null;
    metrics?: { accuracy?: number; macro_f1?: number } | null;
  };
  const part = (value: number | undefined) =>
    value === undefined
      ? '–'
      : new Intl.NumberFormat(i18n.language, { style: 'percent', maximumFractionDigits: 1 }).format(
          value,
        );
  const rows: [string, string][] = [
    [t('model.card.use'), card.intended_use ?? '–'],
    [t('model.card.languages'), card.languages?.join(', ') || '–'],
    [t('model.card.license'), card.license ?? '–'],
    [t('model.card.accuracy'), part(card.metrics?.accuracy)],
    [t('model.card.macroF1'), part(card.metrics?.macro_f1)],
    [
      t('model.card.data'),
      card.training_data
        ? `${count(card.training_data.texts, i18n.language)}, ${short(card.training_data.digest)}`
        : '–',
    ],
    [t('model.card.size'), count(version.size, i18n.language)],
    [t('field.labels'), version.labels.join(', ')],
    [t('field.digest'), version.digest],
  ];
  return (
    <Stack>
      <Table>
        <Table.Tbody>
          {rows.map(([name, value]) => (
            <Table.Tr key={name}>
              <Table.Th scope="row">{name}</Table.Th>
              <Table.Td style={{ overflowWrap: 'anywhere' }}>{value}</Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
      {(card.limits ?? []).length > 0 && (
        <List size="sm">
          {card.limits?.map((limit) => (
            <List.Item key={limit}>{limit}</List.Item>
          ))}
        </List>
      )}
    </Stack>
  );
}

/** Takes a version in: the archive goes up as it is. */
export function Upload({ may }: { may: boolean }) {
  const { t } = useTranslation();
  const [file, setFile] = useState<File | null>(null);
  const send = useMutation({
    mutationFn: async (archive: File) => {
      const media = archive.name.endsWith('.zip') ? 'application/zip' : 'application/x-tar';
      return data(
        api.POST('/api/v1/models', {
          body: archive as unknown as number[],
          bodySerializer: (body) => body as unknown as File,
          headers: { 'Content-Type': media },
        }),
      );
    },
    onSuccess: async () => {
      setFile(null);
      await queryClient.invalidateQueries({ queryKey: ['models'] });
    },
  });
  return (
    <Stack gap="xs">
      <Group align="flex-end">
        <FileInput
          label={t('model.archive')}
          description={t('model.archiveNote')}
          placeholder={t('model.choose')}
          accept=".tar,.zip"
          value={file}
          onChange={setFile}
          miw={320}
          disabled={!may}
        />
        <Button
          disabled={!may || !file}
          loading={send.isPending}
          onClick={() => file && send.mutate(file)}
        >
          {t('model.upload')}
        </Button>
      </Group>
      {send.isSuccess && (
        <Text size="sm">
          {t('model.taken', { name: `${send.data.name}@${send.data.version}` })}
        </Text>
      )}
      {send.isError && <Fault error={send.error} />}
    </Stack>
  );
}

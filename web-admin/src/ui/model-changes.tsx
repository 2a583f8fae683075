import { Button, Group, Stack, Table, Text, TextInput } from '@mantine/core';
import { useMutation } from '@tanstack/react-query';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';
import { api, data, type Schema } from '../api/client';
import { queryClient } from '../api/queries';
import { versionOf, when } from './format';
import { Card, Fault, State } from './parts';

type Detail = Schema['ModelDetail'];
type Change = Schema['ModelChange'];

/** What somebody wants to answer in production, for a second person to decide. */
export function ModelChanges(props: {
  detail: Detail;
  me: string;
  approver: boolean;
  operator: boolean;
}) {
  const { t, i18n } = useTranslation();
  const { detail } = props;
  const wish = (change: Change) =>
    t(`model.wish.${change.kind}`, {
      version: versionOf(detail, change.digest),
      share: (change.permille ?? 0) / 10,
    });
  return (
    <Card title={t('model.changes')}>
      {detail.changes.length === 0 && <Text c="dimmed">{t('model.noChanges')}</Text>}
      <Table>
        <Table.Tbody>
          {detail.changes.map((change) => (
            <Table.Tr key={change.id}>
              <Table.Th scope="row">
                {wish(change)}
                <Text size="sm" c="dimmed">
                  {change.author}, {when(change.created_at, i18n.language)}: {change.reason}
                </Text>
              </Table.Th>
              <Table.Td>
                <State value={change.state} />
                {change.decided_by && (
                  <Text size="sm">
                    {change.decided_by}
                    {change.comment && `: ${change.comment}`}
                  </Text>
                )}
              </Table.Td>
              <Table.Td>
                {change.state === 'in-review' && (
                  <Decide
                    name={detail.name}
                    change={change}
                    mine={change.author === props.me}
                    approver={props.approver}
                    operator={props.operator}
                  />
                )}
              </Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </Card>
  );
}

function Decide(props: {
  name: string;
  change: Change;
  mine: boolean;
  approver: boolean;
  operator: boolean;
}) {
  const { t } = useTranslation();
  const { name, change, mine } = props;
  const [comment, setComment] = useState('');
  const decide = useMutation({
    mutationFn: (action: Schema['ModelActionName']) =>
      data(
        api.POST('/api/v1/models/{name}/changes/{id}/actions', {
          params: { path: { name, id: change.id } },
          body: { edition: change.edition, action, digest: change.digest, comment },
        }),
      ),
    onSettled: () => queryClient.invalidateQueries({ queryKey: ['models'] }),
  });
  return (
    <Stack gap="xs">
      {mine && <Text size="sm">{t('model.mine')}</Text>}
      <TextInput
        label={t('model.comment')}
        value={comment}
        onChange={(event) => setComment(event.currentTarget.value)}
      />
      <Group gap="xs">
        <Button
          size="compact-sm"
          disabled={mine || !props.approver}
          onClick={() => decide.mutate('approve')}
        >
          {t('model.approve')}
        </Button>
        <Button
          size="compact-sm"
          variant="default"
          disabled={mine || !props.approver}
          onClick={() => decide.mutate('reject')}
        >
          {t('model.reject')}
        </Button>
        <Button
          size="compact-sm"
          variant="default"
          disabled={!props.operator}
          onClick={() => decide.mutate('withdraw')}
        >
          {t('model.giveUp')}
        </Button>
      </Group>
      {decide.isError && <Fault error={decide.error} />}
    </Stack>
  );
}

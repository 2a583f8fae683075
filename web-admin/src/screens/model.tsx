import { Button, Group, Stack, Table, Text, TextInput } from '@mantine/core';
import { useMutation, useQuery } from '@tanstack/react-query';
import { useParams } from '@tanstack/react-router';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';
import { api, data, type Schema } from '../api/client';
import { model, queryClient, session } from '../api/queries';
import { versionOf, when } from '../ui/format';
import { ModelChanges } from '../ui/model-changes';
import { ModelSharing } from '../ui/model-sharing';
import { ModelVersions } from '../ui/model-versions';
import { ModelWatching } from '../ui/model-watching';
import { Card, Fault, Loaded, Screen, State, Wide } from '../ui/parts';

type Detail = Schema['ModelDetail'];

/** One model: what answers, who wants something else, to whom it is offered, how it does. */
export function Model() {
  const { t } = useTranslation();
  const { name } = useParams({ from: '/signed-in/models/$name' });
  const query = useQuery(model(name));
  const user = useQuery(session).data?.user;
  const roles = user?.roles ?? [];
  const operator = roles.includes('operator');
  const approver = operator || roles.includes('policy-approver');
  return (
    <Screen title={name} note={t('model.note')}>
      {!approver && <Text c="dimmed">{t('model.approverOnly')}</Text>}
      <Loaded query={query}>
        {(detail) => (
          <Stack gap="lg">
            <Production detail={detail} operator={operator} approver={approver} />
            <ModelChanges
              detail={detail}
              me={user?.id ?? ''}
              approver={approver}
              operator={operator}
            />
            <ModelVersions detail={detail} operator={operator} approver={approver} />
            <ModelWatching name={name} operator={operator} />
            <ModelSharing detail={detail} operator={operator} />
            <Pods detail={detail} />
          </Stack>
        )}
      </Loaded>
    </Screen>
  );
}

/** What answers in production and under other aliases, and what did before. */
function Production(props: { detail: Detail; operator: boolean; approver: boolean }) {
  const { t, i18n } = useTranslation();
  const { detail } = props;
  const path = { name: detail.name };
  const [reason, setReason] = useState('');
  const onSuccess = () => queryClient.invalidateQueries({ queryKey: ['models'] });
  const endCanary = useMutation({
    mutationFn: () => data(api.DELETE('/api/v1/models/{name}/canary', { params: { path } })),
    onSuccess,
  });
  const endShadow = useMutation({
    mutationFn: () => data(api.DELETE('/api/v1/models/{name}/shadow', { params: { path } })),
    onSuccess,
  });
  const rollBack = useMutation({
    mutationFn: () =>
      data(api.POST('/api/v1/models/{name}/rollback', { params: { path }, body: { reason } })),
    onSuccess: async () => {
      setReason('');
      await onSuccess();
    },
  });
  const share = (permille: number) =>
    new Intl.NumberFormat(i18n.language, { style: 'percent', maximumFractionDigits: 1 }).format(
      permille / 1000,
    );
  return (
    <Card title={t('model.answers')}>
      <Stack>
        {detail.routes.length === 0 && <Text c="dimmed">{t('model.nothingAnswers')}</Text>}
        <Table>
          <Table.Tbody>
            {detail.routes.map((route) => (
              <Table.Tr key={route.alias}>
                <Table.Th scope="row">{route.alias}</Table.Th>
                <Table.Td data-production={route.alias}>
                  {t('model.version', { version: versionOf(detail, route.digest) })}
                </Table.Td>
                <Table.Td>
                  {route.canary && (
                    <Group gap="xs">
                      <Text size="sm">
                        {t('model.canaryOf', {
                          version: versionOf(detail, route.canary.digest),
                          share: share(route.canary.permille),
                        })}
                      </Text>
                      <Button
                        size="compact-sm"
                        variant="default"
                        disabled={!props.approver}
                        onClick={() => endCanary.mutate()}
                      >
                        {t('model.endCanary')}
                      </Button>
                    </Group>
                  )}
                </Table.Td>
                <Table.Td>
                  {route.shadow && (
                    <Group gap="xs">
                      <Text size="sm">
                        {t('model.shadowOf', {
                          version: versionOf(detail, route.shadow.digest),
                          share: share(route.shadow.permille),
                        })}
                      </Text>
                      <Button
                        size="compact-sm"
                        variant="default"
                        disabled={!props.operator}
                        onClick={() => endShadow.mutate()}
                      >
                        {t('model.endShadow')}
                      </Button>
                    </Group>
                  )}
                </Table.Td>
              </Table.Tr>
            ))}
          </Table.Tbody>
        </Table>
        {[endCanary, endShadow, rollBack].map(
          (one, index) => one.isError && <Fault key={`${index}-fault`} error={one.error} />,
        )}
        {detail.history.length > 1 && (
          <form
            onSubmit={(event) => {
              event.preventDefault();
              rollBack.mutate();
            }}
          >
            <Group align="flex-end">
              <TextInput
                label={t('model.whyBack')}
                value={reason}
                onChange={(event) => setReason(event.currentTarget.value)}
                required
              />
              <Button
                type="submit"
                color="red"
                disabled={!props.approver}
                loading={rollBack.isPending}
              >
                {t('model.rollBack')}
              </Button>
            </Group>
          </form>
        )}
        <Wide label={t('model.history')}>
          <Table>
            <Table.Thead>
              <Table.Tr>
                <Table.Th>{t('field.at')}</Table.Th>
                <Table.Th>{t('field.version')}</Table.Th>
                <Table.Th>{t('model.how')}</Table.Th>
                <Table.Th>{t('model.by')}</Table.Th>
              </Table.Tr>
            </Table.Thead>
            <Table.Tbody>
              {detail.history.map((past) => (
                <Table.Tr key={past.number}>
                  <Table.Td>{when(past.at, i18n.language)}</Table.Td>
                  <Table.Td>{versionOf(detail, past.digest)}</Table.Td>
                  <Table.Td>{t(`model.kind.${past.kind}`, { defaultValue: past.kind })}</Table.Td>
                  <Table.Td>{past.by}</Table.Td>
                </Table.Tr>
              ))}
            </Table.Tbody>
          </Table>
        </Wide>
      </Stack>
    </Card>
  );
}

/** Where the versions are to be served, and how far the pods have come. */
function Pods({ detail }: { detail: Detail }) {
  const { t, i18n } = useTranslation();
  return (
    <Card title={t('model.pods')}>
      {detail.pods.length === 0 ? (
        <Text c="dimmed">{t('model.noPods')}</Text>
      ) : (
        <Wide label={t('model.pods')}>
          <Table>
            <Table.Thead>
              <Table.Tr>
                {['pod', 'region', 'version', 'status', 'at'].map((name) => (
                  <Table.Th key={name}>{t(`field.${name}`)}</Table.Th>
                ))}
              </Table.Tr>
            </Table.Thead>
            <Table.Tbody>
              {detail.pods.map((one) => (
                <Table.Tr key={`${one.pod} ${one.digest}`}>
                  <Table.Td>{one.pod}</Table.Td>
                  <Table.Td>{one.region}</Table.Td>
                  <Table.Td>{versionOf(detail, one.digest)}</Table.Td>
                  <Table.Td>
                    <State value={one.state} />
                    {one.failure && <Text size="sm">{one.failure}</Text>}
                  </Table.Td>
                  <Table.Td>{one.at ? when(one.at, i18n.language) : t('model.fromStart')}</Table.Td>
                </Table.Tr>
              ))}
            </Table.Tbody>
          </Table>
        </Wide>
      )}
    </Card>
  );
}

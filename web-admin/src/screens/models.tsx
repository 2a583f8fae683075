import { Checkbox, Group, NativeSelect, Stack, Table, Text } from '@mantine/core';
import { useMutation, useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';
import { api, data, type Schema } from '../api/client';
import { queryClient, session } from '../api/queries';
import { short, when } from '../ui/format';
import { ScreenLink } from '../ui/link';
import { Upload } from '../ui/model-versions';
import { Card, Empty, Fault, Loaded, Screen, State, Wide } from '../ui/parts';

export function Models() {
  const { t } = useTranslation();
  const models = useQuery({ queryKey: ['models'], queryFn: () => data(api.GET('/api/v1/models')) });
  const pods = useQuery({ queryKey: ['pods'], queryFn: () => data(api.GET('/api/v1/pods')) });
  const may = useQuery(session).data?.user.roles.includes('operator') ?? false;
  return (
    <Screen title={t('nav.models')} note={t('models.note')}>
      <Stack gap="lg">
        <Card title={t('models.models')}>
          <Loaded query={models}>
            {({ items }) =>
              items.length === 0 ? (
                <Empty>{t('models.none')}</Empty>
              ) : (
                <Wide label={t('models.models')}>
                  <Table>
                    <Table.Thead>
                      <Table.Tr>
                        {['model', 'version', 'status', 'aliases', 'digest', 'risk', 'labels'].map(
                          (name) => (
                            <Table.Th key={name}>{t(`field.${name}`)}</Table.Th>
                          ),
                        )}
                      </Table.Tr>
                    </Table.Thead>
                    <Table.Tbody>
                      {items.map((model) => (
                        <Table.Tr key={model.digest}>
                          <Table.Td>
                            <ScreenLink to="/models/$name" params={{ name: model.name }}>
                              {model.name}
                            </ScreenLink>
                          </Table.Td>
                          <Table.Td>{model.version}</Table.Td>
                          <Table.Td>
                            <State value={model.state} />
                          </Table.Td>
                          <Table.Td>{model.aliases.join(', ') || '–'}</Table.Td>
                          <Table.Td className="mono">{short(model.digest)}</Table.Td>
                          <Table.Td>
                            <Papers model={model} may={may} />
                          </Table.Td>
                          <Table.Td>{model.labels.join(', ')}</Table.Td>
                        </Table.Tr>
                      ))}
                    </Table.Tbody>
                  </Table>
                </Wide>
              )
            }
          </Loaded>
        </Card>
        <Card title={t('models.upload')}>
          <Upload may={may} />
        </Card>
        <Alerts />
        <Card title={t('models.pods')}>
          <Loaded query={pods}>
            {({ items }) =>
              items.length === 0 ? (
                <Empty>{t('models.noPods')}</Empty>
              ) : (
                <Wide label={t('models.pods')}>
                  <Table>
                    <Table.Thead>
                      <Table.Tr>
                        {['pod', 'region', 'address', 'model', 'draining'].map((name) => (
                          <Table.Th key={name}>{t(`field.${name}`)}</Table.Th>
                        ))}
                      </Table.Tr>
                    </Table.Thead>
                    <Table.Tbody>
                      {items.map((pod) => (
                        <Table.Tr key={pod.id}>
                          <Table.Td>{pod.id}</Table.Td>
                          <Table.Td>{pod.region}</Table.Td>
                          <Table.Td className="mono">{pod.url}</Table.Td>
                          <Table.Td className="mono">{pod.models.map(short).join(', ')}</Table.Td>
                          <Table.Td>
                            <Text>{t(pod.draining ? 'word.yes' : 'word.no')}</Text>
                          </Table.Td>
                        </Table.Tr>
                      ))}
                    </Table.Tbody>
                  </Table>
                </Wide>
              )
            }
          </Loaded>
        </Card>
      </Stack>
    </Screen>
  );
}

/** Measures of what models answer that passed their thresholds. */
function Alerts() {
  const { t, i18n } = useTranslation();
  const alerts = useQuery({
    queryKey: ['alerts'],
    queryFn: () => data(api.GET('/api/v1/alerts')),
    refetchInterval: 10_000,
  });
  return (
    <Card title={t('watch.alerts')}>
      <Loaded query={alerts}>
        {({ items }) =>
          items.length === 0 ? (
            <Text c="dimmed">{t('watch.noAlerts')}</Text>
          ) : (
            <Table>
              <Table.Tbody>
                {items.map((alert) => (
                  <Table.Tr key={alert.id}>
                    <Table.Th scope="row">
                      <ScreenLink to="/models/$name" params={{ name: alert.model }}>
                        {alert.model}
                      </ScreenLink>{' '}
                      <span className="mono">{short(alert.digest)}</span>
                    </Table.Th>
                    <Table.Td>{t(`watch.measures.${alert.measure}`)}</Table.Td>
                    <Table.Td>
                      {alert.value_permille / 1000} &gt; {alert.threshold_permille / 1000}
                    </Table.Td>
                    <Table.Td>
                      <State value={alert.cleared_at ? 'cleared' : 'alert'} />
                    </Table.Td>
                    <Table.Td>{when(alert.raised_at, i18n.language)}</Table.Td>
                  </Table.Tr>
                ))}
              </Table.Tbody>
            </Table>
          )
        }
      </Loaded>
    </Card>
  );
}

/** What is on file for a model that law asks for; kept at once. */
function Papers({ model, may }: { model: Schema['Model']; may: boolean }) {
  const { t } = useTranslation();
  const { digest, risk_class, conformity, instructions } = model;
  const save = useMutation({
    mutationFn: (papers: Partial<Schema['ModelPapers']>) =>
      data(
        api.PUT('/api/v1/models/{digest}/papers', {
          params: { path: { digest } },
          body: { risk_class, conformity, instructions, ...papers },
        }),
      ),
    onSuccess: () => queryClient.invalidateQueries({ queryKey: ['models'] }),
    onSettled: () => setChosen({}),
  });
  // What was chosen is shown at once, and taken back if it cannot be kept.
  const [chosen, setChosen] = useState<Partial<Schema['ModelPapers']>>({});
  const choose = (papers: Partial<Schema['ModelPapers']>) => {
    setChosen(papers);
    save.mutate(papers);
  };
  const shown = { ...model, ...chosen };
  const disabled = !may;
  return (
    <Stack gap={4}>
      <Group gap="sm" wrap="nowrap">
        <NativeSelect
          aria-label={t('models.riskOf', { model: model.name })}
          miw={110}
          data={['minimal', 'limited', 'high'].map((value) => ({
            value,
            label: t(`models.risk.${value}`),
          }))}
          value={shown.risk_class}
          disabled={disabled}
          onChange={(event) => choose({ risk_class: event.currentTarget.value })}
        />
        <Checkbox
          label={t('models.conformity')}
          checked={shown.conformity}
          disabled={disabled}
          onChange={(event) => choose({ conformity: event.currentTarget.checked })}
        />
        <Checkbox
          label={t('models.instructions')}
          checked={shown.instructions}
          disabled={disabled}
          onChange={(event) => choose({ instructions: event.currentTarget.checked })}
        />
      </Group>
      {save.isError && <Fault error={save.error} />}
    </Stack>
  );
}

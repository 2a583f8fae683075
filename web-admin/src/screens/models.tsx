import { Stack, Table, Text } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useTranslation } from 'react-i18next';
import { api, data } from '../api/client';
import { short } from '../ui/format';
import { Card, Empty, Loaded, Screen, Wide } from '../ui/parts';

export function Models() {
  const { t } = useTranslation();
  const models = useQuery({ queryKey: ['models'], queryFn: () => data(api.GET('/api/v1/models')) });
  const pods = useQuery({ queryKey: ['pods'], queryFn: () => data(api.GET('/api/v1/pods')) });
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
                        {['model', 'version', 'digest', 'risk', 'labels', 'shared'].map((name) => (
                          <Table.Th key={name}>{t(`field.${name}`)}</Table.Th>
                        ))}
                      </Table.Tr>
                    </Table.Thead>
                    <Table.Tbody>
                      {items.map((model) => (
                        <Table.Tr key={model.digest}>
                          <Table.Td>{model.name}</Table.Td>
                          <Table.Td>{model.version}</Table.Td>
                          <Table.Td className="mono">{short(model.digest)}</Table.Td>
                          <Table.Td>{model.risk_class}</Table.Td>
                          <Table.Td>{model.labels.join(', ')}</Table.Td>
                          <Table.Td>
                            {model.shared_with.join(', ') || t('models.everybody')}
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

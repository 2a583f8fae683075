import { Stack, Table, Text } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useTranslation } from 'react-i18next';
import { api, data } from '../api/client';
import { count } from './format';
import { Empty, Loaded, Wide } from './parts';

/** Persons whose data has left, by legal entity and year. */
export function Transfers() {
  const { t, i18n } = useTranslation();
  const query = useQuery({
    queryKey: ['transfers'],
    queryFn: () => data(api.GET('/api/v1/transfers')),
    refetchInterval: 5_000,
  });
  return (
    <Stack>
      <Text c="dimmed">{t('transfers.note')}</Text>
      <Loaded query={query}>
        {({ items }) =>
          items.length === 0 ? (
            <Empty>{t('transfers.none')}</Empty>
          ) : (
            <Wide label={t('transfers.title')}>
              <Table>
                <Table.Thead>
                  <Table.Tr>
                    {['entity', 'law', 'year', 'subjects', 'sensitive'].map((name) => (
                      <Table.Th key={name}>{t(`transfers.${name}`)}</Table.Th>
                    ))}
                  </Table.Tr>
                </Table.Thead>
                <Table.Tbody>
                  {items.map((total) => (
                    <Table.Tr key={`${total.entity} ${total.law} ${total.year}`}>
                      <Table.Th scope="row">{total.entity}</Table.Th>
                      <Table.Td>{total.law}</Table.Td>
                      <Table.Td>{total.year}</Table.Td>
                      <Table.Td>{count(total.subjects, i18n.language)}</Table.Td>
                      <Table.Td>{count(total.sensitive, i18n.language)}</Table.Td>
                    </Table.Tr>
                  ))}
                </Table.Tbody>
              </Table>
            </Wide>
          )
        }
      </Loaded>
    </Stack>
  );
}

import { Button, Checkbox, Group, Stack, Table, TagsInput, Text, TextInput } from '@mantine/core';
import { useMutation } from '@tanstack/react-query';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';
import { api, data, type Schema } from '../api/client';
import { queryClient } from '../api/queries';
import { Card, Fault } from './parts';

type Detail = Schema['ModelDetail'];
type Offer = Schema['ModelOffer'];

/** Whose the model is, to whom it is offered, and on what terms. */
export function ModelSharing({ detail, operator }: { detail: Detail; operator: boolean }) {
  const { t } = useTranslation();
  const [tenant, setTenant] = useState('');
  const [until, setUntil] = useState('');
  const [purposes, setPurposes] = useState<string[]>([]);
  const [preview, setPreview] = useState(false);
  const [terms, setTerms] = useState('');
  const save = useMutation({
    mutationFn: (offer: Partial<Offer>) =>
      data(
        api.PUT('/api/v1/models/{name}/offer', {
          params: { path: { name: detail.name } },
          body: { owner: detail.owner, open: detail.open, shares: detail.shares, ...offer },
        }),
      ),
    onSuccess: async () => {
      setTenant('');
      setUntil('');
      setPurposes([]);
      setPreview(false);
      setTerms('');
      await queryClient.invalidateQueries({ queryKey: ['models'] });
    },
  });
  const others = (name: string) => detail.shares.filter((share) => share.tenant !== name);
  const add = () =>
    save.mutate({
      shares: [
        ...others(tenant),
        { tenant, until: until ? `${until}T00:00:00Z` : null, purposes, preview, terms },
      ],
    });
  return (
    <Card title={t('model.sharing')}>
      <Stack>
        <Text size="sm">
          {detail.owner ? t('model.ownedBy', { owner: detail.owner }) : t('model.platforms')}
        </Text>
        <Checkbox
          label={t('model.open')}
          checked={detail.open}
          disabled={!operator}
          onChange={(event) => save.mutate({ open: event.currentTarget.checked })}
        />
        {detail.shares.length > 0 && (
          <Table>
            <Table.Tbody>
              {detail.shares.map((share) => (
                <Table.Tr key={share.tenant}>
                  <Table.Th scope="row">{share.tenant}</Table.Th>
                  <Table.Td>
                    {share.until
                      ? t('model.until', { until: share.until.slice(0, 10) })
                      : t('model.withoutEnd')}
                  </Table.Td>
                  <Table.Td>{share.purposes.join(', ') || t('model.anyPurpose')}</Table.Td>
                  <Table.Td>{share.preview && t('model.preview')}</Table.Td>
                  <Table.Td>{share.terms}</Table.Td>
                  <Table.Td>
                    <Button
                      size="compact-sm"
                      variant="default"
                      disabled={!operator}
                      aria-label={t('model.unshareWith', { tenant: share.tenant })}
                      onClick={() => save.mutate({ shares: others(share.tenant) })}
                    >
                      {t('model.unshare')}
                    </Button>
                  </Table.Td>
                </Table.Tr>
              ))}
            </Table.Tbody>
          </Table>
        )}
        <form
          onSubmit={(event) => {
            event.preventDefault();
            add();
          }}
        >
          <Group align="flex-end">
            <TextInput
              label={t('model.shareWith')}
              value={tenant}
              onChange={(event) => setTenant(event.currentTarget.value)}
              required
            />
            <TextInput
              label={t('model.endsOn')}
              type="date"
              value={until}
              onChange={(event) => setUntil(event.currentTarget.value)}
            />
            <TagsInput label={t('field.purposes')} value={purposes} onChange={setPurposes} />
            <TextInput
              label={t('model.terms')}
              value={terms}
              onChange={(event) => setTerms(event.currentTarget.value)}
            />
            <Checkbox
              label={t('model.preview')}
              checked={preview}
              onChange={(event) => setPreview(event.currentTarget.checked)}
            />
            <Button type="submit" disabled={!operator} loading={save.isPending}>
              {t('model.share')}
            </Button>
          </Group>
        </form>
        {save.isError && <Fault error={save.error} />}
      </Stack>
    </Card>
  );
}

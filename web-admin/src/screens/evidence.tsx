import { Anchor, Button, Group, Select, Stack, Text, TextInput } from '@mantine/core';
import { useMutation, useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';
import { api, data } from '../api/client';
import { session, tenants } from '../api/queries';
import { ReceiptCheck } from '../receipt/screen';
import { LogHealth } from '../ui/log-health';
import { Card, Fault, Loaded, Screen } from '../ui/parts';

/** What proves: the logs and their verification, receipts, and bundles for authorities. */
export function Evidence() {
  const { t } = useTranslation();
  const { data: signedIn } = useQuery(session);
  const auditor = signedIn?.user.roles.includes('auditor') ?? false;
  const keys = useQuery({
    queryKey: ['log-keys'],
    queryFn: () => data(api.GET('/api/v1/logs/keys')),
  });
  const known = keys.data ? [...keys.data.logs, ...keys.data.witnesses].join('\n') : undefined;
  return (
    <Screen title={t('nav.evidence')} note={t('evidence.note')}>
      {auditor ? (
        <Card title={t('logs.title')}>
          <LogHealth />
        </Card>
      ) : (
        <Text c="dimmed">{t('evidence.auditorOnly')}</Text>
      )}
      {auditor && <Bundle />}
      <ReceiptCheck keys={known} />
      <Text size="sm">
        <Anchor href="/receipt">{t('evidence.page')}</Anchor>
      </Text>
    </Screen>
  );
}

const DAY = 86_400_000;

function Bundle() {
  const { t } = useTranslation();
  const list = useQuery(tenants);
  const articles = useQuery({
    queryKey: ['articles'],
    queryFn: () => data(api.GET('/api/v1/evidence/articles')),
    staleTime: Number.POSITIVE_INFINITY,
  });
  const [tenant, setTenant] = useState<string | null>(null);
  const [article, setArticle] = useState<string | null>(null);
  const [from, setFrom] = useState(() =>
    new Date(Date.now() - 30 * DAY).toISOString().slice(0, 10),
  );
  const [until, setUntil] = useState(() => new Date(Date.now() + DAY).toISOString().slice(0, 10));
  const make = useMutation({
    mutationFn: async () => {
      const archive = await data(
        api.POST('/api/v1/evidence', {
          body: {
            tenant: tenant ?? '',
            article: article ?? '',
            from: `${from}T00:00:00Z`,
            until: `${until}T00:00:00Z`,
          },
          parseAs: 'blob',
        }),
      );
      save(archive as unknown as Blob, `evidence-${tenant}-${article}.zip`);
    },
  });
  return (
    <Card title={t('evidence.bundle')}>
      <Stack>
        <Text c="dimmed" size="sm">
          {t('evidence.bundleNote')}
        </Text>
        <Loaded query={articles}>
          {(known) => (
            <form
              onSubmit={(event) => {
                event.preventDefault();
                make.mutate();
              }}
            >
              <Group align="flex-end">
                <Select
                  label={t('field.tenant')}
                  data={(list.data?.items ?? []).map((one) => one.id)}
                  value={tenant}
                  onChange={setTenant}
                  required
                />
                <Select
                  label={t('evidence.article')}
                  data={known.items.map((one) => ({ value: one.name, label: one.title }))}
                  value={article}
                  onChange={setArticle}
                  w={420}
                  required
                />
                <TextInput
                  type="date"
                  label={t('field.from')}
                  value={from}
                  onChange={(event) => setFrom(event.currentTarget.value)}
                  required
                />
                <TextInput
                  type="date"
                  label={t('field.until')}
                  value={until}
                  onChange={(event) => setUntil(event.currentTarget.value)}
                  required
                />
                <Button type="submit" loading={make.isPending} disabled={!tenant || !article}>
                  {t('evidence.make')}
                </Button>
              </Group>
            </form>
          )}
        </Loaded>
        {make.isSuccess && <Text role="status">{t('evidence.made')}</Text>}
        {make.isError && <Fault error={make.error} />}
      </Stack>
    </Card>
  );
}

function save(content: Blob, name: string) {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(content);
  link.download = name;
  link.click();
  URL.revokeObjectURL(link.href);
}

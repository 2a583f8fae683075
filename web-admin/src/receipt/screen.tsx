import { Button, Code, Container, Group, Stack, Text, Textarea } from '@mantine/core';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';
import { Preferences } from '../app/shell';
import { when } from '../ui/format';
import { Card, Screen, State } from '../ui/parts';
import { type Checked, checkReceipts } from './verify';

/** Checks receipts. Works without signing in, and asks no server. */
export function ReceiptCheck(props: { keys?: string | undefined }) {
  const { t, i18n } = useTranslation();
  const [receipt, setReceipt] = useState('');
  const [keys, setKeys] = useState<string>();
  const [checked, setChecked] = useState<Checked[] | 'no-receipt'>();
  const keyText = keys ?? props.keys ?? '';
  return (
    <Card title={t('receipt.title')}>
      <Stack>
        <Text c="dimmed" size="sm">
          {t('receipt.note')}
        </Text>
        <Textarea
          label={t('receipt.receipt')}
          description={t('receipt.receiptNote')}
          className="mono"
          autosize
          minRows={4}
          maxRows={14}
          spellCheck={false}
          value={receipt}
          onChange={(event) => setReceipt(event.currentTarget.value)}
        />
        <Textarea
          label={t('receipt.keys')}
          description={t('receipt.keysNote')}
          className="mono"
          autosize
          minRows={2}
          maxRows={8}
          spellCheck={false}
          value={keyText}
          onChange={(event) => setKeys(event.currentTarget.value)}
        />
        <Group>
          <Button
            onClick={() => setChecked(checkReceipts(receipt, keyText) ?? 'no-receipt')}
            disabled={receipt.trim() === ''}
          >
            {t('receipt.check')}
          </Button>
        </Group>
        <div aria-live="polite">
          {checked === 'no-receipt' && <Text c="red">{t('receipt.wrong.no-receipt')}</Text>}
          {Array.isArray(checked) &&
            checked.map((one) => (
              <Stack key={`${one.receipt.origin}/${one.receipt.index}`} gap={4} mb="md">
                <Group gap="xs">
                  <State value={one.wrong ? 'failed' : 'verified'} />
                  <Text className="mono">
                    {one.receipt.origin} / {one.receipt.index}
                  </Text>
                </Group>
                <Text size="sm">
                  {one.wrong
                    ? t(`receipt.wrong.${one.wrong}`)
                    : t('receipt.holds', { size: one.receipt.tree_size })}
                </Text>
                {one.cosigned.map((witness) => (
                  <Text key={witness.name} size="sm">
                    {t('receipt.cosigned', {
                      name: witness.name,
                      at: when(witness.at.toISOString(), i18n.language),
                    })}
                  </Text>
                ))}
                {!one.wrong && one.record !== undefined && (
                  <Code block tabIndex={0}>
                    {JSON.stringify(one.record, null, 2)}
                  </Code>
                )}
              </Stack>
            ))}
        </div>
      </Stack>
    </Card>
  );
}

/** The same as a page of its own, for whoever has a receipt and no account. */
export function ReceiptPage() {
  const { t } = useTranslation();
  return (
    <Container component="main" size="md" py="xl">
      <Stack>
        <Group justify="flex-end">
          <Preferences />
        </Group>
        <Screen title={t('receipt.page')}>
          <ReceiptCheck />
        </Screen>
      </Stack>
    </Container>
  );
}

import {
  Autocomplete,
  Badge,
  Button,
  Group,
  Paper,
  Stack,
  Table,
  Text,
  Textarea,
} from '@mantine/core';
import { useMutation, useQuery } from '@tanstack/react-query';
import { type ReactNode, useState } from 'react';
import { useTranslation } from 'react-i18next';
import { api, data, type Schema } from '../api/client';
import { session, tenants } from '../api/queries';
import { Card, Fault, State, Wide } from './parts';

const EXAMPLE =
  'Hello, I was charged twice on card 4111 1111 1111 1111. Please refund DE89 3704 0044 0532 0130 00 or write to jo@example.com.';

type Finding = Schema['PreviewFinding'];

/** The text with what was found marked, each value with its kind. */
function marked(text: string, findings: Finding[]): ReactNode[] {
  // Places are counted in code points, as JavaScript's own are not.
  const points = [...text];
  const parts: ReactNode[] = [];
  let edge = 0;
  for (const finding of findings) {
    if (finding.start < edge) continue;
    parts.push(points.slice(edge, finding.start).join(''));
    parts.push(
      <mark key={finding.start} title={finding.kind}>
        {points.slice(finding.start, finding.end).join('')}
      </mark>,
    );
    edge = finding.end;
  }
  parts.push(points.slice(edge).join(''));
  return parts;
}

/** What the active policy would do with a text of a tenant: what is found in it, and why. */
export function TryIt() {
  const { t, i18n } = useTranslation();
  const { data: signedIn } = useQuery(session);
  const roles = signedIn?.user.roles ?? [];
  // Who may not list tenants types the name.
  const { data: list } = useQuery({
    ...tenants,
    enabled: roles.includes('operator') || roles.includes('auditor'),
  });
  const [tenant, setTenant] = useState<string>();
  const [text, setText] = useState(EXAMPLE);
  const names = list?.items.map((one) => one.id) ?? [];
  const chosen = tenant ?? names[0] ?? '';
  const preview = useMutation({
    mutationFn: async (asked: Schema['PreviewRequest']) => ({
      text: asked.text,
      answer: await data(api.POST('/api/v1/policy/preview', { body: asked })),
    }),
  });
  const share = new Intl.NumberFormat(i18n.language, { style: 'percent' });
  return (
    <Stack>
      <Text c="dimmed">{t('try.note')}</Text>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          if (chosen) preview.mutate({ tenant: chosen, text });
        }}
      >
        <Stack>
          <Autocomplete
            label={t('field.tenant')}
            data={names}
            value={chosen}
            onChange={setTenant}
            maw={360}
            required
          />
          <Textarea
            label={t('try.text')}
            value={text}
            onChange={(event) => setText(event.currentTarget.value)}
            autosize
            minRows={3}
            maxRows={14}
            required
          />
          <Group>
            <Button type="submit" loading={preview.isPending} disabled={!chosen}>
              {t('try.submit')}
            </Button>
          </Group>
        </Stack>
      </form>
      {preview.error && <Fault error={preview.error} />}
      {preview.data && (
        <Stack aria-live="polite">
          <Card title={t('try.leaves')}>
            {preview.data.answer.permitted ? (
              <Text className="break" style={{ whiteSpace: 'pre-wrap' }}>
                {preview.data.answer.redacted}
              </Text>
            ) : (
              <Text>{t('try.refused')}</Text>
            )}
            <Stack gap={4} mt="sm">
              {preview.data.answer.rules.map((rule) => (
                <Text key={rule.id} size="sm" c="dimmed">
                  <span className="mono">{rule.id}</span> · {rule.reason}
                </Text>
              ))}
            </Stack>
          </Card>
          <Card title={t('try.found')}>
            <Paper p="sm" mb="sm" withBorder style={{ whiteSpace: 'pre-wrap' }} className="break">
              {marked(preview.data.text, preview.data.answer.findings)}
            </Paper>
            {preview.data.answer.findings.length === 0 ? (
              <Text>{t('try.nothing')}</Text>
            ) : (
              <Wide label={t('try.found')}>
                <Table>
                  <Table.Thead>
                    <Table.Tr>
                      {['kind', 'category', 'value', 'confidence', 'why', 'redaction'].map(
                        (name) => (
                          <Table.Th key={name}>{t(`try.field.${name}`)}</Table.Th>
                        ),
                      )}
                    </Table.Tr>
                  </Table.Thead>
                  <Table.Tbody>
                    {preview.data.answer.findings.map((finding) => (
                      <Table.Tr key={`${finding.start}-${finding.kind}`}>
                        <Table.Td className="mono">{finding.kind}</Table.Td>
                        <Table.Td>{finding.category}</Table.Td>
                        <Table.Td className="break">
                          {[...preview.data.text].slice(finding.start, finding.end).join('')}
                        </Table.Td>
                        <Table.Td>{share.format(finding.confidence)}</Table.Td>
                        <Table.Td>
                          {finding.why}
                          {finding.in_context && (
                            <Badge ml="xs" variant="light" color="gray">
                              {t('try.context')}
                            </Badge>
                          )}
                        </Table.Td>
                        <Table.Td>
                          <State value={finding.redaction ?? 'kept'} />
                        </Table.Td>
                      </Table.Tr>
                    ))}
                  </Table.Tbody>
                </Table>
              </Wide>
            )}
          </Card>
        </Stack>
      )}
    </Stack>
  );
}

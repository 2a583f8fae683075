import {
  Alert,
  Anchor,
  Button,
  Group,
  Skeleton,
  Stack,
  Table,
  Tabs,
  Text,
  Textarea,
  TextInput,
  Timeline,
} from '@mantine/core';
import { useMutation, useQuery } from '@tanstack/react-query';
import { useNavigate, useParams, useSearch } from '@tanstack/react-router';
import { lazy, Suspense, useEffect, useState } from 'react';
import { useTranslation } from 'react-i18next';
import { api, data, type Schema } from '../api/client';
import { queryClient, session } from '../api/queries';
import { count, short, when } from '../ui/format';
import { Impact } from '../ui/impact';
import { Card, Empty, Fault, Loaded, Screen, State, Wide } from '../ui/parts';
import { Proof } from '../ui/proof';

const PolicyEditor = lazy(() => import('../ui/policy-editor'));
const PolicyDiff = lazy(() => import('../ui/policy-diff'));

type Detail = Schema['ChangeDetail'];
type Action = Schema['ActionName'];

/** How long after the last key the server is asked for faults. */
const CHECK_AFTER = 300;

/** One change: what it is, what it would do, and who let it into force. */
export function Change() {
  const { t } = useTranslation();
  const { id } = useParams({ from: '/signed-in/changes/$id' });
  const { tab } = useSearch({ from: '/signed-in/changes/$id' });
  const navigate = useNavigate();
  const query = useQuery({
    queryKey: ['change', id],
    queryFn: () => data(api.GET('/api/v1/policy/changes/{id}', { params: { path: { id } } })),
    refetchInterval: (now) => {
      const { simulation, proof } = now.state.data ?? {};
      const working = [simulation?.state, proof?.state].some((state) =>
        ['queued', 'running'].includes(state ?? ''),
      );
      return working ? 500 : 5_000;
    },
  });
  return (
    <Screen title={query.data?.change.title ?? t('changes.change')} note={id}>
      <Loaded query={query}>
        {(detail) => (
          <Stack>
            <Summary detail={detail} />
            <Tabs
              value={tab ?? 'edit'}
              onChange={(next) =>
                navigate({
                  to: '/changes/$id',
                  params: { id },
                  search: { tab: next ?? undefined },
                })
              }
              keepMounted={false}
            >
              <Tabs.List>
                {['edit', 'diff', 'impact', 'review', 'compare'].map((name) => (
                  <Tabs.Tab key={name} value={name}>
                    {t(`change.${name}`)}
                  </Tabs.Tab>
                ))}
              </Tabs.List>
              <Tabs.Panel value="edit" pt="md">
                {/* A draft that was saved is another one. */}
                <Edit key={detail.change.edition} detail={detail} />
              </Tabs.Panel>
              <Tabs.Panel value="diff" pt="md">
                <Diff detail={detail} />
              </Tabs.Panel>
              <Tabs.Panel value="impact" pt="md">
                <Simulated detail={detail} />
              </Tabs.Panel>
              <Tabs.Panel value="review" pt="md">
                <Review detail={detail} />
              </Tabs.Panel>
              <Tabs.Panel value="compare" pt="md">
                <Compare detail={detail} />
              </Tabs.Panel>
            </Tabs>
          </Stack>
        )}
      </Loaded>
    </Screen>
  );
}

const refresh = (id: string) =>
  Promise.all([
    queryClient.invalidateQueries({ queryKey: ['change', id] }),
    queryClient.invalidateQueries({ queryKey: ['changes'] }),
    queryClient.invalidateQueries({ queryKey: ['versions'] }),
    queryClient.invalidateQueries({ queryKey: ['policy'] }),
  ]);

function useRoles() {
  const { data: signedIn } = useQuery(session);
  return { me: signedIn?.user.id ?? '', roles: signedIn?.user.roles ?? [] };
}

function Summary({ detail }: { detail: Detail }) {
  const { t, i18n } = useTranslation();
  const { change } = detail;
  return (
    <Group>
      <State value={change.state} />
      <Text>{t('change.by', { who: change.editors.join(', ') })}</Text>
      {change.approved_by && (
        <Text>
          {t('change.approved', {
            who: [change.approved_with, change.approved_by].filter(Boolean).join(', '),
          })}
        </Text>
      )}
      {change.approved_by && change.state === 'in-review' && (
        <Text fw={600}>{t('change.oneMore')}</Text>
      )}
      {change.scheduled_at && (
        <Text>{t('change.scheduled', { at: when(change.scheduled_at, i18n.language) })}</Text>
      )}
      <Text className="mono" c="dimmed">
        {short(change.digest)}
      </Text>
      {!detail.up_to_date && change.state !== 'activated' && (
        <Text fw={600}>{t('change.behind')}</Text>
      )}
    </Group>
  );
}

function Edit({ detail }: { detail: Detail }) {
  const { t } = useTranslation();
  const { roles } = useRoles();
  const { change } = detail;
  const [files, setFiles] = useState<Record<string, string>>(detail.files);
  const [title, setTitle] = useState(change.title);
  const names = Object.keys(files);
  const [shown, setShown] = useState(names.find((name) => name.endsWith('.cedar')) ?? '');
  const [fresh, setFresh] = useState('');
  const [check, setCheck] = useState(detail.check);
  const ended = change.state === 'activated' || change.state === 'withdrawn';
  const mayEdit = roles.includes('policy-author') && !ended;
  const dirty = title !== change.title || JSON.stringify(files) !== JSON.stringify(detail.files);
  const { data: packs } = useQuery({
    queryKey: ['packs'],
    queryFn: () => data(api.GET('/api/v1/policy/packs')),
  });
  useEffect(() => {
    if (!mayEdit) return;
    let stale = false;
    const timer = setTimeout(async () => {
      const found = await data(api.POST('/api/v1/policy/check', { body: { files } })).catch(
        () => undefined,
      );
      if (found && !stale) setCheck(found);
    }, CHECK_AFTER);
    return () => {
      stale = true;
      clearTimeout(timer);
    };
  }, [files, mayEdit]);
  const save = useMutation({
    mutationFn: (rebase: boolean) =>
      data(
        api.PUT('/api/v1/policy/changes/{id}', {
          params: { path: { id: change.id } },
          body: { edition: change.edition, title, files, rebase },
        }),
      ),
    onSuccess: () => refresh(change.id),
  });
  const add = (name: string, text: string) => {
    setFiles({ ...files, [name]: text });
    setShown(name);
  };
  const errors = check.faults.filter((fault) => fault.severity === 'error').length;
  return (
    <Stack>
      <TextInput
        label={t('field.title')}
        value={title}
        onChange={(event) => setTitle(event.currentTarget.value)}
        readOnly={!mayEdit}
        maw={600}
      />
      <Group gap="sm">
        {names.map((name) => (
          <Anchor
            key={name}
            component="button"
            type="button"
            fw={name === shown ? 700 : 400}
            aria-pressed={name === shown}
            onClick={() => setShown(name)}
          >
            {name}
            {check.faults.some((fault) => fault.file === name && fault.severity === 'error') &&
              ' ⚠'}
          </Anchor>
        ))}
      </Group>
      <Suspense fallback={<Skeleton height={300} />}>
        <PolicyEditor
          name={shown}
          text={files[shown] ?? ''}
          faults={check.faults}
          readOnly={!mayEdit}
          onChange={(text) => setFiles((now) => ({ ...now, [shown]: text }))}
        />
      </Suspense>
      {mayEdit && (
        <Group align="flex-end">
          <TextInput
            label={t('change.newFile')}
            placeholder="mine.cedar"
            value={fresh}
            onChange={(event) => setFresh(event.currentTarget.value)}
          />
          <Button
            variant="default"
            disabled={!/^(packs\/)?[\w-]+\.cedar$|^cases\/[\w-]+\.json$/.test(fresh)}
            onClick={() => {
              add(fresh, fresh.endsWith('.json') ? '[]\n' : t('change.template'));
              setFresh('');
            }}
          >
            {t('change.add')}
          </Button>
          {packs?.items
            .filter((pack) => !(pack.file in files))
            .map((pack) => (
              <Button
                key={pack.name}
                variant="default"
                title={pack.title}
                onClick={() => add(pack.file, pack.cedar)}
              >
                {t('change.takeIn', { pack: pack.name })}
              </Button>
            ))}
        </Group>
      )}
      <Card title={t('change.check')}>
        <Stack gap={4} role="status">
          <Text fw={600}>
            {check.valid
              ? t('change.valid', { rules: check.rules, cases: check.cases })
              : t('change.invalid', { errors, failures: check.failures.length })}
          </Text>
          {check.faults.map((fault) => (
            <div key={`${fault.file} ${fault.line} ${fault.message}`}>
              <Anchor
                component="button"
                type="button"
                fz="sm"
                className="mono"
                onClick={() => fault.file in files && setShown(fault.file)}
              >
                {fault.file}
                {fault.line != null && `:${fault.line}:${fault.column}`}
              </Anchor>{' '}
              <Text size="sm" span>
                {t(`change.${fault.severity}`)}: {fault.message} {fault.help ?? ''}
              </Text>
            </div>
          ))}
          {check.failures.map((failure) => (
            <Text size="sm" key={`${failure.file} ${failure.case}`}>
              <span className="mono">{failure.file}</span> {failure.case}:{' '}
              {failure.differences.join('; ')}
            </Text>
          ))}
        </Stack>
      </Card>
      {save.isError && <Fault error={save.error} />}
      {mayEdit && (
        <Group>
          <Button disabled={!dirty} loading={save.isPending} onClick={() => save.mutate(false)}>
            {t('change.save')}
          </Button>
          {!detail.up_to_date && (
            <Button variant="default" onClick={() => save.mutate(true)}>
              {t('change.rebase')}
            </Button>
          )}
          <Text size="sm" c="dimmed">
            {t('change.saveNote')}
          </Text>
        </Group>
      )}
    </Stack>
  );
}

function Diff({ detail }: { detail: Detail }) {
  const { t } = useTranslation();
  const { files, base_files: before } = detail;
  const names = [...new Set([...Object.keys(before), ...Object.keys(files)])].filter(
    (name) => before[name] !== files[name],
  );
  if (names.length === 0) return <Empty>{t('change.same')}</Empty>;
  return (
    <Stack>
      {names.map((name) => (
        <Card key={name} title={name}>
          <Suspense fallback={<Skeleton height={120} />}>
            <PolicyDiff name={name} before={before[name] ?? ''} after={files[name] ?? ''} />
          </Suspense>
        </Card>
      ))}
    </Stack>
  );
}

function Simulated({ detail }: { detail: Detail }) {
  const { t } = useTranslation();
  const { change, simulation } = detail;
  const { roles } = useRoles();
  const may = roles.includes('policy-author') || roles.includes('policy-approver');
  const start = useSimulation(change.id);
  const shadow = useMutation({
    mutationFn: () => data(api.PUT('/api/v1/policy/shadow', { body: { digest: change.digest } })),
    onSuccess: () => queryClient.invalidateQueries({ queryKey: ['shadow'] }),
  });
  return (
    <Stack>
      <Group>
        <Button
          disabled={!may || change.state === 'activated'}
          loading={start.isPending}
          onClick={() => start.mutate()}
        >
          {t('impact.simulate')}
        </Button>
        <Button
          variant="default"
          disabled={!may || change.state === 'activated'}
          loading={shadow.isPending}
          onClick={() => shadow.mutate()}
        >
          {t('shadow.start')}
        </Button>
        <Text size="sm" c="dimmed">
          {t(shadow.isSuccess ? 'shadow.started' : 'impact.note')}
        </Text>
      </Group>
      {start.isError && <Fault error={start.error} />}
      {shadow.isError && <Fault error={shadow.error} />}
      {simulation ? <Impact simulation={simulation} /> : <Empty>{t('impact.none')}</Empty>}
      <Proof
        change={change.id}
        proof={detail.proof}
        may={may && change.state !== 'activated'}
        onAsked={() => refresh(change.id)}
      />
    </Stack>
  );
}

function useSimulation(id: string) {
  return useMutation({
    mutationFn: () =>
      data(
        api.POST('/api/v1/policy/changes/{id}/simulations', {
          params: { path: { id } },
          body: {},
        }),
      ),
    onSuccess: () => refresh(id),
  });
}

function Review({ detail }: { detail: Detail }) {
  const { t, i18n } = useTranslation();
  const { me, roles } = useRoles();
  const { change, simulation } = detail;
  const [comment, setComment] = useState('');
  const [at, setAt] = useState('');
  const act = useMutation({
    mutationFn: (action: Action) =>
      data(
        api.POST('/api/v1/policy/changes/{id}/actions', {
          params: { path: { id: change.id } },
          body: {
            edition: change.edition,
            action,
            comment,
            digest: change.digest,
            report: simulation?.report_digest,
            at: at ? new Date(at).toISOString() : undefined,
          },
        }),
      ),
    onSuccess: async () => {
      setComment('');
      await refresh(change.id);
    },
  });
  const author = roles.includes('policy-author');
  const approver = roles.includes('policy-approver');
  const own = change.editors.includes(me);
  const { state } = change;
  /** Why an action is not open now; nothing if it is. */
  const closed: Record<Action, string | false> = {
    submit:
      (state !== 'draft' && t('change.not.draft')) ||
      (!author && t('changes.authorOnly')) ||
      (!detail.check.valid && t('change.not.valid')) ||
      (simulation?.state !== 'done' && t('change.not.simulated')),
    approve:
      (state !== 'in-review' && t('change.not.inReview')) ||
      (!approver && t('changes.approverOnly')) ||
      (own && t('change.not.own')) ||
      (change.approved_by === me && t('change.not.again')),
    reject:
      (!['in-review', 'approved', 'scheduled'].includes(state) && t('change.not.inReview')) ||
      (!approver && t('changes.approverOnly')) ||
      (own && t('change.not.own')) ||
      (comment.trim() === '' && t('change.not.comment')),
    comment: comment.trim() === '' && t('change.not.comment'),
    schedule:
      (!['approved', 'scheduled'].includes(state) && t('change.not.approved')) ||
      (at === '' && t('change.not.time')),
    activate: !['approved', 'scheduled'].includes(state) && t('change.not.approved'),
    withdraw:
      (['activated', 'withdrawn'].includes(state) && t('change.not.open')) ||
      (!author && t('changes.authorOnly')),
  };
  const button = (action: Action, color?: string) => (
    <Stack gap={2} key={action}>
      <Button
        color={color}
        variant={['approve', 'activate', 'submit'].includes(action) ? 'filled' : 'default'}
        disabled={closed[action] !== false}
        loading={act.isPending && act.variables === action}
        onClick={() => act.mutate(action)}
      >
        {t(`change.do.${action}`)}
      </Button>
      {closed[action] && (
        <Text size="xs" c="dimmed" maw={180}>
          {closed[action]}
        </Text>
      )}
    </Stack>
  );
  return (
    <Stack>
      <Textarea
        label={t('change.comment')}
        value={comment}
        onChange={(event) => setComment(event.currentTarget.value)}
        autosize
        minRows={2}
        maw={600}
      />
      <Group align="flex-start">
        {button('submit')}
        {button('approve')}
        {button('reject', 'red')}
        {button('comment')}
      </Group>
      <Group align="flex-start">
        {button('activate')}
        <TextInput
          type="datetime-local"
          aria-label={t('change.when')}
          value={at}
          onChange={(event) => setAt(event.currentTarget.value)}
        />
        {button('schedule')}
        {button('withdraw')}
      </Group>
      {act.isError && <Fault error={act.error} />}
      <Card title={t('change.steps')}>
        <Timeline bulletSize={14} active={detail.steps.length}>
          {detail.steps.map((step) => (
            <Timeline.Item
              key={`${step.at} ${step.kind}`}
              title={`${t(`change.step.${step.kind}`, { defaultValue: step.kind })} · ${step.by}`}
            >
              {step.comment && <Text>{step.comment}</Text>}
              <Text size="xs" c="dimmed">
                {when(step.at, i18n.language)} <span className="mono">{short(step.digest)}</span>
              </Text>
            </Timeline.Item>
          ))}
        </Timeline>
      </Card>
    </Stack>
  );
}

function Compare({ detail }: { detail: Detail }) {
  const { t, i18n } = useTranslation();
  const { change } = detail;
  const start = useSimulation(change.id);
  const query = useQuery({
    queryKey: ['change', change.id, 'comparison'],
    queryFn: () =>
      data(
        api.GET('/api/v1/policy/changes/{id}/comparison', {
          params: { path: { id: change.id } },
        }),
      ),
    enabled: change.state === 'activated',
    refetchInterval: 2_000,
  });
  if (change.state !== 'activated') return <Empty>{t('compare.notYet')}</Empty>;
  const share = new Intl.NumberFormat(i18n.language, { style: 'percent' });
  return (
    <Stack>
      <Group>
        <Button loading={start.isPending} onClick={() => start.mutate()}>
          {t('compare.ask')}
        </Button>
        <Text size="sm" c="dimmed">
          {t('compare.note')}
        </Text>
      </Group>
      {start.isError && <Fault error={start.error} />}
      <Loaded query={query}>
        {(comparison) => (
          <Stack>
            {!comparison.happened && <Alert>{t('compare.none')}</Alert>}
            <Wide label={t('change.compare')}>
              <Table>
                <Table.Thead>
                  <Table.Tr>
                    {['tenant', 'rule', 'effect', 'predicted', 'happened'].map((name) => (
                      <Table.Th key={name}>{t(`field.${name}`)}</Table.Th>
                    ))}
                  </Table.Tr>
                </Table.Thead>
                <Table.Tbody>
                  {comparison.rows.map((row) => (
                    <Table.Tr key={`${row.tenant} ${row.rule} ${row.flip}`}>
                      <Table.Th scope="row">{row.tenant}</Table.Th>
                      <Table.Td className="mono">{row.rule}</Table.Td>
                      <Table.Td>{t(`flip.${row.flip}`)}</Table.Td>
                      <Table.Td>
                        {count(row.predicted_calls, i18n.language)} (
                        {share.format(row.predicted_share)})
                      </Table.Td>
                      <Table.Td>
                        {count(row.happened_calls, i18n.language)} (
                        {share.format(row.happened_share)})
                      </Table.Td>
                    </Table.Tr>
                  ))}
                </Table.Tbody>
              </Table>
            </Wide>
          </Stack>
        )}
      </Loaded>
    </Stack>
  );
}

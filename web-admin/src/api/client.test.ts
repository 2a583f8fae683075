import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { data, Refused } from './client';

const response = (status: number) => new Response(null, { status });

/** What a request is refused with. */
async function refusal(answer: Parameters<typeof data>[0]): Promise<Refused> {
  return data(answer).then(
    () => expect.fail('it was not refused'),
    (refused) => {
      expect(refused).toBeInstanceOf(Refused);
      return refused;
    },
  );
}

test('a refusal carries the problem and its fields', async () => {
  const problem = {
    type: 'about:blank',
    title: 'A field of the request is not valid.',
    status: 422,
    code: 'invalid-request',
    errors: [{ field: 'name', message: 'is required' }],
  };
  const refused = await refusal(Promise.resolve({ error: problem, response: response(422) }));
  expect(refused.field('name')).toBe('is required');
  expect(refused.field('other')).toBeUndefined();
});

test('an answer without a problem, or none at all, is still a refusal', async () => {
  const broken = await refusal(Promise.resolve({ error: '<html>', response: response(502) }));
  expect(broken.problem.status).toBe(502);
  const away = await refusal(Promise.reject(new TypeError('fetch failed')));
  expect(away.problem.code).toBe('unreachable');
});

test('the client is generated from the document that is there', { timeout: 60_000 }, () => {
  const made = execFileSync(
    'npx',
    ['--no-install', 'openapi-typescript', '../services/control/openapi.json'],
    {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    },
  );
  expect(made).toBe(readFileSync('src/api/schema.d.ts', 'utf8'));
});

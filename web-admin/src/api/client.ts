import createClient, { type Middleware } from 'openapi-fetch';
import type { components, paths } from './schema';

export type Schema = components['schemas'];
export type Problem = Schema['Problem'];

/** A refused request, with the server's problem. */
export class Refused extends Error {
  constructor(readonly problem: Problem) {
    super(problem.title);
  }

  /** What is wrong with one field, if the server said so. */
  field(name: string): string | undefined {
    return this.problem.errors?.find((fault) => fault.field === name)?.message;
  }
}

let csrf = '';

/** The token that changes must carry; the session's answer tells it. */
export function setCsrf(token: string) {
  csrf = token;
}

const anti: Middleware = {
  onRequest({ request }) {
    if (request.method !== 'GET') request.headers.set('X-CSRF-Token', csrf);
    return request;
  },
};

export const api = createClient<paths>({ baseUrl: window.location.origin });
api.use(anti);

type Answer<T> = { data?: T; error?: unknown; response: Response };

/** The data of an answer; throws `Refused` if there is none. */
export async function data<T>(answer: Promise<Answer<T>>): Promise<T> {
  const { data, error, response } = await answer.catch(() => {
    throw new Refused({
      type: 'about:blank',
      title: 'The server cannot be reached.',
      status: 0,
      code: 'unreachable',
    });
  });
  if (response.ok) return data as T;
  const known = typeof error === 'object' && error !== null && 'code' in error;
  throw new Refused(
    known
      ? (error as Problem)
      : {
          type: 'about:blank',
          title: response.statusText,
          status: response.status,
          code: 'internal',
        },
  );
}

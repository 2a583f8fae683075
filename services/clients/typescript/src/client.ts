import { Refused, Unreachable } from './errors.js';
import type { Receipt } from './receipt.js';
import { Budget, Course } from './retry.js';
import type { components } from './schema.js';

type Schemas = components['schemas'];

/** The answer to a classification. */
export type Classified = Schemas['Classified'];

export type Options = {
  /** An API key or a token. */
  key: string;
  /** For a call as a whole, in milliseconds. */
  timeout?: number;
};

export type Asking = {
  model: string;
  /** How many labels for each text, best first. */
  topK?: number;
  /** Whether to say which parts of each text spoke for its best label: of at most 16 texts. */
  explain?: boolean;
  purpose?: string;
  /** An opaque id of the person that the text is about. */
  subject?: string;
  subjectCountry?: string;
  consents?: string[];
  idempotencyKey?: string;
  timeout?: number;
  /** Gives the call up. */
  signal?: AbortSignal;
};

type Sent = {
  method?: string;
  headers?: Record<string, string>;
  body?: string;
  timeout?: number | undefined;
  signal?: AbortSignal | undefined;
};

/** Calls a gateway. */
export class Reeve {
  readonly #base: string;
  readonly #key: string;
  readonly #timeout: number;
  readonly #budget = new Budget();

  constructor(base: string, options: Options) {
    this.#base = base.replace(/\/+$/, '');
    this.#key = options.key;
    this.#timeout = options.timeout ?? 30_000;
  }

  /** Classifies a text, or up to 1,000 in their order. */
  classify(texts: string | string[], asking: Asking): Promise<Classified> {
    const headers: Record<string, string> = {
      'Content-Type': 'application/json',
      'Idempotency-Key': asking.idempotencyKey ?? crypto.randomUUID(),
    };
    if (asking.purpose !== undefined) headers['Reeve-Purpose'] = asking.purpose;
    if (asking.subject !== undefined) headers['Reeve-Subject'] = asking.subject;
    if (asking.subjectCountry !== undefined) headers['Reeve-Subject-Country'] = asking.subjectCountry;
    if (asking.consents?.length) headers['Reeve-Consents'] = asking.consents.join(',');
    const { model, topK = 1, explain = false } = asking;
    const body = JSON.stringify({ model, input: texts, top_k: topK, explain });
    const { timeout, signal } = asking;
    return this.#call('/v1/classify', { method: 'POST', headers, body, timeout, signal });
  }

  /** The models that you may use. */
  async models(): Promise<Schemas['ModelView'][]> {
    return (await this.#call<Schemas['ModelList']>('/v1/models')).models;
  }

  /** What you used, by day (`2026-11-01`), model and region; this month if no days are given. */
  async usage(days: { from?: string; until?: string } = {}): Promise<Schemas['UsageDay'][]> {
    const query = new URLSearchParams(days).toString();
    return (await this.#call<Schemas['UsageReport']>(`/v1/usage${query && `?${query}`}`)).rows;
  }

  /** One of your decisions, explained. */
  decision(id: string): Promise<Schemas['DecisionView']> {
    return this.#call(`/v1/decisions/${encodeURIComponent(id)}`);
  }

  /** The proofs that a call's records stand in the log; `verifyReceipt` checks them offline. */
  async receipts(id: string): Promise<Receipt[]> {
    const path = `/v1/receipts/${encodeURIComponent(id)}`;
    return (await this.#call<{ receipts: Receipt[] }>(path)).receipts;
  }

  async #call<T>(path: string, sent: Sent = {}): Promise<T> {
    const course = new Course(this.#budget, sent.timeout ?? this.#timeout);
    for (;;) {
      try {
        return await this.#attempt<T>(path, sent, course.left());
      } catch (fault) {
        if (sent.signal?.aborted) throw sent.signal.reason;
        const wait = course.wait(fault);
        if (wait === undefined) throw fault;
        await new Promise((done) => setTimeout(done, wait));
        sent.signal?.throwIfAborted();
      }
    }
  }

  async #attempt<T>(path: string, sent: Sent, left: number): Promise<T> {
    const limit = AbortSignal.timeout(Math.ceil(left));
    const signal = sent.signal ? AbortSignal.any([sent.signal, limit]) : limit;
    let response: Response;
    let text: string;
    try {
      response = await fetch(`${this.#base}${path}`, {
        method: sent.method ?? 'GET',
        headers: {
          ...sent.headers,
          Authorization: `Bearer ${this.#key}`,
          // What nobody waits for any more is not computed.
          'Reeve-Deadline-Ms': String(Math.ceil(left)),
        },
        ...(sent.body === undefined ? {} : { body: sent.body }),
        signal,
      });
      text = await response.text();
    } catch (cause) {
      throw new Unreachable(`no answer from ${this.#base}`, { cause });
    }
    if (response.ok) return JSON.parse(text) as T;
    const after = response.headers.get('Retry-After') ?? '';
    throw new Refused(
      response.status,
      problemOf(text),
      /^\d+$/.test(after) ? Number(after) * 1000 : undefined,
    );
  }
}

function problemOf(text: string): ConstructorParameters<typeof Refused>[1] {
  try {
    const problem: unknown = JSON.parse(text);
    return typeof problem === 'object' && problem !== null ? problem : {};
  } catch {
    return {};
  }
}

/** Any error of this client. */
export class ReeveError extends Error {
  override name = 'ReeveError';
}

/**
 * No answer came in time. Whether the call was made is not known; its idempotency key makes calling
 * again safe.
 */
export class Unreachable extends ReeveError {
  override name = 'Unreachable';
}

/** A receipt proves nothing; the message says why. */
export class ReceiptWrong extends ReeveError {
  override name = 'ReceiptWrong';
}

/** A field of the request that is not valid. */
export type FieldError = { field: string; message: string };
/** A policy rule, and what is told of it. */
export type Rule = { id: string; reason: string };

type Problem = {
  code?: string;
  title?: string;
  detail?: string;
  decision_id?: string;
  errors?: FieldError[];
  rules?: Rule[];
};

/** The call was refused, or failed; every such answer leaves a record under `decisionId`. */
export class Refused extends ReeveError {
  override name = 'Refused';
  readonly code: string;
  readonly detail: string | undefined;
  readonly decisionId: string | undefined;
  readonly errors: FieldError[];
  readonly rules: Rule[];

  constructor(
    readonly status: number,
    problem: Problem,
    /** How many milliseconds the server asks to wait. */
    readonly retryAfter: number | undefined,
  ) {
    const code = problem.code ?? 'unknown';
    const fields = (problem.errors ?? []).map(({ field, message }) => `\`${field}\` ${message}`);
    const reasons = (problem.rules ?? []).map(({ reason }) => reason);
    const words = [problem.title, problem.detail, ...fields, ...reasons].filter(Boolean);
    super(`${code}: ${words.join(' ')}`);
    this.code = code;
    this.detail = problem.detail;
    this.decisionId = problem.decision_id;
    this.errors = problem.errors ?? [];
    this.rules = problem.rules ?? [];
  }
}

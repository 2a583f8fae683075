import { Refused } from './errors.js';

/** Statuses that may be other ones a moment later. */
const PASSING = new Set([429, 502, 503, 504]);
/** The month's end does not come within a call. */
const LASTING = new Set(['quota-exhausted', 'budget-exhausted', 'model-stopped', 'region-stopped']);

/** At most one retry for every ten calls, and ten more. */
export class Budget {
  #left = 10;

  called(): void {
    this.#left = Math.min(this.#left + 0.1, 20);
  }

  take(): boolean {
    if (this.#left < 1) return false;
    this.#left -= 1;
    return true;
  }
}

/** One call's attempts within its time. */
export class Course {
  #attempt = 0;
  readonly #end: number;

  constructor(
    readonly budget: Budget,
    timeout: number,
  ) {
    this.#end = performance.now() + timeout;
    budget.called();
  }

  /** Milliseconds. */
  left(): number {
    return Math.max(this.#end - performance.now(), 1);
  }

  /** How many milliseconds to wait before calling again; nothing if the fault is the answer. */
  wait(fault: unknown): number | undefined {
    let asked: number | undefined;
    if (fault instanceof Refused) {
      const passing = PASSING.has(fault.status) || fault.code === 'conflict';
      if (!passing || LASTING.has(fault.code)) return undefined;
      asked = fault.retryAfter;
    }
    this.#attempt += 1;
    // Full jitter, so that clients that were refused together do not come back together.
    const own = Math.random() * Math.min(100 * 2 ** this.#attempt, 5000);
    const wait = asked === undefined ? own : asked + own / 4;
    return wait < this.left() && this.budget.take() ? wait : undefined;
  }
}

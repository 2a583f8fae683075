import type { Schema } from '../api/client';

export function when(at: string | null | undefined, language: string): string {
  if (!at) return '–';
  return new Intl.DateTimeFormat(language, { dateStyle: 'medium', timeStyle: 'medium' }).format(
    new Date(at),
  );
}

export function count(value: number, language: string): string {
  return new Intl.NumberFormat(language).format(value);
}

/** Millionths of the currency's unit as an amount, with as many digits as it has. */
export function money(amount: Schema['Amount'] | null | undefined, language: string): string {
  if (!amount) return '–';
  return new Intl.NumberFormat(language, {
    style: 'currency',
    currency: amount.currency,
    minimumFractionDigits: 2,
    maximumFractionDigits: 6,
  }).format(amount.micros / 1_000_000);
}

/** The number of a version. */
export function versionOf(detail: Schema['ModelDetail'], digest: string | null | undefined) {
  return detail.versions.find((one) => one.digest === digest)?.version ?? '–';
}

/** The beginning of a digest, for people. */
export function short(digest: string | null | undefined): string {
  return digest ? digest.replace('sha256:', '').slice(0, 12) : '–';
}

import { expect, test } from 'vitest';
import { count, money, short, when } from './format';

test('money keeps the millionths that there are', () => {
  expect(money({ micros: 21, currency: 'EUR' }, 'en')).toBe('€0.000021');
  expect(money({ micros: 1_500_000, currency: 'USD' }, 'en')).toBe('$1.50');
  expect(money(null, 'en')).toBe('–');
});

test('numbers, digests and times are for people', () => {
  expect(count(1234567, 'en')).toBe('1,234,567');
  expect(short('sha256:a9f013eca9872924295d')).toBe('a9f013eca987');
  expect(short(null)).toBe('–');
  expect(when(null, 'en')).toBe('–');
  expect(when('2026-11-24T08:00:00Z', 'en')).toContain('2026');
});

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import en from './en.json';
import zh from './zh.json';

function keys(tree: object, prefix = ''): string[] {
  return Object.entries(tree).flatMap(([name, value]) =>
    typeof value === 'object' ? keys(value, `${prefix}${name}.`) : [`${prefix}${name}`],
  );
}

test('both languages say the same things', () => {
  expect(keys(zh).sort()).toEqual(keys(en).sort());
});

test('placeholders are the same in both', () => {
  const holes = (text: string) => (text.match(/{{\w+}}/g) ?? []).sort();
  const get = (tree: object, path: string) =>
    path
      .split('.')
      .reduce<unknown>((at, name) => (at as Record<string, unknown>)[name], tree) as string;
  for (const key of keys(en)) expect(holes(get(zh, key)), key).toEqual(holes(get(en, key)));
});

test('every text that the screens ask for is there', () => {
  const known = new Set(keys(en));
  for (const folder of ['app', 'screens', 'ui']) {
    for (const file of readdirSync(join('src', folder))) {
      if (!file.endsWith('.tsx')) continue;
      const source = readFileSync(join('src', folder, file), 'utf8');
      for (const [, key] of source.matchAll(/\bt\(\s*'([^']+)'/g)) {
        expect(known.has(key ?? ''), `${file}: ${key}`).toBe(true);
      }
    }
  }
});

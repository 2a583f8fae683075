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

/** A text's name, whichever form of it a number asks for. */
const named = (key: string) => key.replace(/_(one|other)$/, '');
const names = (tree: object) => [...new Set(keys(tree).map(named))].sort();

test('both languages say the same things', () => {
  expect(names(zh)).toEqual(names(en));
});

test('each language has all forms that its numbers ask for', () => {
  for (const [language, tree] of Object.entries({ en, zh })) {
    const forms = new Intl.PluralRules(language).resolvedOptions().pluralCategories;
    const all = keys(tree);
    for (const key of all.filter((key) => named(key) !== key)) {
      for (const form of forms) expect(all).toContain(`${named(key)}_${form}`);
    }
  }
});

test('placeholders are the same in both', () => {
  const holes = (text: string) => (text.match(/{{[^}]+}}/g) ?? []).sort();
  const get = (tree: object, path: string) =>
    path
      .split('.')
      .reduce<unknown>((at, name) => (at as Record<string, unknown>)[name], tree) as string;
  const chinese = new Map(keys(zh).map((key) => [named(key), get(zh, key)]));
  for (const key of keys(en)) {
    expect(holes(chinese.get(named(key)) ?? ''), key).toEqual(holes(get(en, key)));
  }
});

test('every text that the screens ask for is there', () => {
  const known = new Set(names(en));
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

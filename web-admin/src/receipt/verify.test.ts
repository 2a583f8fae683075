import { expect, test } from 'vitest';
import fixture from './fixture.json';
import { checkReceipts, readKey, readReceipts, type Wrong } from './verify';

const keys = fixture.keys.join('\n');
const [first] = fixture.receipts;

function wrong(change: object, by = keys): Wrong | undefined {
  return checkReceipts(JSON.stringify({ ...first, ...change }), by)?.[0]?.wrong;
}

test('what the ledger makes holds, and the witness is named', () => {
  const checked = checkReceipts(JSON.stringify({ receipts: fixture.receipts }), keys);
  expect(checked?.map((one) => one.wrong)).toEqual([undefined, undefined, undefined, undefined]);
  expect(checked?.[0]?.cosigned[0]?.name).toBe('reeve.test/witness');
  expect(checked?.[0]?.cosigned[0]?.at.toISOString()).toBe('2023-11-14T22:13:20.000Z');
  const without = checkReceipts(JSON.stringify(first), fixture.keys[0] ?? '');
  expect(without?.[0]).toMatchObject({ cosigned: [] });
});

test('what was changed is named', () => {
  expect(wrong({})).toBeUndefined();
  expect(wrong({ index: 1 })).toBe('proof');
  expect(wrong({ proof: first?.proof.slice(1) })).toBe('proof');
  expect(wrong({ proof: [...(first?.proof ?? []), first?.proof[0]] })).toBe('proof');
  expect(wrong({ proof: ['zz'] })).toBe('proof');
  expect(wrong({ entry: btoa('entry 1') })).toBe('entry');
  expect(wrong({ tree_size: 699 })).toBe('size');
  expect(wrong({ origin: 'reeve.test/other' })).toBe('origin');
  expect(wrong({ checkpoint: 'nothing' })).toBe('note');
  expect(wrong({ checkpoint: first?.checkpoint.replace('\n700\n', '\n701\n') })).toBe('signature');
  expect(wrong({}, '')).toBe('no-key');
  expect(wrong({}, fixture.keys[1])).toBe('no-key');
});

test('every letter of a key counts', () => {
  const key = fixture.keys[0] ?? '';
  expect(readKey(key)).toBeDefined();
  for (let place = 0; place < key.length; place += 1) {
    const other = key[place] === 'A' ? 'B' : 'A';
    const changed = readKey(key.slice(0, place) + other + key.slice(place + 1));
    expect(changed === undefined || changed.name !== readKey(key)?.name).toBe(true);
  }
  expect(readReceipts('{}')).toBeUndefined();
  expect(readReceipts('nonsense')).toBeUndefined();
});

/**
 * Checks receipts with public keys alone, by what the platform's own cryptography offers.
 *
 * Hashes and proofs are RFC 6962's, checkpoints C2SP's tlog-checkpoint and signed-note, signatures
 * RFC 8032's Ed25519.
 */
import { ReceiptWrong } from './errors.js';

/** The proof that a record stands in a log. */
export type Receipt = {
  origin: string;
  index: number;
  /** Hexadecimal. */
  leaf_hash: string;
  /** The record, base64; may be left out. */
  entry?: string;
  tree_size: number;
  /** Hexadecimal, from the leaf's sibling on. */
  proof: string[];
  /** The signed checkpoint. */
  checkpoint: string;
};

type Bytes = Uint8Array<ArrayBuffer>;
type Key = { name: string; id: string; kind: number; key: Bytes };

const LOG = 1;
const utf8 = (text: string): Bytes => new TextEncoder().encode(text);

function fail(message: string): never {
  throw new ReceiptWrong(message);
}

function base64(text: string): Bytes {
  try {
    return Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  } catch {
    return fail('a field is not base64');
  }
}

function unhex(text: string): Bytes {
  if (!/^([0-9a-f]{2})*$/.test(text)) fail('a field is not hexadecimal');
  return Uint8Array.from(text.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
}

function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

async function sha256(...parts: Uint8Array[]): Promise<Bytes> {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return new Uint8Array(await crypto.subtle.digest('SHA-256', all));
}

/** A C2SP verifier key, `name+hash+key`. */
async function readKey(text: string): Promise<Key> {
  const [, name, id, encoded] = /^([^+\s]+)\+([0-9a-f]{8})\+(\S+)$/.exec(text.trim()) ?? [];
  if (name === undefined || id === undefined || encoded === undefined) {
    return fail('a key is not of the form `name+hash+key`');
  }
  const bytes = base64(encoded);
  const hash = await sha256(utf8(`${name}\n`), bytes);
  if (bytes.length !== 33 || hex(hash.subarray(0, 4)) !== id) fail(`the key of \`${name}\` is damaged`);
  return { name, id, kind: bytes[0] ?? 0, key: bytes.slice(1) };
}

async function holds(signature: Bytes, message: Bytes, key: Bytes): Promise<boolean> {
  try {
    const imported = await crypto.subtle.importKey('raw', key, 'Ed25519', false, ['verify']);
    return await crypto.subtle.verify('Ed25519', imported, signature, message);
  } catch (cause) {
    if (cause instanceof DOMException && cause.name === 'NotSupportedError') throw cause;
    return false;
  }
}

/** The size and root that the log's own signature covers. */
async function checkpoint(
  note: string,
  origin: string,
  keys: Key[],
): Promise<{ size: number; root: Bytes }> {
  const at = note.indexOf('\n\n');
  const body = note.slice(0, at + 1);
  const [name, size, root, ...rest] = body.split('\n');
  const isSize = /^(0|[1-9][0-9]*)$/.test(size ?? '');
  if (at < 0 || !isSize || root === undefined || rest.length !== 1) fail('the checkpoint is none');
  if (name !== origin) fail("the checkpoint is another log's");
  const own = keys.filter((key) => key.kind === LOG && key.name === origin);
  if (own.length === 0) fail(`no key of the log \`${origin}\` is known`);
  for (const line of note.slice(at + 2).split('\n')) {
    if (line === '') continue;
    const [, signer, encoded] = /^— (\S+) (\S+)$/.exec(line) ?? fail('the checkpoint is none');
    const signed = base64(encoded ?? '');
    for (const key of own) {
      if (signer !== key.name || hex(signed.subarray(0, 4)) !== key.id) continue;
      if (!(await holds(signed.slice(4), utf8(body), key.key))) {
        fail("the log's signature does not hold");
      }
      return { size: Number(size), root: base64(root ?? '') };
    }
  }
  return fail('the log did not sign the checkpoint');
}

/** The root that a proof leads to (RFC 9162, 2.1.3.2). */
async function rootOf(leaf: Bytes, index: number, size: number, proof: Bytes[]) {
  // Beyond 2^31 the bits of numbers are not those of integers.
  let [at, last] = [BigInt(index), BigInt(size) - 1n];
  let found = leaf;
  const node = Uint8Array.of(1);
  for (const sibling of proof) {
    if (last === 0n) return undefined;
    if ((at & 1n) === 1n || at === last) {
      found = await sha256(node, sibling, found);
      while ((at & 1n) === 0n && at !== 0n) {
        at >>= 1n;
        last >>= 1n;
      }
    } else {
      found = await sha256(node, found, sibling);
    }
    at >>= 1n;
    last >>= 1n;
  }
  return last === 0n ? found : undefined;
}

/** It proves what it proves, whatever it is. */
function readRecord(content: Bytes): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(content));
  } catch {
    return undefined;
  }
}

/**
 * Checks that a record stands in the log; returns the record, or nothing if the receipt leaves it
 * out or it is no JSON. Throws {@link ReceiptWrong}, saying what does not hold.
 */
export async function verifyReceipt(receipt: Receipt, keys: string[]): Promise<unknown> {
  const { origin, index, entry } = receipt;
  if (!Number.isSafeInteger(index) || index < 0 || !Array.isArray(receipt.proof)) {
    fail('a field is missing or cannot be read');
  }
  const signed = await checkpoint(receipt.checkpoint, origin, await Promise.all(keys.map(readKey)));
  if (signed.size !== receipt.tree_size) fail('the checkpoint is of another size than the proof');
  const leaf = unhex(receipt.leaf_hash);
  let record: unknown;
  if (entry !== undefined) {
    const content = base64(entry);
    if (hex(await sha256(Uint8Array.of(0), content)) !== receipt.leaf_hash) {
      fail('the record is not the one that was recorded');
    }
    record = readRecord(content);
  }
  const root = index < signed.size && (await rootOf(leaf, index, signed.size, receipt.proof.map(unhex)));
  if (!root || hex(root) !== hex(signed.root)) fail('the record is not in the log at that place');
  return record;
}

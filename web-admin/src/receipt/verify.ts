/**
 * Checks receipts with public keys alone, in this browser: no server is asked.
 *
 * Hashes and proofs are RFC 6962's, checkpoints C2SP's tlog-checkpoint and signed-note, cosignatures
 * C2SP's tlog-cosignature, signatures RFC 8032's Ed25519.
 */
import { ed25519 } from '@noble/curves/ed25519.js';
import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex, concatBytes, hexToBytes, utf8ToBytes } from '@noble/hashes/utils.js';

export type Receipt = {
  origin: string;
  index: number;
  leaf_hash: string;
  entry?: string;
  tree_size: number;
  proof: string[];
  checkpoint: string;
};

/** Why a receipt does not hold; the words are in the locales below `receipt`. */
export type Wrong =
  | 'no-receipt'
  | 'no-key'
  | 'note'
  | 'origin'
  | 'unsigned'
  | 'signature'
  | 'size'
  | 'entry'
  | 'proof';

export type Checked = {
  receipt: Receipt;
  /** Nothing if it holds. */
  wrong?: Wrong;
  /** The witnesses that cosigned, each with the time. */
  cosigned: { name: string; at: Date }[];
  /** The record, if the receipt has it. */
  record?: unknown;
};

type Key = { name: string; id: string; kind: number; key: Uint8Array };

const LOG = 1;
const WITNESS = 4;

function base64(text: string): Uint8Array {
  return Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
}

/** Reads a C2SP verifier key, `name+hash+key`; nothing if it is none. */
export function readKey(text: string): Key | undefined {
  const match = /^([^+\s]+)\+([0-9a-f]{8})\+(\S+)$/.exec(text.trim());
  const [, name, id, encoded] = match ?? [];
  if (name === undefined || id === undefined || encoded === undefined) return undefined;
  try {
    const bytes = base64(encoded);
    const hash = sha256(concatBytes(utf8ToBytes(`${name}\n`), bytes)).subarray(0, 4);
    const kind = bytes[0];
    if (bytes.length !== 33 || kind === undefined || bytesToHex(hash) !== id) return undefined;
    return { name, id, kind, key: bytes.subarray(1) };
  } catch {
    return undefined;
  }
}

type Signature = { name: string; id: string; signed: Uint8Array };
type Note = { body: string; origin: string; size: number; root: string; signatures: Signature[] };

function readNote(note: string): Note | undefined {
  const at = note.indexOf('\n\n');
  if (at < 0) return undefined;
  const body = note.slice(0, at + 1);
  const [origin, size, root, ...rest] = body.split('\n');
  if (origin === undefined || size === undefined || root === undefined) return undefined;
  if (rest.length !== 1 || !/^(0|[1-9][0-9]*)$/.test(size)) return undefined;
  const signatures: Signature[] = [];
  for (const line of note.slice(at + 2).split('\n')) {
    if (line === '') continue;
    const match = /^— (\S+) (\S+)$/.exec(line);
    if (match?.[1] === undefined || match[2] === undefined) return undefined;
    try {
      const blob = base64(match[2]);
      const id = bytesToHex(blob.subarray(0, 4));
      signatures.push({ name: match[1], id, signed: blob.subarray(4) });
    } catch {
      return undefined;
    }
  }
  return { body, origin, size: Number(size), root, signatures };
}

function holds(signature: Uint8Array, message: string, key: Uint8Array): boolean {
  try {
    return ed25519.verify(signature, utf8ToBytes(message), key, { zip215: false });
  } catch {
    return false;
  }
}

function node(left: Uint8Array, right: Uint8Array): Uint8Array {
  return sha256(concatBytes(Uint8Array.of(1), left, right));
}

/** The root that a proof leads to (RFC 9162, 2.1.3.2); nothing if its length is wrong. */
export function rootOf(
  leaf: Uint8Array,
  index: number,
  size: number,
  proof: Uint8Array[],
): Uint8Array | undefined {
  if (index >= size) return undefined;
  // Beyond 2^31 the bits of numbers are not those of integers.
  let [at, last] = [BigInt(index), BigInt(size) - 1n];
  let hash = leaf;
  for (const sibling of proof) {
    if (last === 0n) return undefined;
    if ((at & 1n) === 1n || at === last) {
      hash = node(sibling, hash);
      while ((at & 1n) === 0n && at !== 0n) {
        at >>= 1n;
        last >>= 1n;
      }
    } else {
      hash = node(hash, sibling);
    }
    at >>= 1n;
    last >>= 1n;
  }
  return last === 0n ? hash : undefined;
}

/** The record as JSON; nothing if it is none. */
function readRecord(entry: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(entry));
  } catch {
    return undefined;
  }
}

function check(receipt: Receipt, keys: Key[]): Omit<Checked, 'receipt'> {
  const note = readNote(receipt.checkpoint);
  if (!note) return { wrong: 'note', cosigned: [] };
  const cosigned = keys
    .filter((key) => key.kind === WITNESS)
    .flatMap((key) =>
      note.signatures
        .filter((one) => one.name === key.name && one.id === key.id)
        .flatMap(({ signed }) => {
          const seconds = new DataView(signed.buffer, signed.byteOffset).getBigUint64(0);
          const message = `cosignature/v1\ntime ${seconds}\n${note.body}`;
          return holds(signed.subarray(8), message, key.key)
            ? [{ name: key.name, at: new Date(Number(seconds) * 1000) }]
            : [];
        }),
    );
  const bad = (wrong: Wrong) => ({ wrong, cosigned });
  if (note.origin !== receipt.origin) return bad('origin');
  const key = keys.find((one) => one.kind === LOG && one.name === receipt.origin);
  if (!key) return bad('no-key');
  const own = note.signatures.find((one) => one.name === key.name && one.id === key.id);
  if (!own) return bad('unsigned');
  if (!holds(own.signed, note.body, key.key)) return bad('signature');
  if (note.size !== receipt.tree_size) return bad('size');
  try {
    const leaf = hexToBytes(receipt.leaf_hash);
    const entry = receipt.entry === undefined ? undefined : base64(receipt.entry);
    if (entry) {
      const found = sha256(concatBytes(Uint8Array.of(0), entry));
      if (bytesToHex(found) !== receipt.leaf_hash) return bad('entry');
    }
    const proof = receipt.proof.map((hash) => hexToBytes(hash));
    const root = rootOf(leaf, receipt.index, note.size, proof);
    if (!root || bytesToHex(root) !== bytesToHex(base64(note.root))) return bad('proof');
    return { cosigned, record: entry && readRecord(entry) };
  } catch {
    return bad('proof');
  }
}

function isReceipt(value: unknown): value is Receipt {
  const one = value as Receipt;
  return (
    typeof one === 'object' &&
    one !== null &&
    typeof one.origin === 'string' &&
    Number.isSafeInteger(one.index) &&
    typeof one.leaf_hash === 'string' &&
    Number.isSafeInteger(one.tree_size) &&
    Array.isArray(one.proof) &&
    one.proof.every((hash) => typeof hash === 'string') &&
    typeof one.checkpoint === 'string' &&
    (one.entry === undefined || typeof one.entry === 'string')
  );
}

/** The receipts in a text: one, or `{"receipts": […]}`. Nothing if there is none. */
export function readReceipts(text: string): Receipt[] | undefined {
  try {
    const value: unknown = JSON.parse(text);
    const list = (value as { receipts?: unknown }).receipts ?? [value];
    return Array.isArray(list) && list.length > 0 && list.every(isReceipt) ? list : undefined;
  } catch {
    return undefined;
  }
}

/** Checks receipts against verifier keys, one a line. */
export function checkReceipts(text: string, keyText: string): Checked[] | undefined {
  const keys = keyText
    .split(/\s+/)
    .map(readKey)
    .filter((key) => key !== undefined);
  return readReceipts(text)?.map((receipt) => ({ receipt, ...check(receipt, keys) }));
}

// Another version of a bundle: the same files with another number, as a tar archive.
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const digest = (bytes) => `sha256:${createHash('sha256').update(bytes).digest('hex')}`;

/** A ustar archive of files by name. */
function tar(files) {
  const blocks = [];
  for (const [name, bytes] of Object.entries(files)) {
    const head = Buffer.alloc(512);
    const put = (text, at) => head.write(text, at, 'ascii');
    put(name, 0);
    put('0000644\0', 100);
    put('0000000\0', 108);
    put('0000000\0', 116);
    put(`${bytes.length.toString(8).padStart(11, '0')}\0`, 124);
    put('00000000000\0', 136);
    put('        ', 148);
    put('0', 156);
    put('ustar\0' + '00', 257);
    const sum = head.reduce((all, byte) => all + byte, 0);
    put(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
    blocks.push(head, bytes, Buffer.alloc((512 - (bytes.length % 512)) % 512));
  }
  return Buffer.concat([...blocks, Buffer.alloc(1024)]);
}

export function version(dir, number) {
  const manifest = JSON.parse(readFileSync(join(dir, 'bundle.json'), 'utf8'));
  const files = {};
  for (const name of Object.keys(manifest.files)) files[name] = readFileSync(join(dir, name));
  const card = JSON.parse(files['card.json']);
  files['card.json'] = Buffer.from(JSON.stringify({ ...card, version: number }));
  const digests = Object.fromEntries(
    Object.entries(files).map(([name, bytes]) => [name, digest(bytes)]),
  );
  const bundle = JSON.stringify({ ...manifest, version: number, files: digests });
  return tar({ 'bundle.json': Buffer.from(bundle), ...files });
}

// The scripts that the first screen needs, gzipped, must stay within 250 kB.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';

const LIMIT = 250 * 1024;
const manifest = JSON.parse(readFileSync('dist/.vite/manifest.json', 'utf8'));
const seen = new Set();

function take(name) {
  if (seen.has(name)) return;
  seen.add(name);
  for (const next of manifest[name].imports ?? []) take(next);
}

take('index.html');
take('src/screens/overview.tsx');
let total = 0;
for (const name of seen) total += gzipSync(readFileSync(join('dist', manifest[name].file))).length;
console.log(`first screen: ${(total / 1024).toFixed(1)} kB of ${LIMIT / 1024} kB gzip`);
if (total > LIMIT) process.exit(1);

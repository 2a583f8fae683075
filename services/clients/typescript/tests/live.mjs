// The client against a running Reeve: live.mjs CONFIGURATION, as `tests/it/clients.rs` calls it.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';

import { ReceiptWrong, Reeve, Refused, Unreachable, verifyReceipt } from '../dist/index.js';

const { gateway, keys, model, scene } = JSON.parse(process.argv[2]);

async function refused(call) {
  const fault = await call.then(
    (answer) => assert.fail(`it was not refused: ${JSON.stringify(answer)}`),
    (fault) => fault,
  );
  assert.ok(fault instanceof Refused, fault);
  assert.match(fault.decisionId, /^dec_/);
  return fault;
}

async function proofs(reeve, id) {
  const end = performance.now() + 10_000;
  for (;;) {
    try {
      return await reeve.receipts(id);
    } catch (fault) {
      assert.ok(fault.code === 'not-found' && performance.now() < end, fault);
      await new Promise((done) => setTimeout(done, 100));
    }
  }
}

const scenes = {
  async open() {
    // Receipts that another implementation of a log made.
    const path = new URL('../../../../web-admin/src/receipt/fixture.json', import.meta.url);
    const fixture = JSON.parse(await readFile(path, 'utf8'));
    for (const receipt of fixture.receipts) {
      await verifyReceipt(receipt, fixture.keys);
      const moved = { ...receipt, index: receipt.index ^ 1 };
      await assert.rejects(verifyReceipt(moved, fixture.keys), ReceiptWrong);
      await assert.rejects(verifyReceipt(receipt, fixture.keys.slice(1)), ReceiptWrong);
    }
    const reeve = new Reeve(gateway, { key: keys.good });
    const texts = ['my parcel never came', '我要退款'];
    const answer = await reeve.classify(texts, { model, topK: 2, subject: 'p7' });
    assert.deepEqual(answer.results.map(({ labels }) => labels.length), [2, 2]);
    const many = await reeve.classify(Array.from({ length: 1000 }, (_, n) => `text ${n}`), { model });
    assert.equal(many.usage.items, 1000);
    assert.equal((await reeve.models())[0].name, model);
    const first = await reeve.classify('once', { model, idempotencyKey: 't1' });
    assert.equal((await reeve.classify('once', { model, idempotencyKey: 't1' })).id, first.id);
    assert.equal((await refused(reeve.classify('twice', { model, idempotencyKey: 't1' }))).status, 409);
    const denied = await refused(reeve.classify('hello', { model, purpose: 'social-scoring' }));
    assert.deepEqual([denied.status, denied.code], [403, 'denied-by-policy']);
    assert.ok(denied.rules.length > 0);
    assert.equal((await refused(reeve.classify([], { model }))).errors[0].field, 'input');

    const receipts = await proofs(reeve, answer.id);
    for (const receipt of receipts) assert.ok(await verifyReceipt(receipt, [keys.log]));
    const whole = receipts[0];
    const at = whole.checkpoint.lastIndexOf('=') - 8;
    const letter = whole.checkpoint[at] === 'A' ? 'B' : 'A';
    const forged = [
      [whole, []],
      [whole, [keys.log.replace('gateway-1', 'gateway-9')]],
      [{ ...whole, index: whole.index + 1 }, [keys.log]],
      [{ ...whole, tree_size: whole.tree_size + 1 }, [keys.log]],
      [{ ...whole, leaf_hash: '00'.repeat(32) }, [keys.log]],
      [{ ...whole, proof: whole.proof.slice(0, -1) }, [keys.log]],
      [{ ...whole, entry: receipts[1].entry }, [keys.log]],
      [
        { ...whole, checkpoint: whole.checkpoint.slice(0, at) + letter + whole.checkpoint.slice(at + 1) },
        [keys.log],
      ],
    ];
    for (const [receipt, known] of forged) {
      await assert.rejects(verifyReceipt(receipt, known), ReceiptWrong, JSON.stringify(receipt));
    }
    assert.equal((await reeve.decision(answer.id)).status, 'completed');
    assert.ok((await reeve.usage()).some(({ calls }) => calls > 0));

    const stranger = new Reeve(gateway, { key: keys.wrong });
    assert.equal((await refused(stranger.models())).code, 'invalid-credential');
    // Ten at once and five a second: what is refused for the moment is waited out.
    const small = new Reeve(gateway, { key: keys.small, timeout: 20_000 });
    for (let n = 0; n < 14; n += 1) await small.classify(`call ${n}`, { model });
    const together = texts.concat(texts).map((text) => reeve.classify(text, { model }));
    assert.equal(new Set((await Promise.all(together)).map(({ id }) => id)).size, 4);
    const nowhere = new Reeve('http://127.0.0.1:9', { key: 'k', timeout: 1000 });
    await assert.rejects(nowhere.models(), Unreachable);
    const given = AbortSignal.abort(new Error('given up'));
    await assert.rejects(reeve.classify('hello', { model, signal: given }), /given up/);
  },

  async closed() {
    const reeve = new Reeve(gateway, { key: keys.good, timeout: 3000 });
    const begun = performance.now();
    const fault = await refused(reeve.classify('hello', { model }));
    assert.deepEqual([fault.status, fault.code], [503, 'no-pod-in-permitted-region']);
    const took = performance.now() - begun;
    assert.ok(fault.retryAfter && took > 500 && took < 4000, `${took}`);
  },
};

await scenes[scene]();
console.log(`reeve-client (TypeScript): ${scene}, as it should be`);

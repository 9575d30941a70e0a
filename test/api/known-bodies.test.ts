// Bodies of check-ins that are remembered: whatever was read before, each is answered as if it were the first.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createKnownBodies } from '../../src/api/known-bodies.ts';
import { parseJson } from '../../src/protocol/json.ts';
import fc from '../support/fast-check.ts';

const NONCE = fc.stringMatching(/^[A-Za-z0-9_-]{22}$/);
const rest = fc.record({
  platform: fc.constantFrom('linux-x64', 'linux-arm64', 'größe'),
  sequence: fc.integer({ min: 0, max: 3 }),
  products: fc.array(fc.record({ product: fc.constantFrom('a', 'b') }), { maxLength: 2 }),
});

test('what is recalled is what would be read, by the property and over many', () => {
  const known = createKnownBodies();
  let recalled = 0;
  fc.assert(
    fc.property(NONCE, NONCE, rest, (nonce, boot, more) => {
      const text = JSON.stringify({ nonce, boot, ...more });
      const body = Buffer.from(text);
      const before = known.recall(body);
      if (before === undefined) known.remember(body, parseJson(text));
      else {
        recalled += 1;
        assert.equal(JSON.stringify(before), text);
      }
    }),
    { numRuns: 500 },
  );
  assert(recalled > 200, `${recalled}`);
});

test('nothing is recalled of what is written otherwise, is long, or tells facts or attempts; what is shared cannot be changed', () => {
  const [nonce, boot] = ['n'.repeat(22), 'b'.repeat(22)];
  const known = createKnownBodies();
  const remember = (value: object, text = JSON.stringify(value)) => {
    known.remember(Buffer.from(text), value);
    return known.recall(Buffer.from(text));
  };
  assert.equal(remember({ boot, nonce, platform: 'x' }), undefined);
  assert.equal(remember({ nonce, boot, platform: 'x'.repeat(3_000) }), undefined);
  assert.equal(remember({ nonce, boot, facts: { kernel: '6.1' } }), undefined);
  assert.equal(remember({ nonce, boot, attempts: [{ id: 'one' }] }), undefined);
  assert.deepEqual(remember({ nonce, boot, attempts: [] }), { nonce, boot, attempts: [] });
  assert.equal(remember({ nonce: 'short', boot, platform: 'x' }), undefined);
  assert.equal(remember({ nonce, boot }), undefined);
  const found = remember({ nonce, boot, products: [{ product: 'a' }] }) as { products: { product: string }[] };
  assert.throws(() => found.products.push({ product: 'b' }), TypeError);
  assert.throws(() => Object.assign(found.products[0] ?? {}, { product: 'b' }), TypeError);
  // Another head before a known end is looked at by itself.
  const end = JSON.stringify({ nonce, boot, products: [{ product: 'a' }] }).slice(66);
  for (const head of [`{"nonce":"${'"'.repeat(22)}","boot":"${boot}",`, `{"boot":"${boot}","nonce":"${nonce}" ,`])
    assert.equal(known.recall(Buffer.from(head + end)), undefined, head);
});

test('it holds no more than so many, and goes on remembering', () => {
  const known = createKnownBodies();
  const bodyOf = (sequence: number) => {
    const value = { nonce: 'n'.repeat(22), boot: 'b'.repeat(22), sequence };
    const body = Buffer.from(JSON.stringify(value));
    known.remember(body, value);
    return body;
  };
  const first = bodyOf(0);
  for (let sequence = 1; sequence <= 512; sequence += 1) bodyOf(sequence);
  assert.equal(known.recall(first), undefined);
  assert.deepEqual(known.recall(bodyOf(513)), { nonce: 'n'.repeat(22), boot: 'b'.repeat(22), sequence: 513 });
});

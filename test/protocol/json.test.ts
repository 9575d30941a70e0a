// Strict JSON: what one reader would see differently from another is refused, however it is written.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AppError } from '../../src/errors.ts';
import { parseJson } from '../../src/protocol/json.ts';
import fc from '../support/fast-check.ts';

const REFUSED: [text: string, why: RegExp][] = [
  ['{"a":1,"a":2}', /stands twice/],
  ['{"a":1,"a" :2}', /stands twice/],
  ['{ "a": 1, "a": 1 }', /stands twice/],
  ['{"a":1,"\\u0061":2}', /stands twice/],
  ['{"a":{"b":[{"c":1,"c":1}]}}', /stands twice/],
  ['{"":0,"":0}', /stands twice/],
  ['{"__proto__":1,"__proto__":2}', /stands twice/],
  ['{"\\"a\\":":1,"\\"a\\":":1}', /stands twice/],
  [`${'['.repeat(34)}${']'.repeat(34)}`, /deeper than 32/],
  [`${'{"a":'.repeat(34)}1${'}'.repeat(34)}`, /deeper than 32/],
  [`${'['.repeat(30_000)}${']'.repeat(30_000)}`, /deeper than 32/],
  ['{"a":1}}', /not JSON/],
  ['', /not JSON/],
];
for (const [text, why] of REFUSED) {
  test(`parseJson(${text.slice(0, 40)}) is refused`, () => {
    assert.throws(
      () => parseJson(text),
      (error) => error instanceof AppError && error.code === 'bad_request' && why.test(error.message),
    );
  });
}

const ACCEPTED = [
  '{"a":1}',
  '{ "a" : 1 }',
  '{"a":"\\"b\\":","c":"b"}',
  '[1.0,1e2]',
  '{"2":0,"1":0}',
  '{"__proto__":1}',
  '"a"',
  'null',
  `${'['.repeat(32)}null,1${']'.repeat(32)}`,
];
for (const text of ACCEPTED) {
  test(`parseJson(${text})`, () => assert.deepEqual(parseJson(text), JSON.parse(text)));
}

test('parseJson: whatever can be written is read the same, compact or indented', () => {
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 5 }), fc.constantFrom(undefined, 2), (value, indent) => {
      const text = JSON.stringify(value, null, indent);
      assert.deepEqual(parseJson(text), JSON.parse(text));
    }),
  );
});

test('parseJson: a key that is put in a second time is refused, wherever and however', () => {
  const spaces = fc.constantFrom('', ' ', '\n\t');
  fc.assert(
    fc.property(
      fc.string({ maxLength: 8 }),
      fc.jsonValue({ maxDepth: 3 }),
      spaces,
      spaces,
      (key, value, before, after) => {
        const name = JSON.stringify(key);
        const other = JSON.stringify(value);
        const text = `{"x":${other},${name}${before}:${other},"y":{},${after}${name}${after}:${other}}`;
        assert.throws(() => parseJson(text), AppError);
      },
    ),
  );
});

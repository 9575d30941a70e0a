// Every deliberate bug still fits the source that it is a bug of; one of them is planted and found.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { findMutant } from './find.ts';
import { MUTANTS } from './list.ts';
import { edited } from './mutant-copy.ts';

const ROOT = join(import.meta.dirname, '../../..');

test('every text that a mutant replaces stands exactly once', () => {
  for (const { name, edits } of MUTANTS) {
    for (const edit of edits) {
      const text = readFileSync(join(ROOT, edit.file), 'utf8');
      assert.notEqual(edited(text, edit), text, `${name} changes ${edit.file}`);
    }
  }
  assert.equal(new Set(MUTANTS.map(({ name }) => name)).size, MUTANTS.length);
});

test('an edit of a text that is not there, or stands twice, is refused', () => {
  assert.throws(() => edited('abc', { file: 'x.ts', from: 'd', to: '' }), /0 times in x\.ts/);
  assert.throws(() => edited('aba', { file: 'x.ts', from: 'a', to: '' }), /2 times in x\.ts/);
});

test('a mutant is found', async () => {
  const mutant = MUTANTS.find(({ name }) => name === 'counters_are_booked_twice');
  assert.ok(mutant !== undefined);
  const { found, note } = await findMutant(mutant, { from: 1, seeds: 20, timeLimitMs: 60_000 });
  assert.equal(found?.promise, 'D2', note ?? '');
});

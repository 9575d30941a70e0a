// Counters under damage: they never decrease and never start from zero again.
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, truncateSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, beforeEach, describe, it } from 'node:test';
import { readCounters, writeCounters } from '../../src/agent/counters.ts';
import { type Paths, pathsOf } from '../../src/agent/paths.ts';
import { AppError } from '../../src/errors.ts';
import { remove, tempDir } from './fixture.ts';

describe('counters', () => {
  const work = tempDir();
  after(() => remove(work));
  let paths: Paths;
  let round = 0;

  beforeEach(() => {
    round += 1;
    paths = pathsOf(join(work, String(round)));
    mkdirSync(paths.state, { recursive: true });
    writeCounters(paths, { epoch: 1, sequence: 5 });
    writeCounters(paths, { epoch: 1, sequence: 6 });
  });

  const damage: Record<string, (file: string) => void> = {
    missing: (file) => unlinkSync(file),
    empty: (file) => truncateSync(file, 0),
    torn: (file) => truncateSync(file, 20),
    'with another number': (file) =>
      writeFileSync(file, readFileSync(file, 'utf8').replace(/"sequence":\d+/, '"sequence":9')),
  };
  for (const [name, break_] of Object.entries(damage)) {
    it(`the newer file ${name}: the older one counts`, () => {
      break_(paths.countersB);
      assert.deepEqual(readCounters(paths), { epoch: 1, sequence: 5 });
    });
    it(`the older file ${name}: nothing is lost`, () => {
      break_(paths.countersA);
      assert.deepEqual(readCounters(paths), { epoch: 1, sequence: 6 });
      writeCounters(paths, { epoch: 1, sequence: 7 });
      assert.deepEqual(readCounters(paths), { epoch: 1, sequence: 7 });
    });
    it(`both files ${name}: state_damaged, never zero`, () => {
      break_(paths.countersA);
      break_(paths.countersB);
      assert.throws(
        () => readCounters(paths),
        (error) => error instanceof AppError && error.code === 'state_damaged',
      );
    });
  }

  it('writes each file in turn', () => {
    const before = readFileSync(paths.countersB, 'utf8');
    writeCounters(paths, { epoch: 1, sequence: 7 });
    assert.equal(readFileSync(paths.countersB, 'utf8'), before);
    assert.match(readFileSync(paths.countersA, 'utf8'), /"sequence":7/);
  });

  for (const lower of [
    { epoch: 1, sequence: 5 },
    { epoch: 0, sequence: 9 },
  ]) {
    it(`refuses to go back to ${JSON.stringify(lower)}`, () => {
      assert.throws(() => writeCounters(paths, lower), /would decrease/);
    });
  }
});

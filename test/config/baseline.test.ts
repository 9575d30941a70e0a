// A limit for newcomers that their failure budget never lets them reach is warned of.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { baselineWarnings } from '../../src/config/baseline-warnings.ts';
import { readConfig } from '../../src/config.ts';
import { SMALL, write } from './files.ts';

const TABLE: [baseline: string, warns: boolean][] = [
  ['', false],
  ['{ badCount: 2 }', false],
  ['{ maxHot: 3 }', false],
  ['{ maxHot: 10 }', true],
  ['{ maxHot: 10, badCount: 9 }', true],
  ['{ maxHot: 10, badCount: 10 }', false],
];
for (const [baseline, warns] of TABLE) {
  test(`baselineWarnings(baseline: ${baseline || 'as by default'})`, () => {
    const text = baseline === '' ? SMALL : SMALL.replace('  plain:\n', `  plain:\n    baseline: ${baseline}\n`);
    const found = baselineWarnings(readConfig({ file: write(text), env: {} }));
    assert.equal(found.length, warns ? 1 : 0);
    if (warns) assert.match(found[0] ?? '', /^policies\.plain\.baseline\.maxHot: 10 newcomers .*raise badCount to 10/);
  });
}

test('a policy that nobody uses is not warned of', () => {
  const other = '  other:\n    baseline: { maxHot: 10 }\n    steps:\n      - percent: 100\nproducts:';
  assert.deepEqual(baselineWarnings(readConfig({ file: write(SMALL.replace('products:', other)), env: {} })), []);
});

// Regions in no wave: refused where no product goes there at all, warned of where one does not.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { waveWarnings } from '../../src/config/wave-warnings.ts';
import { readConfig } from '../../src/config.ts';
import { refusal, SMALL, write } from './files.ts';

const EU = SMALL.replace('  plain:\n', '  plain:\n    waves: [[eu]]\n');
/** A second product under a policy of its own. */
const SECOND = `  - name: probe
    repository: example/probe
    artifacts: [{ platform: linux-x64, asset: "probe-{version}.tar.gz" }]
    policy: other
`;
const other = (waves: string) =>
  EU.replace('products:', `  other:\n${waves}    steps:\n      - percent: 100\nproducts:`).concat(SECOND);

function warned(text: string): string[] {
  return waveWarnings(readConfig({ file: write(text), env: {} }));
}

test('a region in no wave of any policy in use is refused', () => {
  assert.match(refusal(write(EU)), /:4:13: regions\[1\]\.name: the region "us" is in no wave .*add it to a wave/s);
  // A policy that nobody uses goes nowhere.
  const unused = EU.replace('products:', '  other:\n    steps:\n      - percent: 100\nproducts:');
  assert.match(refusal(write(unused)), /"us" is in no wave/);
});

test('a region that another product goes to is warned of, by product', () => {
  for (const waves of ['', '    waves: [[us, eu]]\n']) {
    const [found, ...more] = warned(other(waves));
    assert.match(found ?? '', /^products\.collector\.policy: us stands in no wave of a policy of collector: .*held as/);
    assert.deepEqual(more, []);
  }
  assert.equal(warned(other('    waves: [[us]]\n')).length, 2);
  assert.deepEqual(warned(SMALL), []);
});

test('one of its policies is enough', () => {
  const text = other('').replace('policy: plain', 'policy: { patch: plain, major: other }');
  assert.deepEqual(warned(text), []);
});

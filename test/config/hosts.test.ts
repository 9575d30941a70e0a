// What a config asks of hosts: requirements, unhealthy agents, unknown builds; what would strand agents is refused.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { readConfig, rulesOf } from '../../src/config.ts';
import { refusal, SMALL, write } from './files.ts';

/** `lines` in the product. */
function withKeys(...lines: string[]): string {
  return SMALL + lines.map((line) => `    ${line}\n`).join('');
}

test('requirements and unknown builds as rules, unhealthy in the policy', () => {
  const config = readConfig({
    file: write(
      withKeys(
        'unknownBuilds: update',
        'requirements:',
        '  - { fact: kernel, atLeast: "5.10", versions: ">=2", reason: "eBPF" }',
        '  - { fact: os, oneOf: [debian, ubuntu] }',
      ).replace('  plain:', '  plain:\n    unhealthy: first'),
    ),
    env: {},
  });
  const [product] = config.products;
  assert.ok(product);
  const { requirements, unknownBuilds, policy } = rulesOf(config, product);
  assert.deepEqual(requirements, [
    { versions: '>=2', fact: 'kernel', rule: 'atLeast', wanted: ['5.10'], reason: 'eBPF' },
    { versions: null, fact: 'os', rule: 'oneOf', wanted: ['debian', 'ubuntu'], reason: null },
  ]);
  assert.equal(unknownBuilds, 'update');
  assert.equal(policy.unhealthy, 'first');
});

test('the way up: lag, lowest version, floors in ascending order', () => {
  const config = readConfig({
    file: write(
      withKeys(
        'lag: 1',
        'from: "1.2.0"',
        'accept: ">=1.2 <4"',
        'floors: [{ version: "2.10.0", reason: "b" }, { version: "2.9.0", reason: "a" }]',
      ),
    ),
    env: {},
  });
  const [product] = config.products;
  assert.ok(product);
  const { lag, from, floors } = rulesOf(config, product);
  assert.deepEqual([lag, from], [1, '1.2.0']);
  assert.deepEqual(
    floors.map(({ version }) => version),
    ['2.9.0', '2.10.0'],
  );
});

test('a floor may be a prerelease that the channel lets in between releases that are accepted', () => {
  const text = withKeys(
    'accept: ">=1.2 <4"',
    'prereleases: [rc]',
    'floors: [{ version: "2.0.0-rc.1", reason: "state" }]',
  );
  assert.equal(readConfig({ file: write(text), env: {} }).products[0]?.floors[0]?.version, '2.0.0-rc.1');
});

test('by default nothing is required, and unhealthy agents and unknown builds are held', () => {
  const config = readConfig({ file: write(SMALL), env: {} });
  assert.deepEqual(config.products[0]?.requirements, []);
  assert.equal(config.products[0]?.unknownBuilds, 'hold');
  assert.equal(config.policies['plain']?.unhealthy, 'hold');
});

describe('refused', () => {
  const rows: [title: string, text: string, expected: string][] = [
    [
      'a requirement that wants nothing',
      withKeys('requirements: [{ fact: kernel }]'),
      '15:20: products[0].requirements[0]: the requirement does not say what is wanted; give exactly one of',
    ],
    [
      'a requirement that wants two things',
      withKeys('requirements: [{ fact: kernel, atLeast: "5", equals: "6" }]'),
      'products[0].requirements[0]: the requirement says twice what is wanted',
    ],
    [
      'a number that is none',
      withKeys('requirements: [{ fact: kernel, atLeast: bookworm }]'),
      'requirements[0].atLeast: "bookworm" is no number, version or size that could be compared',
    ],
    [
      'a size in a unit that nobody knows',
      withKeys('requirements: [{ fact: disk.free, atLeast: "2 Gibibyte" }]'),
      'requirements[0].atLeast: "2 Gibibyte" has a unit that is not known',
    ],
    [
      'a number without quotes, which YAML would cut',
      withKeys('requirements: [{ fact: kernel, atLeast: 5.10 }]'),
      'expected the value of a fact, in quotes (1 to 256 characters), got the number 5.10',
    ],
    [
      'no range',
      withKeys('requirements: [{ fact: kernel, atLeast: "5", versions: two }]'),
      'requirements[0].versions: "two" is not a range of the scheme semver',
    ],
    [
      'a name that no agent can report',
      withKeys('requirements: [{ fact: Kernel, atLeast: "5" }]'),
      'requirements[0].fact: expected the name of a fact',
    ],
    [
      'two that no host can meet',
      withKeys('requirements:', '  - { fact: kernel, atLeast: "5.10" }', '  - { fact: kernel, atMost: "4.19" }'),
      '17:9: products[0].requirements[1]: no host can have kernel at most 4.19 and at least 5.10, as line 16 wants it; no agent would be updated any more: remove one',
    ],
    [
      'two that no host can meet, for ranges that overlap',
      withKeys(
        'requirements:',
        '  - { fact: kernel, atLeast: "6", versions: ">=2" }',
        '  - { fact: kernel, atMost: "5", versions: "3.0.0 - 3.4.0 || ^5" }',
      ),
      'no agent would be updated to versions in 3.0.0 - 3.4.0 || ^5 and >=2 any more: remove one, or part the ranges',
    ],
    [
      'a lowest version above a range from - to',
      withKeys('accept: "1.0.0 - 2.0.0"', 'from: "2.0.0"'),
      'products[0].from: accept (1.0.0 - 2.0.0) has no version above 2.0.0: no agent could be updated any more',
    ],
    [
      'a floor that accept leaves out',
      withKeys('accept: ">=2"', 'floors: [{ version: "1.5.0", reason: "state" }]'),
      '16:25: products[0].floors[0].version: accept (>=2) leaves this floor out: agents below it could not be updated any more; widen accept',
    ],
    [
      'a floor that no region can have',
      withKeys('floors: [{ version: "1.5.0-rc.1", reason: "state" }]'),
      'floors[0].version: prereleases leaves this floor out: no region would ever have it',
    ],
    [
      'a floor at the lowest version that is updated',
      withKeys('from: "1.5.0"', 'floors: [{ version: "1.5.0", reason: "state" }]'),
      'floors[0].version: agents are updated from 1.5.0 up, so none would ever stop at this floor; remove it',
    ],
    [
      'a floor that stands twice',
      withKeys('floors:', '  - { version: "1.5.0", reason: a }', '  - { version: "1.5.0", reason: b }'),
      'floors[1].version: the floor 1.5.0 stands twice, first in line 16',
    ],
    [
      'a floor that is no version',
      withKeys('floors: [{ version: "v1.5", reason: a }]'),
      'floors[0].version: "v1.5" is not a version of the scheme semver',
    ],
    ['a floor without a reason', withKeys('floors: [{ version: "1.5.0" }]'), 'floors[0].reason: this key is missing'],
    [
      'a lowest version above all that is accepted',
      withKeys('accept: ">=1.2 <2"', 'from: "2.0.0"'),
      'products[0].from: accept (>=1.2 <2) has no version above 2.0.0: no agent could be updated any more',
    ],
    ['a lowest version that is none', withKeys('from: latest'), 'products[0].from: "latest" is not a version'],
    ['a negative lag', withKeys('lag: -1'), 'products[0].lag: expected a whole number from 0 to 20'],
    ['another word', withKeys('unknownBuilds: maybe'), 'expected one of hold, update, got "maybe"'],
    [
      'another word for the unhealthy',
      SMALL.replace('  plain:', '  plain:\n    unhealthy: last'),
      'policies.plain.unhealthy: expected one of hold, update, first',
    ],
  ];
  for (const [title, text, expected] of rows) {
    test(title, () => assert.ok(refusal(write(text)).includes(expected), refusal(write(text))));
  }
});

// Metric gates: what one value says, what the samples come to, and which text becomes a query.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  addReading,
  judge,
  type MetricPolicy,
  type MetricTally,
  meets,
  metricVerdict,
  parseCondition,
  printCondition,
  queryFor,
} from '../../src/domain/metric.ts';
import fc from '../support/fast-check.ts';

const ERRORS: MetricPolicy = {
  name: 'errors',
  query: 'errors{region="{region}",version="{version}"}',
  everyMs: 60_000,
  passWhen: { op: '<', limit: 0.01 },
  failWhen: { op: '>', limit: 0.05 },
  samples: 2,
  failures: 2,
  maxInconclusive: 1,
  onFail: 'halt',
  dryRun: false,
};

const EMPTY: MetricTally = {
  laneId: 'lane',
  step: 0,
  budgetEpoch: 0,
  metric: 'errors',
  good: 0,
  failed: 0,
  inconclusive: 0,
  errors: 0,
  at: 0,
  shown: '',
};

for (const [value, conditions, wanted] of [
  [0.005, {}, 'good'],
  [0.01, {}, 'inconclusive'],
  [0.05, {}, 'inconclusive'],
  [0.06, {}, 'failed'],
  [Number.POSITIVE_INFINITY, {}, 'failed'],
  [Number.NaN, {}, 'inconclusive'],
  [0.04, { passWhen: null }, 'good'],
  [0.04, { failWhen: null }, 'failed'],
  [Number.NaN, { failWhen: null }, 'inconclusive'],
] as const) {
  test(`judge(${value}, ${JSON.stringify(conditions)}) → ${wanted}`, () => {
    assert.equal(judge(value, { ...ERRORS, ...conditions }), wanted);
  });
}

const rows: [readings: (number | 'error')[], verdict: string][] = [
  [[], 'wait'],
  [[0], 'wait'],
  [[0, 0], 'pass'],
  [[0, 'error'], 'unknown'],
  // An error uses up no sample, and what was unknown is known again.
  [[0, 'error', 'error', 0], 'pass'],
  [[0, 0, 'error'], 'unknown'],
  [['error'], 'unknown'],
  [[0.06], 'wait'],
  [[0.06, 0, 0], 'pass'],
  [[0.06, 0, 0.06], 'failing'],
  // Once failing it stays so.
  [[0.06, 0.06, 0, 0, 0], 'failing'],
  [[0.03], 'wait'],
  [[0.03, 0.03], 'inconclusive'],
  [[0.03, 0, 0], 'pass'],
  [[0.03, Number.NaN, 0, 0], 'inconclusive'],
  // Harm comes before doubt.
  [[0.03, 0.03, 0.06, 0.06], 'failing'],
];
for (const [readings, wanted] of rows) {
  test(`the readings ${readings.join(', ') || '(none)'} → ${wanted}`, () => {
    let tally: MetricTally | undefined;
    for (const [index, value] of readings.entries()) {
      const reading = value === 'error' ? { error: 'no data' } : { value };
      tally = addReading(tally ?? EMPTY, reading, ERRORS, index);
    }
    assert.equal(metricVerdict(ERRORS, tally).kind, wanted);
  });
}

test('while a person is asked a good sample forgives a failed one: only what fails more often than not adds up', () => {
  const after = (values: readonly number[]) =>
    values.reduce<MetricTally>((tally, value) => addReading(tally, { value }, ERRORS, 1, true), EMPTY);
  assert.equal(metricVerdict(ERRORS, after([0.06, 0, 0.06, 0, 0.06, 0])).kind, 'pass');
  assert.equal(metricVerdict(ERRORS, after([0, 0, 0.06, 0.06])).kind, 'failing');
});

test('law: errors, wherever they stand, leave the number of samples as it is', () => {
  const reading = fc.oneof(fc.constant(null), fc.double({ min: 0, max: 0.1, noNaN: true }));
  fc.assert(
    fc.property(fc.array(reading, { maxLength: 30 }), (readings) => {
      const tallyOf = (values: readonly (number | null)[]) =>
        values.reduce<MetricTally>(
          (tally, value) => addReading(tally, value === null ? { error: 'x' } : { value }, ERRORS, 1),
          EMPTY,
        );
      const counts = ({ good, failed, inconclusive }: MetricTally) => [good, failed, inconclusive];
      assert.deepEqual(counts(tallyOf(readings)), counts(tallyOf(readings.filter((value) => value !== null))));
    }),
  );
});

test('queryFor fills in the four names, wherever they stand, and leaves other braces alone', () => {
  const query = 'a{region="{region}",v="{version}",p="{product}"} / b{region="{region}",step="{step}"} > {other}';
  assert.equal(
    queryFor({ query }, { product: 'agentd', version: '1.2.0', region: 'eu', step: 0 }),
    'a{region="eu",v="1.2.0",p="agentd"} / b{region="eu",step="1"} > {other}',
  );
});

for (const [text, wanted] of [
  ['> 0.05', { op: '>', limit: 0.05 }],
  [' <=-1 ', { op: '<=', limit: -1 }],
  ['== 0', { op: '==', limit: 0 }],
  ['0.05', undefined],
  ['> x', undefined],
  ['=> 1', undefined],
  ['> 1e3', undefined],
] as const) {
  test(`parseCondition(${JSON.stringify(text)}) → ${JSON.stringify(wanted)}`, () => {
    assert.deepEqual(parseCondition(text), wanted);
    if (wanted !== undefined) assert.deepEqual(parseCondition(printCondition(wanted)), wanted);
  });
}

test('law: what has failed stays failed, nothing passes without all its good samples, nor while it cannot be read', () => {
  const value = fc.constantFrom(0, 0.03, 0.07, Number.NaN);
  const reading = fc.oneof(
    fc.constant({ error: 'x' }),
    value.map((one) => ({ value: one })),
  );
  fc.assert(
    fc.property(fc.array(reading, { maxLength: 10 }), (readings) => {
      let tally = EMPTY;
      let hasFailed = false;
      for (const one of readings) {
        tally = addReading(tally, one, ERRORS, 1);
        const { kind } = metricVerdict(ERRORS, tally);
        if (hasFailed) assert.equal(kind, 'failing');
        if (kind === 'pass') assert(tally.good >= ERRORS.samples && tally.failed < ERRORS.failures);
        if ('error' in one) assert.notEqual(kind, 'pass');
        hasFailed = kind === 'failing';
      }
    }),
    { numRuns: 200 },
  );
});

test('law: a condition is read as it is printed, and a value either meets it or its opposite; a query keeps all other words', () => {
  const opposite = { '<': '>=', '>=': '<', '<=': '>', '>': '<=', '==': '!=', '!=': '==' } as const;
  const op = fc.constantFrom('<', '<=', '>', '>=', '==', '!=');
  const limit = fc.integer({ min: -5000, max: 5000 }).map((one) => one / 1000);
  const word = fc.constantFrom('{product}', '{region}', '{step}', '{version}', '{other}', ' + ', '{', '$&');
  fc.assert(
    fc.property(op, limit, fc.option(limit), fc.array(word, { maxLength: 6 }), (one, bound, other, words) => {
      const value = other ?? bound;
      const condition = { op: one, limit: bound };
      assert.deepEqual(parseCondition(printCondition(condition)), condition);
      assert.notEqual(meets(value, condition), meets(value, { op: opposite[one], limit: bound }));
      assert.equal(judge(value, { passWhen: condition, failWhen: null }), meets(value, condition) ? 'good' : 'failed');
      assert.equal(judge(value, { passWhen: null, failWhen: condition }), meets(value, condition) ? 'failed' : 'good');
      const place = { product: 'p', version: '{region}', region: 'r', step: 2 };
      const filled: Record<string, string> = {
        '{product}': 'p',
        '{version}': '{region}',
        '{region}': 'r',
        '{step}': '3',
      };
      const wanted = words.map((known) => filled[known] ?? known).join('');
      if (!words.includes('{')) assert.equal(queryFor({ query: words.join('') }, place), wanted);
    }),
    { numRuns: 300 },
  );
});

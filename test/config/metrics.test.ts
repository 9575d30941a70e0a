// The config of metric gates: what a policy stores of it, and what is refused.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readConfig } from '../../src/config.ts';
import { SMALL, write } from './files.ts';

const SOURCE = 'metrics: { prometheus: "http://127.0.0.1:9090" }\n';
const withMetric = (metric: string, source = SOURCE) =>
  `${source}${SMALL.replace('  plain:\n', `  plain:\n    metrics: [${metric}]\n`)}`;
const read = (text: string) => readConfig({ file: write(text), env: {} });

test('a metric in short: every default is filled in', () => {
  const config = read(withMetric(`{ name: errors, query: 'e{region="{region}"}', failWhen: "> 0.05" }`));
  assert.deepEqual(config.policies['plain']?.metrics, [
    {
      name: 'errors',
      query: 'e{region="{region}"}',
      everyMs: 60_000,
      passWhen: null,
      failWhen: { op: '>', limit: 0.05 },
      samples: 1,
      failures: 1,
      maxInconclusive: 0,
      onFail: 'halt',
      dryRun: false,
    },
  ]);
  assert.deepEqual(config.metrics, { url: 'http://127.0.0.1:9090/', token: null, timeoutMs: 5000 });
});

const refused: [text: string, what: RegExp][] = [
  [withMetric('{ name: errors, query: up }'), /neither passWhen nor failWhen/],
  [
    withMetric('{ name: errors, query: up, failWhen: "> 1", passWhen: "> 2" }'),
    /passWhen: a number such as 3 both passes and fails; let passWhen and failWhen exclude each other/,
  ],
  [withMetric('{ name: errors, query: up, failWhen: "!= 0", passWhen: "<= 0" }'), /a number such as -1 both passes/],
  [withMetric('{ name: errors, query: up, failWhen: "0.05" }'), /expected a comparison with a number, got "0\.05"/],
  [withMetric('{ name: errors, query: \'up{a="{host}"}\', failWhen: "> 1" }'), /\{host\} is not filled in/],
  [withMetric('{ name: errors, query: up, failWhen: "> 1" }', ''), /no Prometheus is named/],
  [
    withMetric('{ name: a, query: up, failWhen: "> 1" }, { name: a, query: up, failWhen: "> 1" }'),
    /the metric "a" stands twice/,
  ],
  [
    withMetric('{ name: a, query: up, failWhen: "> 1" }', 'metrics: { prometheus: "http://p.example:9090" }\n'),
    /use https; http is for this machine only/,
  ],
  [
    withMetric('{ name: a, query: up, failWhen: "> 1" }', 'metrics: { prometheus: "https://me:pw@p.example" }\n'),
    /leave out user, password/,
  ],
];
for (const [text, what] of refused) {
  test(`refused: ${what.source}`, () => {
    assert.throws(
      () => read(text),
      (error: Error) => {
        assert.match(error.message, what);
        assert.doesNotMatch(error.message, /pw@/);
        return true;
      },
    );
  });
}

// The config of metric gates: where numbers are read, and which of them mean harm.
import { bothMeet, type Condition, parseCondition } from '../domain/metric.ts';
import { duration, isLoopback, NAME, SECRET } from './formats.ts';
import type { Path, Report } from './report.ts';
import { boolean, integer, listOf, object, oneOf, optional, pattern, required, textual } from './spec.ts';

const SECOND = 1000;
const DAY = 86_400_000;

const CONDITION = textual<Condition>({
  expected: 'a comparison with a number',
  example: '"> 0.05"',
  blank: { op: '>', limit: 0 },
  schema: { pattern: '^\\s*(<=|>=|==|!=|<|>)\\s*-?[0-9]{1,15}(\\.[0-9]{1,15})?\\s*$' },
  parse(text) {
    const value = parseCondition(text);
    return value === undefined ? { ok: false, mend: 'write e.g. "> 0.05" or "<= 1"' } : { ok: true, value };
  },
});

const QUERY = pattern({
  expected: 'a PromQL query of one line',
  example: '\'sum(rate(errors_total{region="{region}"}[5m]))\'',
  pattern: '^[^\\u0000-\\u001f]{1,2000}$',
});

const PROMETHEUS_URL = textual<string>({
  expected: 'the URL of a Prometheus',
  example: 'http://127.0.0.1:9090',
  blank: '',
  // A URL can hold a password.
  secret: true,
  parse(text) {
    const url = URL.parse(text);
    if (url === null || text.length > 1024) return { ok: false, mend: 'write e.g. http://127.0.0.1:9090' };
    if (url.username !== '' || url.password !== '' || url.search !== '' || url.hash !== '') {
      return { ok: false, mend: 'leave out user, password, query and fragment; a token goes into metrics.token' };
    }
    const plain = url.protocol === 'http:' && isLoopback(url.hostname.replace(/^\[|\]$/g, ''));
    if (url.protocol !== 'https:' && !plain) return { ok: false, mend: 'use https; http is for this machine only' };
    return { ok: true, value: url.href };
  },
});

export const METRICS = object({
  prometheus: required(PROMETHEUS_URL, 'the address of a Prometheus, or of what speaks its HTTP API'),
  token: optional(SECRET, null, 'env:NAME or file:path, sent as a bearer token. Default: none.'),
  timeout: optional(duration(100, 60 * SECOND), 5 * SECOND, 'How long a query may take. Default 5s.'),
});

export const METRIC = object({
  name: required(NAME, 'what people call it'),
  query: required(QUERY, 'PromQL that gives one number; {product}, {version}, {region} and {step} are filled in'),
  every: optional(duration(SECOND, DAY), 60 * SECOND, 'How often it is read while a step soaks. Default 1m.'),
  passWhen: optional(
    CONDITION,
    null,
    'A sample is good when it is so, e.g. "< 0.01". Default: when it has not failed.',
  ),
  failWhen: optional(
    CONDITION,
    null,
    'A sample has failed when it is so, e.g. "> 0.05". Default: when it is not good.',
  ),
  samples: optional(integer(1, 10_000), 1, 'Good samples that a step needs to pass. Default 1.'),
  failures: optional(integer(1, 10_000), 1, 'Failed samples of a step that fail it. Default 1.'),
  maxInconclusive: optional(
    integer(0, 10_000),
    0,
    'Samples of a step that may be neither; one more, and a person is asked. Default 0.',
  ),
  onFail: optional(
    oneOf(['halt', 'hold']),
    'halt',
    'halt: the region halts and the release is vetoed; hold: the step waits for a person. Default halt.',
  ),
  dryRun: optional(boolean, false, 'true: it is read and shown, and holds nothing up. Default false.'),
});

export const METRIC_LIST = listOf(METRIC, 'metrics', { min: 1, max: 20 });

type RawMetrics = readonly (typeof METRIC.blank)[];

/** Notes what is wrong with the metrics of one policy. `source`: whether the config says where to read them. */
export function checkMetrics(metrics: RawMetrics, source: boolean, path: Path, report: Report): void {
  const seen = new Set<string>();
  for (const [index, metric] of metrics.entries()) {
    const at = [...path, index];
    if (report.touches(at)) continue;
    if (seen.has(metric.name)) report.add([...at, 'name'], `the metric "${metric.name}" stands twice`, 'rename one');
    seen.add(metric.name);
    if (metric.passWhen === null && metric.failWhen === null) {
      report.add(at, 'neither passWhen nor failWhen says what a number means', 'add e.g. failWhen: "> 0.05"');
    }
    const both = metric.passWhen && metric.failWhen ? bothMeet(metric.passWhen, metric.failWhen) : undefined;
    if (both !== undefined)
      report.add(
        [...at, 'passWhen'],
        `a number such as ${both} both passes and fails`,
        'let passWhen and failWhen exclude each other',
      );
    const unknown = /\{(?!product\}|version\}|region\}|step\})([a-z]+)\}/.exec(metric.query);
    if (unknown !== null) {
      const mend = 'only {product}, {version}, {region} and {step} are filled in';
      report.add([...at, 'query'], `{${unknown[1]}} is not filled in`, mend);
    }
  }
  if (metrics.length > 0 && !source && !report.touches(['metrics'])) {
    const mend = 'add metrics: { prometheus: http://127.0.0.1:9090 } at the top level';
    report.add(path, 'no Prometheus is named from which they could be read', mend);
  }
}

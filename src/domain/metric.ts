// Metric gates: what a number read from outside says about a step, sample by sample and in all.

/** `op` and `limit` as in `> 0.05`. */
export interface Condition {
  op: '<' | '<=' | '>' | '>=' | '==' | '!=';
  limit: number;
}

export interface MetricPolicy {
  name: string;
  /** PromQL; {product}, {version}, {region} and {step} (from 1) are filled in. */
  query: string;
  /** Wall milliseconds between two samples. */
  everyMs: number;
  /** At least one of the two is set. With one alone, what does not meet it is the other. */
  passWhen: Condition | null;
  failWhen: Condition | null;
  /** Good samples that the step needs. */
  samples: number;
  /** Failed samples that fail the metric. */
  failures: number;
  /** More samples than these that say neither: a person is asked. */
  maxInconclusive: number;
  onFail: 'halt' | 'hold';
  /** Reports only: it holds nothing up. */
  dryRun: boolean;
}

export type SampleResult = 'good' | 'failed' | 'inconclusive';

/** What was read: a number (NaN included), or why there is none. */
export type Reading = { value: number } | { error: string };

/** The samples of one metric in one step and budget epoch of a lane. */
export interface MetricTally {
  laneId: string;
  step: number;
  budgetEpoch: number;
  metric: string;
  good: number;
  failed: number;
  inconclusive: number;
  /** Readings in a row that failed; no samples. */
  errors: number;
  /** Milliseconds since the epoch of the last reading. */
  at: number;
  /** The last sample for people: `0.07`, or why there is none. */
  shown: string;
}

export type MetricVerdict =
  | { kind: 'pass' }
  /** Samples are still being taken. */
  | { kind: 'wait' }
  | { kind: 'failing' }
  | { kind: 'inconclusive' }
  /** It cannot be read now. */
  | { kind: 'unknown' };

/** What one value says. NaN (0/0 of a ratio without traffic) says nothing. */
export function judge(
  value: number,
  { passWhen, failWhen }: Pick<MetricPolicy, 'passWhen' | 'failWhen'>,
): SampleResult {
  if (Number.isNaN(value)) return 'inconclusive';
  if (failWhen !== null && meets(value, failWhen)) return 'failed';
  if (passWhen === null || meets(value, passWhen)) return 'good';
  return failWhen === null ? 'failed' : 'inconclusive';
}

export function meets(value: number, { op, limit }: Condition): boolean {
  switch (op) {
    case '<':
      return value < limit;
    case '<=':
      return value <= limit;
    case '>':
      return value > limit;
    case '>=':
      return value >= limit;
    case '==':
      return value === limit;
    case '!=':
      return value !== limit;
  }
}

/**
 * The tally with one more reading. An error is no sample: it uses up none, and passes nothing. `forgives`: a good sample
 * takes a failed one away, so that only what fails more often than not adds up.
 */
export function addReading(
  tally: MetricTally,
  reading: Reading,
  policy: MetricPolicy,
  now: number,
  forgives = false,
): MetricTally {
  if ('error' in reading) return { ...tally, errors: tally.errors + 1, at: now, shown: reading.error };
  const result = judge(reading.value, policy);
  const failed = forgives && result === 'good' ? Math.max(0, tally.failed - 1) : tally.failed;
  const counted = { ...tally, failed };
  return { ...counted, [result]: counted[result] + 1, errors: 0, at: now, shown: String(reading.value) };
}

/** What the samples come to; the first that matches. Undefined: no reading yet. */
export function metricVerdict(policy: MetricPolicy, tally: MetricTally | undefined): MetricVerdict {
  if (tally === undefined) return { kind: 'wait' };
  if (tally.failed >= policy.failures) return { kind: 'failing' };
  if (tally.inconclusive > policy.maxInconclusive) return { kind: 'inconclusive' };
  if (tally.errors > 0) return { kind: 'unknown' };
  return { kind: tally.good >= policy.samples ? 'pass' : 'wait' };
}

/** The query for one lane and step. */
export function queryFor(
  policy: Pick<MetricPolicy, 'query'>,
  place: { product: string; version: string; region: string; step: number },
): string {
  const values: Record<string, string> = { ...place, step: String(place.step + 1) };
  return policy.query.replace(/\{(product|version|region|step)\}/g, (_, name: string) => values[name] ?? '');
}

/** A number that both conditions hold for; undefined where there is none. */
export function bothMeet(a: Condition, b: Condition): number | undefined {
  // Between their limits and beyond them nothing changes.
  const [low, high] = [Math.min(a.limit, b.limit), Math.max(a.limit, b.limit)];
  return [low, high, (low + high) / 2, low - 1, high + 1].find((value) => meets(value, a) && meets(value, b));
}

/** `> 0.05`. */
export function printCondition({ op, limit }: Condition): string {
  return `${op} ${limit}`;
}

/** Undefined for what is none. */
export function parseCondition(text: string): Condition | undefined {
  const match = /^\s*(<=|>=|==|!=|<|>)\s*(-?\d{1,15}(?:\.\d{1,15})?)\s*$/.exec(text);
  if (match === null) return undefined;
  return { op: match[1] as Condition['op'], limit: Number(match[2]) };
}

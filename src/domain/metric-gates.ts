// The metric gates of a step that soaks or waits for a person, and the halt that a failing metric means.
import { type AskedGate, type AskGate, act, fail, instantOf, numberOf, pass, wait } from './gate.ts';
import { metricTallyOf } from './lookup.ts';
import { type MetricPolicy, type MetricTally, metricVerdict, printCondition } from './metric.ts';
import type { LaneInput } from './plan-lane.ts';
import type { Lane, Step } from './rollout.ts';

/**
 * In the order of the policy, those in doubt behind all others: a person who is asked about one lets the step pass, and
 * must not let it pass one that fails. Asked once the soak is over and the members are there.
 */
export function metricGates(input: LaneInput, step: Step): AskGate[] {
  const isInDoubt = (metric: MetricPolicy) =>
    !metric.dryRun && metricVerdict(metric, tallyOf(input, step.step, metric)).kind === 'inconclusive';
  const metrics = metricsOf(input).toSorted((a, b) => Number(isInDoubt(a)) - Number(isInDoubt(b)));
  return metrics.map((metric) => () => metricGate(input, step, metric));
}

/** Which metric made a person be asked after the step; undefined: none. Its samples are in a gate of their own: they change, and what a lane waits for does not. */
export function doubtOf(input: LaneInput, step: number): string | undefined {
  for (const metric of metricsOf(input)) {
    const tally = tallyOf(input, step, metric);
    if (metric.dryRun || tally === undefined || metricVerdict(metric, tally).kind !== 'inconclusive') continue;
    const { passWhen, failWhen } = metric;
    const good = passWhen === null ? [] : [`good is ${printCondition(passWhen)}`];
    const bad = failWhen === null ? [] : [`bad is ${printCondition(failWhen)}`];
    return `the metric ${metric.name} was in doubt (${[...good, ...bad].join(', ')})`;
  }
  return undefined;
}

/** Beside a person's approval: what the metrics said, which stops nothing any more. */
export function metricNotes(input: LaneInput, step: number): AskGate[] {
  return metricsOf(input).map((metric) => () => {
    const { result, reason, sentence } = noted(metric, tallyOf(input, step, metric));
    return { gate: `metric ${metric.name}`, result, reason, sentence, until: null, step: null };
  });
}

/**
 * Why a metric halts the lane now: also while the step still soaks, and while a person is asked. Undefined where none
 * does.
 */
export function metricAlarm(input: LaneInput): string | undefined {
  const { state } = input.lane;
  if (state.name !== 'soaking' && state.name !== 'approval') return undefined;
  return metricFailure(input, state.step);
}

/** Which metric speaks against the release after this step, so that it halts; also of a lane that has halted since. */
export function metricFailure(input: LaneInput, step: number): string | undefined {
  for (const metric of metricsOf(input)) {
    if (metric.dryRun || metric.onFail !== 'halt') continue;
    const tally = tallyOf(input, step, metric);
    if (tally !== undefined && metricVerdict(metric, tally).kind === 'failing') return failingOf(metric, tally);
  }
  return undefined;
}

function metricsOf({ rollout }: LaneInput): readonly MetricPolicy[] {
  return rollout.policy.metrics ?? [];
}

function metricGate(input: LaneInput, step: Step, metric: MetricPolicy): AskedGate {
  const gate = `metric ${metric.name}`;
  const tally = tallyOf(input, step.step, metric);
  if (metric.dryRun) return pass(gate, `${noted(metric, tally).sentence} (dry run: it holds nothing up)`);
  const found = metricVerdict(metric, tally);
  const until = nextReading(metric, tally);
  switch (found.kind) {
    case 'pass':
      return pass(gate, noted(metric, tally).sentence);
    case 'failing': {
      const detail = failingOf(metric, tally as MetricTally);
      return fail(gate, { reason: 'metric_failing', detail, remedy: 'a person decides: halt it, or retry it' });
    }
    case 'inconclusive': {
      const sentence = `${noted(metric, tally).sentence}: a person is asked`;
      return act(gate, 'wait', sentence, {
        kind: 'await_approval',
        laneId: input.lane.id,
        step: step.step,
        doubt: true,
      });
    }
    case 'unknown': {
      const detail = `${metric.name}: ${tally?.shown}, ${tally?.errors} times in a row`;
      // When it is read next is not when it passes, so that no time is named as the end.
      const again = until === null ? '' : `, which is tried at ${instantOf(until)}`;
      const remedy = `passes when it can be read again${again}; a newer release under a policy without it takes this one’s place`;
      return wait(gate, { reason: 'metric_unknown', detail, remedy });
    }
    case 'wait': {
      const detail = `${metric.name}: ${tally?.good ?? 0} of ${metric.samples} good samples so far`;
      return wait(gate, { reason: 'soaking', detail, until, remedy: 'passes when all have been taken' });
    }
  }
}

function nextReading(metric: MetricPolicy, tally: MetricTally | undefined): number | null {
  return tally === undefined ? null : tally.at + metric.everyMs;
}

function noted(
  metric: MetricPolicy,
  tally: MetricTally | undefined,
): Pick<AskedGate, 'result' | 'reason' | 'sentence'> {
  if (tally === undefined) return { result: 'wait', reason: null, sentence: `${metric.name} has not been read yet` };
  const counts = `${tally.good} good, ${tally.failed} failed, ${tally.inconclusive} inconclusive; last ${tally.shown}`;
  const sentence = `${metric.name}: ${counts}`;
  switch (metricVerdict(metric, tally).kind) {
    case 'failing':
      return { result: 'fail', reason: 'metric_failing', sentence };
    case 'inconclusive':
      return { result: 'wait', reason: 'metric_inconclusive', sentence };
    case 'unknown':
      return { result: 'wait', reason: 'metric_unknown', sentence };
    case 'wait':
      return { result: 'wait', reason: null, sentence };
    case 'pass':
      return { result: 'pass', reason: null, sentence };
  }
}

function failingOf(metric: MetricPolicy, { failed, shown }: MetricTally): string {
  const { failWhen, passWhen } = metric;
  const rule = failWhen === null ? `not ${printCondition(passWhen ?? NEVER)}` : printCondition(failWhen);
  const bound = `${metric.failures} ${metric.failures === 1 ? 'is' : 'are'} too many`;
  return `the metric ${metric.name} is ${rule}: last ${shown}, ${numberOf(failed, 'failed sample')} (${bound})`;
}

const NEVER = { op: '!=', limit: 0 } as const;

/** Samples of another step, or of before a retry, count for nothing. */
function tallyOf(input: LaneInput, step: number, { name }: MetricPolicy): MetricTally | undefined {
  const { id, budgetEpoch }: Pick<Lane, 'id' | 'budgetEpoch'> = input.lane;
  return metricTallyOf(input.snapshot.metrics, `${id} ${step} ${budgetEpoch} ${name}`);
}

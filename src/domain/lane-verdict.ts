// What the steps of a lane come to: the verdict on counters and roster, and the words of a halt.
import { numberOf } from './gate.ts';
import { laneCensusOf } from './lookup.ts';
import type { LaneInput } from './plan-lane.ts';
import type { Step } from './rollout.ts';
import type { LaneCensus } from './snapshot.ts';
import { NO_SILENCE, type Silence, type Verdict, verdict } from './verdict.ts';

/** What the step's counters and the roster come to now. */
export function verdictOf({ snapshot, rollout, lane }: LaneInput, step: Step): Verdict {
  const silence = silenceOf(snapshot.lanes, lane.id, step.step);
  return verdict(step.size, step.counters, silence, rollout.policy, lane.allowance);
}

export function silenceOf(lanes: readonly LaneCensus[], laneId: string, step: number): Silence {
  const seen = laneCensusOf(lanes, laneId)?.steps.find((one) => one.step === step);
  return seen === undefined ? NO_SILENCE : seen;
}

/** An automatic halt vetoes the release only if what went bad at the release itself is enough; else a person decides. */
export function isAgainstRelease({ counters }: Pick<Step, 'counters'>, budget: number): boolean {
  return counters.bad - counters.badHops >= budget;
}

/** The sentence of an automatic halt; the ledger halts in its own transaction with the same words. */
export function haltReason(step: Pick<Step, 'step' | 'counters'>, budget: number): string {
  const { bad, badHops } = step.counters;
  const onTheWay = badHops === 0 ? '' : ` (${badHops} of them on the way, before the release)`;
  return `step ${step.step + 1}: ${bad} bad${onTheWay} of ${budget} that halt it`;
}

/** What a hold of the verdict has counted, in words that stand behind the step's name. */
export function holdCount(
  { size, counters }: Pick<Step, 'size' | 'counters'>,
  { reason, need }: Extract<Verdict, { kind: 'hold' }>,
  { gone }: Pick<Silence, 'gone'>,
): string {
  switch (reason) {
    case 'silent':
      return `${gone} of ${numberOf(size, 'member')}`;
    case 'inconclusive': {
      const { declined, failedBeforeGrant, inconclusive } = counters;
      return `${declined + failedBeforeGrant + inconclusive} of ${numberOf(size, 'member')}`;
    }
    case 'too_few_successes':
      return `${counters.succeeded} of ${need} successes needed`;
  }
}

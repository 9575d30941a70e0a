// The regions' baseline lanes: one per product and region that has a baseline, replaced when the baseline changes.
import { baselineOf, standingBaselines } from './choose.ts';
import { doubtHold } from './clock-doubt.ts';
import { brakeFor } from './directives.ts';
import { type HoldReason, sentenceOf } from './holds.ts';
import { lanesThere, rolloutsOf } from './lookup.ts';
import { isTerminalLane, type Lane, type Rollout } from './rollout.ts';
import type { Action, Baseline, Hold, ProductRules, Snapshot } from './snapshot.ts';
import { schemeOf } from './version/schemes.ts';

export function planBaselines(snapshot: Snapshot, product: ProductRules, actions: Action[], report: Hold[]): void {
  for (const region of snapshot.regions) {
    const lanes = snapshot.baselineLanes.filter(
      (lane) => lane.product === product.name && lane.region === region && !isTerminalLane(lane.state.name),
    );
    const rollout = rolloutOf(snapshot, baselineFor(snapshot, product.name, region));
    const outdated = lanes.filter((lane) => lane.rolloutId !== rollout?.id);
    for (const lane of outdated) {
      // What is hot comes to its end first; nothing more is offered meanwhile.
      if (lane.steps.every((step) => step.counters.hot === 0)) {
        actions.push({ kind: 'supersede_lane', laneId: lane.id, by: rollout?.id ?? lane.rolloutId });
      }
    }
    const present = lanes.find((lane) => lane.rolloutId === rollout?.id);
    const spent = present === undefined ? undefined : spentBudget(snapshot, present, rollout as Rollout);
    if (spent !== undefined) actions.push(spent);
    else if (present !== undefined) report.push(...holdsOf(snapshot, present));
    else if (rollout !== undefined && outdated.length === 0 && snapshot.clock === null) {
      actions.push({ kind: 'open_baseline', product: product.name, region, rolloutId: rollout.id });
    }
  }
}

/** Ids of the lanes whose region has another baseline now: they offer and grant nothing more, until nothing is hot. */
export function outdatedBaselines(snapshot: Snapshot): Set<string> {
  const outdated = snapshot.baselineLanes.filter(({ product, region, rolloutId }) => {
    return rolloutOf(snapshot, baselineFor(snapshot, product, region))?.id !== rolloutId;
  });
  return new Set(outdated.map((lane) => lane.id));
}

/**
 * The region's own. Where a rollout's lane completed without anybody to update (nobody was there, all were pinned), the
 * newest of the rollout's other regions, if that is the higher one: who can be updated since then is a late joiner.
 */
export function baselineFor(snapshot: Snapshot, product: string, region: string): Baseline | undefined {
  const own = baselineOf(snapshot, product, region);
  const there = lanesThere(rolloutsOf(snapshot.rollouts, product), region);
  const passed = there.filter(({ lane: { state } }) => state.name === 'completed' && !(own && state.evidence));
  // Nearly always: then nothing of the other regions counts, and looking there for every region is dear.
  if (passed.length === 0) return own;
  const versions = new Set(passed.map(({ rollout }) => rollout.version));
  const others = snapshot.regions.filter((other) => other !== region);
  const newest = others
    .flatMap((other) => standingBaselines(snapshot, product, other))
    .filter((one) => versions.has(one.version))
    .toSorted((a, b) => a.at - b.at)
    .at(-1);
  return newest !== undefined && isHigher(snapshot, newest, own) ? newest : own;
}

function isHigher({ products }: Snapshot, one: Baseline, than: Baseline | undefined): boolean {
  if (than === undefined) return true;
  const rules = products.find(({ name }) => name === one.product);
  if (rules === undefined) return false;
  const { parse, compare } = schemeOf(rules.scheme);
  return (
    parse(than.version) === undefined || (parse(one.version) !== undefined && compare(one.version, than.version) > 0)
  );
}

/** It halts itself only: the baseline has been proven by others, so the release is not vetoed. */
function spentBudget(snapshot: Snapshot, lane: Lane, rollout: Rollout): Action | undefined {
  const bad = snapshot.recentBad[lane.id] ?? 0;
  const { badCount } = rollout.policy.baseline;
  if (lane.state.name !== 'open' || bad < badCount) return undefined;
  return { kind: 'halt_lane', laneId: lane.id, reason: baselineHaltReason(bad, badCount), veto: false };
}

/** The ledger halts in its own transaction with the same words. */
export function baselineHaltReason(bad: number, budget: number): string {
  return `the baseline: ${bad} bad of ${budget} that halt it`;
}

function rolloutOf(snapshot: Snapshot, baseline: Baseline | undefined): Rollout | undefined {
  if (baseline === undefined) return undefined;
  return rolloutsOf(snapshot.rollouts, baseline.product).find((one) => one.version === baseline.version);
}

function holdsOf(snapshot: Snapshot, lane: Lane): Hold[] {
  const hold = (reason: HoldReason, detail: string): Hold[] => [
    { subject: { laneId: lane.id }, reason, sentence: sentenceOf(reason, detail), until: null },
  ];
  if (lane.state.name === 'halted') return hold('halted', lane.state.reason);
  const brake = brakeFor(snapshot.brakes, lane.product, lane.region);
  if (brake !== undefined) return hold('braked', `${brake.scope}: ${brake.reason}`);
  return snapshot.clock === null ? [] : [{ subject: { laneId: lane.id }, ...doubtHold(snapshot.clock) }];
}

// violations(snapshot): what must never be true of the stored state; run after every step in tests and when the server starts.
import { approvalsOf, isBoundTo } from './approval.ts';
import { isLiveLane, isTerminalLane, type Lane, passesWave, type Rollout } from './rollout.ts';
import type { Snapshot } from './snapshot.ts';
import { budgetOf } from './verdict.ts';
import { schemeOf } from './version/schemes.ts';
import { allSteps, hotIn } from './way-back.ts';

export interface Violation {
  /** Short name of the promise (DESIGN §9). */
  promise: string;
  subject: string;
  sentence: string;
}

export function violations(snapshot: Snapshot): Violation[] {
  return [
    ...twoLiveLanes(snapshot),
    ...snapshot.rollouts.flatMap((rollout) => [
      ...endedEarly(rollout),
      ...rollout.lanes.flatMap((lane) => [
        ...wrongStep(lane),
        ...notWithdrawn(lane),
        ...stepsOutOfOrder(lane, rollout),
        ...budgetOvershot(lane, rollout),
        ...emptyStepPassed(lane),
        ...earlierWave(lane, rollout),
        ...countersBroken(lane),
        ...wayBackBroken(lane, rollout, snapshot),
        ...consentBroken(lane, rollout),
      ]),
    ]),
  ];
}

function twoLiveLanes(snapshot: Snapshot): Violation[] {
  const live = snapshot.rollouts.flatMap((rollout) => rollout.lanes.filter((lane) => isLiveLane(lane.state.name)));
  const seen = new Set<string>();
  return live.flatMap((lane) => {
    const key = `${lane.product} in ${lane.region}`;
    if (!seen.has(key)) {
      seen.add(key);
      return [];
    }
    return [{ promise: 'S8', subject: lane.id, sentence: `two live lanes for ${key}` }];
  });
}

function endedEarly(rollout: Rollout): Violation[] {
  const open = rollout.lanes.find((lane) => !isTerminalLane(lane.state.name));
  if (rollout.endedAt === null || open === undefined) return [];
  return [
    { promise: 'L1', subject: rollout.id, sentence: `ended while the lane in ${open.region} is ${open.state.name}` },
  ];
}

function wrongStep(lane: Lane): Violation[] {
  const state = lane.state.name === 'paused' ? lane.state.resume : lane.state;
  if (state.name !== 'open' && state.name !== 'soaking' && state.name !== 'approval') return [];
  const step = lane.steps.at(-1);
  if (step === undefined || step.step !== state.step) {
    const sentence = `${state.name} in step ${state.step + 1}, which is not the last that was opened`;
    return [{ promise: 'S1', subject: lane.id, sentence }];
  }
  if (state.name === 'open' || step.done) return [];
  const sentence = `${state.name} after step ${state.step + 1}, which is not done`;
  return [{ promise: 'S1', subject: lane.id, sentence }];
}

function notWithdrawn(lane: Lane): Violation[] {
  if (lane.state.name !== 'halted' && !isTerminalLane(lane.state.name)) return [];
  return allSteps(lane)
    .filter((step) => step.counters.pending > 0)
    .map((step) => ({
      promise: 'S5',
      subject: lane.id,
      sentence: `${lane.state.name} with ${step.counters.pending} offered or staged attempts in step ${step.step + 1}`,
    }));
}

function stepsOutOfOrder(lane: Lane, rollout: Rollout): Violation[] {
  return lane.steps.flatMap((step, index) => {
    const before = lane.steps[index - 1];
    const found: Violation[] = [];
    if (before !== undefined && before.step >= step.step)
      found.push({ promise: 'S1', subject: lane.id, sentence: 'steps are not in order' });
    if (before !== undefined && !before.done) {
      found.push({
        promise: 'S1',
        subject: lane.id,
        sentence: `step ${step.step + 1} opened before step ${before.step + 1} passed`,
      });
    }
    if (
      before !== undefined &&
      rollout.policy.steps[step.step]?.labels === null &&
      rollout.policy.steps[before.step]?.labels === null &&
      step.threshold < before.threshold
    ) {
      found.push({
        promise: 'S3',
        subject: lane.id,
        sentence: `step ${step.step + 1} reaches less far than step ${before.step + 1}`,
      });
    }
    return found;
  });
}

function budgetOvershot(lane: Lane, rollout: Rollout): Violation[] {
  return lane.steps.flatMap((step) => {
    const policy = rollout.policy.steps[step.step];
    const budget = budgetOf(step.size, rollout.policy, lane.allowance);
    const found: Violation[] = [];
    if (policy?.budget === 'strict' && step.counters.bad + step.counters.hot > budget) {
      found.push({
        promise: 'S4',
        subject: lane.id,
        sentence: `step ${step.step + 1}: ${step.counters.bad} bad and ${step.counters.hot} hot, budget ${budget}`,
      });
    }
    const running = lane.state.name === 'open' || lane.state.name === 'soaking' || lane.state.name === 'approval';
    if (running && step.counters.bad >= budget) {
      found.push({
        promise: 'S4',
        subject: lane.id,
        sentence: `step ${step.step + 1} has spent its budget and the lane is ${lane.state.name}`,
      });
    }
    return found;
  });
}

function emptyStepPassed(lane: Lane): Violation[] {
  return lane.steps
    .filter((step) => step.done && step.size === 0)
    .map((step) => ({ promise: 'S2', subject: lane.id, sentence: `step ${step.step + 1} is done without a member` }));
}

function earlierWave(lane: Lane, rollout: Rollout): Violation[] {
  // Going back follows no order.
  if (!isLiveLane(lane.state.name) || lane.state.name === 'rolling_back') return [];
  const before = rollout.lanes.find(
    (one) =>
      one.wave < lane.wave && !passesWave(one) && !['halted', 'rolling_back', 'rolled_back'].includes(one.state.name),
  );
  if (before === undefined) return [];
  return [
    {
      promise: 'S1',
      subject: lane.id,
      sentence: `${lane.region} is ${lane.state.name} although ${before.region} of an earlier wave is ${before.state.name}`,
    },
  ];
}

/**
 * An approval is one person's, of the step that was opened last, and bound to this release at it; and what a person must
 * promote has completed by as many people, in time, who have all seen the same.
 */
function consentBroken(lane: Lane, { releaseId, policy }: Rollout): Violation[] {
  const { approvals, state, steps } = lane;
  const say = (sentence: string): Violation => ({ promise: 'S9', subject: lane.id, sentence });
  const found: Violation[] = [];
  const last = steps.at(-1)?.step;
  for (const { by, step, subject } of approvals) {
    if (step !== last) found.push(say(`the approval of ${by} is of step ${step + 1}, which is not the last one`));
    if (!isBoundTo(subject, releaseId, step)) found.push(say(`the approval of ${by} is bound to something else`));
  }
  if (new Set(approvals.map(({ by }) => by)).size < approvals.length) found.push(say('a person has approved twice'));
  if (state.name !== 'completed' || !state.evidence || last === undefined || policy.steps[last]?.manual !== true)
    return found;
  const { approvers } = approvalsOf(policy);
  const inTime = approvals.filter(({ expiresAt }) => state.since < expiresAt);
  const most = Math.max(0, ...inTime.map(({ subject }) => inTime.filter((one) => one.subject === subject).length));
  if (most < approvers) found.push(say(`step ${last + 1} was passed by ${most} of ${approvers} approvals`));
  return found;
}

/** Only downwards, and ended only when nothing is at risk any more. */
function wayBackBroken(lane: Lane, { version, product }: Rollout, { products }: Snapshot): Violation[] {
  const { state, id, back } = lane;
  const found: Violation[] = [];
  const say = (promise: string, sentence: string) => found.push({ promise, subject: id, sentence });
  if (back.some((way, index) => way.step !== -(index + 1))) say('D2', 'its ways back are not in order');
  if (back.some(({ counters }) => Object.values(counters).some((count) => count < 0)))
    say('D2', 'a counter of its way back is below 0');
  if (state.name === 'rolling_back') {
    if (back.length === 0) say('D2', 'rolling back without a way back');
    const scheme = products.find((one) => one.name === product)?.scheme;
    const isDown = scheme === undefined || schemeOf(scheme).compare(state.to.version, version) < 0;
    if (!isDown) say('T2', `rolling back from ${version} to ${state.to.version}, which is not lower`);
  }
  if (state.name === 'rolled_back' && hotIn(lane) > 0) say('D5', 'rolled back with attempts at risk');
  return found;
}

function countersBroken(lane: Lane): Violation[] {
  return lane.steps.flatMap((step) => {
    const { hot, hotMembers, bad, badMembers, badHops, succeeded } = step.counters;
    const broken =
      Object.values(step.counters).some((count) => count < 0) ||
      hotMembers > hot ||
      badMembers > bad ||
      badHops > bad ||
      succeeded + badMembers > step.size;
    return broken
      ? [
          {
            promise: 'D2',
            subject: lane.id,
            sentence: `counters of step ${step.step + 1} cannot be: ${JSON.stringify(step.counters)}`,
          },
        ]
      : [];
  });
}

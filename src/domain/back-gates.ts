// The gates of a lane that rolls back: whether what it goes back to still stands, what it has cost, and who is left.
import { objectionToGrant } from './availability.ts';
import { ceilingGates } from './ceilings.ts';
import { sayDoubt } from './clock-doubt.ts';
import { vetoFor } from './directives.ts';
import { type AskedGate, type AskGate, act, fail, numberOf, pass, pend, wait } from './gate.ts';
import { availabilityAt, releaseOf } from './lookup.ts';
import { brakeGate, censusOf } from './opening-gates.ts';
import type { LaneInput } from './plan-lane.ts';
import { troubleOf } from './release.ts';
import type { BackTo } from './rollout.ts';
import { backBudget, backHaltReason, hotIn, wayBackOf } from './way-back.ts';

/** No window, freeze or wave holds a rollback: it is an emergency. */
export function backGates(input: LaneInput, to: BackTo): AskGate[] {
  const platforms = censusOf(input)?.back?.platforms ?? [];
  return [
    () => targetGate(input, to),
    () => budgetGate(input),
    () => agentsGate(input, to),
    () => brakeGate(input),
    ...clockGates(input),
    ...ceilingGates(input.snapshot.ceilings, input.now),
    ...platforms.map((platform) => () => stillThereGate(input, to, platform)),
    () => leftGate(input, to),
  ];
}

function targetGate(input: LaneInput, to: BackTo): AskedGate {
  const { snapshot, rollout } = input;
  const veto = vetoFor(snapshot.vetoes, rollout.product, to.version);
  const vetoed = veto === undefined ? undefined : `${to.version} is vetoed: ${veto.reason}`;
  const trouble = vetoed ?? troubleOf(releaseOf(snapshot.releases, to.releaseId));
  return trouble === undefined ? pass('target', `${rollout.version} goes back to ${to.version}`) : halt(input, trouble);
}

function budgetGate(input: LaneInput): AskedGate {
  const { lane, rollout } = input;
  const spent = backHaltReason(lane, rollout.policy);
  if (spent !== undefined) return halt(input, spent);
  const way = wayBackOf(lane);
  const bad = way?.counters.bad ?? 0;
  return pass('budget', `${bad} bad, ${way === undefined ? 1 : backBudget(way, rollout.policy)} halt the way back`);
}

/** A person decides how it goes on: a rollback is never rolled back. */
function halt({ lane }: LaneInput, reason: string): AskedGate {
  const remedy = 'a person decides then';
  const gate = fail('halted', { reason: 'halted', detail: reason, remedy });
  return { ...gate, step: { action: { kind: 'halt_lane', laneId: lane.id, reason, veto: false } } };
}

/** Nobody waits for who is silent: whoever comes back is brought back by the region's baseline. */
function agentsGate(input: LaneInput, to: BackTo): AskedGate {
  const { lane, rollout } = input;
  const back = censusOf(input)?.back;
  if (back === undefined) return pend('agents', `the agents that run ${rollout.version} are being counted`);
  const hot = hotIn(lane);
  if (back.left > 0 || hot > 0) {
    const many = back.left === 1 ? 'agent runs' : 'agents run';
    return pass('agents', `${back.left} ${many} ${rollout.version} and can go back to ${to.version}`);
  }
  const others = [
    ...(back.out > 0 ? [`${back.out} cannot be taken back`] : []),
    ...(back.gone > 0 ? [`${back.gone} silent, taken back when they return`] : []),
  ];
  const rest = others.length === 0 ? '' : ` (${others.join('; ')})`;
  return act('agents', 'pass', `nobody is left to be taken back${rest}: the lane is rolled back`, {
    kind: 'finish_rollback',
    laneId: lane.id,
  });
}

/** Halts are booked all the same, and a lane that nobody is left in ends. */
function clockGates({ snapshot: { clock } }: LaneInput): AskGate[] {
  if (clock === null) return [];
  const remedy = 'nobody is taken back until then';
  return [() => wait('clock', { reason: 'clock_suspect', detail: sayDoubt(clock), until: clock.until, remedy })];
}

function stillThereGate(input: LaneInput, to: BackTo, platform: string): AskedGate {
  const { region } = input.lane;
  const { row, reason } = reachOf(input, to, platform);
  const what = `${to.version} for ${platform}`;
  if (reason === undefined) return pass('availability', `${region} has ${what}`);
  const detail = `${what}: ${row?.why ?? 'not probed yet'}`;
  const found = 'passes when a probe finds it there';
  const remedy = reason === 'not_available' ? `${found}; ${YIELDS}` : found;
  return wait('availability', { reason, detail, remedy });
}

const YIELDS = 'a newer release takes this one’s place once nobody else is left that can go back';

function reachOf({ snapshot, rollout, lane, now }: LaneInput, to: BackTo, platform: string) {
  const place = { product: rollout.product, version: to.version, region: lane.region, platform };
  const row = availabilityAt(snapshot.availability, place);
  return { row, reason: objectionToGrant(row, wayBackOf(lane)?.openedAt ?? now) };
}

/** Of a lane that rolls back: what it goes back to is not there for the platform. Not while nobody has looked yet. */
export function isOutOfReach(input: LaneInput, platform: string): boolean {
  const { state } = input.lane;
  return state.name === 'rolling_back' && reachOf(input, state.to, platform).reason === 'not_available';
}

function leftGate(input: LaneInput, to: BackTo): AskedGate {
  const hot = hotIn(input.lane);
  const left = censusOf(input)?.back?.left ?? 0;
  const busy = hot === 0 ? '' : `, ${numberOf(hot, 'attempt')} at risk now`;
  return pend('left', `${numberOf(left, 'agent')} left to go back to ${to.version}${busy}; passes at none`);
}

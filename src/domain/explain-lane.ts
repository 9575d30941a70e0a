// Why a lane goes on or does not, for a person: all its gates, and the one sentence that the plan acts upon now.
import { heldByClock } from './clock-doubt.ts';
import type { Gate } from './gate.ts';
import { gatesOf } from './gates.ts';
import { type LaneInput, type LaneStep, planAlarm, planLane } from './plan-lane.ts';
import { planRollBack } from './roll-back.ts';
import { isTerminalLane } from './rollout.ts';
import type { Action } from './snapshot.ts';
import { planSupersede } from './supersede.ts';

export interface LaneExplanation {
  /** What happens to the lane now, or why nothing does. */
  sentence: string;
  /** In the order in which they are asked; those behind the first that does not pass as well, where they can be. */
  gates: Gate[];
}

/** What the plan would do with the lane: `input.rollout` is one of `input.rollouts`. */
export function explainLane(input: LaneInput): LaneExplanation {
  const gates = gatesOf(input).map((ask): Gate => {
    const { step: _, ...gate } = ask();
    return gate;
  });
  const overruled = overruling(input);
  const all = overruled === undefined ? gates : [overruled.gate, ...gates];
  const step = overruled?.step ?? planLane(input);
  const first = all.find((gate) => gate.result !== 'pass') ?? all.at(-1);
  return { sentence: 'action' in step ? sayAction(step.action, input) : (first?.sentence ?? ''), gates: all };
}

/** What comes before the lane's own gates: a config without it, an alarm, a clock that has jumped, a newer release. */
function overruling(input: LaneInput): { gate: Gate; step: LaneStep } | undefined {
  const { snapshot, rollout, lane } = input;
  // What has ended is looked at by nobody any more.
  if (isTerminalLane(lane.state.name)) return undefined;
  if (!snapshot.products.some((one) => one.name === rollout.product)) {
    const sentence = `the config does not name ${rollout.product}; passes when it does`;
    const gate: Gate = { gate: 'config', result: 'fail', reason: 'not_assigned', sentence, until: null };
    return { gate, step: { hold: null } };
  }
  const alarm = planAlarm(input);
  if (alarm !== undefined) return { gate: overruleGate('alarm', alarm, input), step: alarm };
  const clock = heldByClock(input);
  if (clock !== undefined) return { gate: overruleGate('clock', clock, input), step: clock };
  // While it is doubted nothing goes back, or gives way.
  if (snapshot.clock !== null) return undefined;
  const back = planRollBack(input);
  if (back !== undefined) return { gate: overruleGate('rollback', back, input), step: back };
  const newer = planSupersede(input);
  return newer === undefined ? undefined : { gate: overruleGate('newer_release', newer, input), step: newer };
}

function overruleGate(gate: string, step: LaneStep, input: LaneInput): Gate {
  if ('action' in step) {
    return { gate, result: 'fail', reason: null, sentence: sayAction(step.action, input), until: null };
  }
  const { reason = null, sentence = 'it gives way to a newer release', until = null } = step.hold ?? {};
  return { gate, result: 'wait', reason, sentence, until };
}

function sayAction(action: Action, { snapshot }: LaneInput): string {
  switch (action.kind) {
    case 'open_step':
      return `step ${action.step + 1} opens now`;
    case 'complete_lane':
      return 'it completes now';
    case 'start_soak':
      return `step ${action.step + 1} is done and begins to soak now`;
    case 'await_approval':
      return `step ${action.step + 1} has soaked, and a person is asked now`;
    case 'replace_members':
      return `${action.count} silent members of step ${action.step + 1} give their seats to the next by rank now`;
    case 'halt_lane':
      return `it halts now: ${action.reason}`;
    case 'lift_halt':
      return 'it goes on now: the release is back on GitHub as it was';
    case 'reopen_lane':
      return 'it waits for its turn again now: somebody can take the release';
    case 'roll_back':
      return `it goes back to ${action.to.version} now: ${action.reason}`;
    case 'finish_rollback':
      return 'it is rolled back now';
    case 'supersede_lane': {
      const newer = snapshot.rollouts.find((one) => one.id === action.by);
      return `${newer?.version ?? 'a newer release'} takes its place now`;
    }
    default:
      return 'it moves now';
  }
}

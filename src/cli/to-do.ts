// What a person can do about lanes that wait for one, as commands to copy.
import type { LaneView, RolloutView } from '../protocol/operator.ts';
import { isTroubled, waitsForPerson } from './lane-rows.ts';
import { shellWord } from './render.ts';

/** One sentence for each thing to do; `going`: one product's rollouts that have not ended, newest first. */
export function toDo(going: readonly RolloutView[]): string[] {
  return going.flatMap((rollout, index) => [
    ...promotions(rollout),
    ...verb(rollout, 'resume', (lane) => lane.state === 'paused', ''),
    // A halted lane gives way to a newer release by itself.
    ...(index === 0 ? restarts(rollout) : []),
    ...closerLook(rollout),
  ]);
}

function promotions(rollout: RolloutView): string[] {
  const waiting = rollout.lanes.filter(waitsForPerson);
  const bySteps = Map.groupBy(waiting, (lane) => lane.step ?? 0);
  return [...bySteps].flatMap(([step, lanes]) => {
    const flag = ` --step ${step + 1}`;
    if (bySteps.size === 1) return [command(rollout, 'promote', lanes, flag)];
    // A promotion of all regions must find all of them in the step that it names.
    return lanes.map((lane) => command(rollout, 'promote', [lane], flag));
  });
}

function restarts(rollout: RolloutView): string[] {
  const halted = ({ state }: LaneView) => state === 'halted';
  return [
    ...restart(rollout, (lane) => halted(lane) && lane.back === undefined),
    // Halted on the way back: forward it goes no more.
    ...verb(rollout, 'rollback', (lane) => halted(lane) && lane.back !== undefined, ''),
  ];
}

/** While a person's veto stands a retry is refused. */
function restart(rollout: RolloutView, wants: (lane: LaneView) => boolean): string[] {
  const { veto } = rollout;
  if (veto == null || veto.automatic) return verb(rollout, 'retry', wants, 'publish a fix, or ');
  const lanes = rollout.lanes.filter(wants);
  if (lanes.length === 0) return [];
  const lift = `tidegate release unveto ${shellWord(nameOf(rollout))} --reason TEXT`;
  return [`${names(lanes)}: publish a fix, or lift the veto of ${veto.actor} and retry: ${lift}`];
}

function verb(rollout: RolloutView, name: string, wants: (lane: LaneView) => boolean, first: string): string[] {
  const lanes = rollout.lanes.filter(wants);
  return lanes.length === 0 ? [] : [command(rollout, name, lanes, '', first)];
}

/** Held for trouble, and no verb is the answer: somebody has to see what it waits for, gate by gate. */
function closerLook(rollout: RolloutView): string[] {
  const lanes = rollout.lanes.filter(
    (lane) => isTroubled(lane) && !waitsForPerson(lane) && !['halted', 'paused', 'rolling_back'].includes(lane.state),
  );
  if (lanes.length === 0) return [];
  return [`${names(lanes)}: see tidegate explain ${shellWord(nameOf(rollout))}${regionFlag(lanes)}`];
}

function command(rollout: RolloutView, name: string, lanes: readonly LaneView[], flags: string, first = ''): string {
  const region = regionFlag(lanes);
  const where = region === '' ? `${names(lanes)}: ` : '';
  return `${where}${first}tidegate rollout ${name} ${shellWord(nameOf(rollout))}${region}${flags} --reason TEXT`;
}

/** Of one lane; several are meant by saying nothing. */
function regionFlag(lanes: readonly LaneView[]): string {
  const [only] = lanes;
  return lanes.length === 1 && only !== undefined ? ` --region ${shellWord(only.region)}` : '';
}

const MOST_NAMED = 3;

function names(lanes: readonly LaneView[]): string {
  const named = lanes.slice(0, MOST_NAMED).map((lane) => lane.region);
  const more = lanes.length - named.length;
  return named.join(', ') + (more > 0 ? ` and ${more} more` : '');
}

function nameOf({ product, version }: RolloutView): string {
  return `${product}@${version}`;
}

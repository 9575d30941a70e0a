// The commands that look at the fleet and change nothing.
import type { HoldTimes } from '../../src/domain/hold-times.ts';
import { loadRollout } from '../../src/store/rollouts.ts';
import { attemptsTable, auditTable, instant, lanesTable } from './show.ts';
import { type Command, rolloutOf } from './watching.ts';
import { agentNamed } from './world.ts';

export const LOOK_COMMANDS: Record<string, Command> = {
  lanes: async (world) => await lanesTable(await world.fleet()),

  /** Why nothing goes out of a product that has no rollout. */
  async holds(world) {
    const fleet = await world.fleet();
    return fleet.engine.operator
      .productHolds()
      .map(
        ({ product, reason, sentence, until }) =>
          `${product} ${reason}: ${sentence}${until === null ? '' : ` (until ${instant(until)})`}`,
      );
  },

  /** `gates 1.1.0 eu`: all that a lane is asked now. */
  async gates(world, [version = '', region = '']) {
    const fleet = await world.fleet();
    const id = await rolloutOf(fleet, version);
    const lane = (await loadRollout(fleet.database.db, id))?.lanes.find((one) => one.region === region);
    const found = (await fleet.engine.operator.explainLanes(id)).get(lane?.id ?? '');
    if (found === undefined) throw new Error(`no lane of ${version} in ${region}`);
    return found.gates.map(({ gate, result, sentence }) => `${result.padEnd(4)} ${gate}: ${sentence}`);
  },

  async explain(world, [name = '']) {
    const fleet = await world.fleet();
    const found = await fleet.engine.operator.explain(agentNamed(world, name).id);
    return found.flatMap(({ answer, hold, trace }) => [
      ...trace.map(({ rule, result, sentence }) => `${result.padEnd(4)} ${rule}: ${sentence}`),
      `answer: ${answer}${timesOf(hold)}`,
    ]);
  },

  attempts: attemptsTable,

  /** `audit last 3` */
  audit: async (world, [, count = '10']) => await auditTable(world, Number(count)),

  /** Which versions run where, and how many agents are there. */
  async versions(world) {
    const fleet = await world.fleet();
    return fleet.engine.operator
      .versions()
      .map(({ region, version, agents, present }) => `${region} ${version}: ${agents} (${present} present)`)
      .sort();
  },
};

/** ` (since Mon 2026-01-05 20:00, until Tue 2026-01-06 14:00)`, as far as it is known. */
function timesOf(hold: HoldTimes | null): string {
  const since = hold?.since == null ? [] : [`since ${instant(hold.since)}`];
  const until = hold?.until == null ? [] : [`until ${instant(hold.until)}`];
  const known = [...since, ...until];
  return known.length === 0 ? '' : ` (${known.join(', ')})`;
}

// What scenario commands share: printing the lanes that something has moved, and finding a rollout by its version.
import { listRollouts } from '../../src/store/rollouts.ts';
import type { Fleet } from '../support/fleet.ts';
import { changes, laneStates, type World } from './world.ts';

export type Command = (world: World, words: string[]) => Promise<string[]> | string[];

/** What the command prints, then the lanes that it has moved. */
export async function watching(world: World, run: () => Promise<unknown>): Promise<string[]> {
  const fleet = await world.fleet();
  const before = await laneStates(fleet);
  const printed = await run();
  await fleet.engine.plan();
  return [...(Array.isArray(printed) ? printed : []), ...changes(before, await laneStates(fleet), fleet.clock.now())];
}

export async function rolloutOf(fleet: Fleet, version: string): Promise<string> {
  const found = (await listRollouts(fleet.database.db)).find((rollout) => rollout.version === version);
  if (found === undefined) throw new Error(`no rollout of ${version}`);
  return found.id;
}

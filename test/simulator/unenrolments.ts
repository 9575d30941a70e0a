// People who take a host out of the fleet, more often one that is away; what still runs there is told so, and may enrol anew.
import { AppError } from '../../src/errors.ts';
import type { Fleet } from './fleet.ts';
import type { SimServer } from './server.ts';
import type { World } from './world.ts';

export interface Unenrolments {
  act(): Promise<void>;
  /** At the end: those that a restore has brought back are taken out again. True when that is done. */
  repeat(): Promise<boolean>;
}

/** A fleet that people empty shows nothing. */
const FEWEST = 3;

export function createUnenrolments(world: World, server: SimServer, fleet: Fleet): Unenrolments {
  const { marks, truth } = world;
  const random = world.random.fork('unenrolments');

  /** True when the server has said that it is done, or that it knows nobody of that id. */
  async function unenrol(agentId: string): Promise<boolean> {
    truth.toUnenrol.add(agentId);
    try {
      const { hot } = await server.call((engine) =>
        engine.operator.unenrol({ agentId, actor: 'dana', reason: 'scrapped' }),
      );
      marks.hit(hot === null ? 'agent_unenrolled' : 'unenrolled_in_the_middle');
      return true;
    } catch (error) {
      if (!(error instanceof AppError)) world.broken('D0', `unenrolling meets a bug: ${(error as Error).stack}`);
      return error instanceof AppError && error.code === 'not_found';
    }
  }

  return {
    async act() {
      const known = fleet.members.filter(({ gone }) => !gone);
      if (known.length < FEWEST) return;
      const away = known.filter(({ agent }) => !agent.isOn());
      const { agent } = random.pick(away.length > 0 && random.chance(60) ? away : known);
      world.say(`operator: takes ${agent.identity.name} out`);
      if ((await unenrol(agent.identity.id)) && !agent.isOn()) fleet.leave(agent.identity.id);
    },
    async repeat() {
      const done = await Promise.all([...truth.toUnenrol].map(unenrol));
      return done.every((one) => one);
    },
  };
}

// People who pin single agents at what they run, and let them go on later; at the end all of them.
import { AppError } from '../../src/errors.ts';
import type { Fleet } from './fleet.ts';
import type { SimServer } from './server.ts';
import type { World } from './world.ts';

export interface Pins {
  /** Pins an agent, or unpins one that may be pinned. */
  act(): Promise<void>;
  /** At the end; true when none is left. */
  liftAll(): Promise<boolean>;
}

export function createPins(world: World, server: SimServer, fleet: Fleet): Pins {
  const random = world.random.fork('pins');
  /** Without an answer nobody knows whether it is one: it is lifted in any case. */
  const pinned = new Map<string, { agentId: string; product: string }>();

  async function set(agentId: string, product: string, on: boolean): Promise<void> {
    const key = `${agentId} ${product}`;
    if (on) pinned.set(key, { agentId, product });
    const options = { agentId, product, on, version: null, actor: 'dana', reason: 'looked at' };
    try {
      await server.call((engine) => engine.operator.setPin(options));
      if (on) world.marks.hit('agent_pinned');
      else pinned.delete(key);
    } catch (error) {
      // The database is of before its enrolment.
      if (error instanceof AppError && error.code === 'not_found') pinned.delete(key);
      if (!(error instanceof AppError)) world.broken('D0', `pinning meets a bug: ${(error as Error).stack}`);
    }
  }

  function listed() {
    return server.database.db.selectFrom('pins').select(['agent_id', 'product']).execute();
  }

  return {
    async act() {
      const there = fleet.members.filter(({ agent }) => agent.running().length > 0);
      if (there.length === 0) return;
      const known = [...pinned.values()];
      const lift = known.length > 0 && random.chance(50) ? random.pick(known) : undefined;
      if (lift !== undefined) return await set(lift.agentId, lift.product, false);
      const { agent } = random.pick(there);
      world.say(`operator: pins ${agent.identity.name}`);
      await set(agent.identity.id, random.pick(agent.running()).product, true);
    },
    async liftAll() {
      // Those that a restore has brought back, too.
      for (const { agent_id: agentId, product } of await listed())
        pinned.set(`${agentId} ${product}`, { agentId, product });
      for (const { agentId, product } of [...pinned.values()]) await set(agentId, product, false);
      return pinned.size === 0;
    },
  };
}

// A second server on the same database: started by a person, or in the place of one that hangs and wakes up again later.
import type { SimServer } from './server.ts';
import type { World } from './world.ts';

const MINUTE = 60_000;

export function createRivals(world: World, server: SimServer): { strike(): void } {
  const { time, plan } = world;
  const random = world.random.fork('rivals');
  return {
    strike() {
      if (!server.takeOver()) return;
      const stopped = random.chance(60) ? random.between(1, 20) * MINUTE * plan.scale : 0;
      const lasts = random.between(5, 60) * MINUTE * plan.scale;
      const inGoodOrder = random.chance(50);
      time.after(stopped, () => server.wakeRival());
      time.after(stopped + lasts, () => void server.endRival(inGoodOrder));
    },
  };
}

// People who look after lanes: they approve manual steps ahead of time, alone or by two, and retry some that halted.
import { AppError } from '../../src/errors.ts';
import { listRollouts } from '../../src/store/rollouts.ts';
import type { SimServer } from './server.ts';
import type { World } from './world.ts';

export function createApprovers(world: World, server: SimServer): { act(): Promise<void> } {
  const random = world.random.fork('approvers');

  async function ask(
    verb: 'approve' | 'retry',
    rolloutId: string,
    region: string,
    expectedStep: number,
  ): Promise<void> {
    const who = { actor: random.pick(['dana', 'erik']), reason: 'seen' };
    const options = { verb, region, expectedStep, vetoRelease: false, ...who } as const;
    try {
      const changed = await server.call((engine) => engine.operator.verb(rolloutId, options));
      world.say(`operator: ${who.actor}, ${verb} → ${changed}`);
    } catch (error) {
      if (!(error instanceof AppError)) world.broken('D0', `${verb} meets a bug: ${(error as Error).stack}`);
    }
  }

  return {
    async act() {
      for (const { id, policy, endedAt, lanes } of await listRollouts(server.database.db)) {
        if (endedAt !== null) continue;
        for (const { region, state, steps } of lanes) {
          const step = steps.at(-1)?.step ?? -1;
          if (state.name === 'halted' && step >= 0 && random.chance(30)) await ask('retry', id, region, step);
          if (policy.steps[step]?.manual !== true || !['open', 'soaking', 'approval'].includes(state.name)) continue;
          await ask('approve', id, region, step);
        }
      }
    },
  };
}

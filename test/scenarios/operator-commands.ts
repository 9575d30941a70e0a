// The commands for what people do to the fleet: verbs on lanes, vetoes, brakes, pins, quarantine, the clock.
import { LANE_VERBS, type LaneVerb } from '../../src/domain/verbs.ts';
import { type Command, rolloutOf, watching } from './watching.ts';
import { agentNamed, type World } from './world.ts';

const KEYS = ['step', 'count', 'by'];

export const OPERATOR_COMMANDS: Record<string, Command> = {
  /** `verb promote 1.1.0 [eu] [step 1] [count 2] [by ben]` */
  async verb(world, [verb = '', version = '', ...rest]) {
    if (!LANE_VERBS.some((one) => one === verb)) throw new Error(`no such verb: ${verb}`);
    const region = KEYS.includes(rest[0] ?? 'step') ? undefined : rest[0];
    const given = (key: string) => (rest.includes(key) ? rest[rest.indexOf(key) + 1] : undefined);
    const [step, count] = [given('step'), given('count')];
    return await watching(world, async () => {
      const fleet = await world.fleet();
      const changed = await fleet.engine.operator.verb(await rolloutOf(fleet, version), {
        verb: verb as LaneVerb,
        region: region ?? null,
        expectedStep: step === undefined ? null : Number(step) - 1,
        ...(count === undefined ? {} : { count: Number(count) }),
        vetoRelease: false,
        actor: given('by') ?? 'dana',
        reason: `${verb} by hand`,
      });
      return changed ? [] : ['it already was so'];
    });
  },

  /** `veto 1.1.0`: halts it everywhere and lets it never come back. */
  async veto(world, [version = '', ...reason]) {
    return await watching(world, async () => {
      const fleet = await world.fleet();
      const options = { region: null, vetoRelease: true, actor: 'dana', reason: reason.join(' ') || 'no good' };
      await fleet.engine.operator.halt(await rolloutOf(fleet, version), options);
    });
  },

  /** `brake on|off region:eu` */
  async brake(world, [state, scope = '']) {
    return await watching(world, async () => {
      const fleet = await world.fleet();
      await fleet.engine.operator.setBrake({ scope, on: state === 'on', actor: 'dana', reason: 'something smells' });
    });
  },

  /** `unveto 1.1.0`: lifts whatever veto stands. */
  unveto: async (world, [version = '']) =>
    await watching(world, async () => {
      const fleet = await world.fleet();
      const options = {
        product: world.product.name,
        version,
        on: false,
        actor: 'dana',
        reason: 'it was not the release',
      };
      return (await fleet.engine.operator.setVeto(options)).changed ? [] : ['it already was so'];
    }),

  /** `create 2.0.0 it was announced`: a person begins the rollout. */
  create: async (world, [version = '', ...reason]) =>
    await watching(world, async () => {
      const fleet = await world.fleet();
      const options = { product: 'agentd', version, actor: 'dana', reason: reason.join(' ') || 'it is time' };
      const { changed } = await fleet.engine.operator.createRollout(options);
      await fleet.engine.plan();
      return changed ? [] : ['it already was so'];
    }),

  /** `pin e1 under test`: it is left alone. */
  pin: async (world, [name = '', ...reason]) => await setPin(world, name, true, reason.join(' ')),

  /** `unenrol e1 scrapped`: it is in the fleet no more. */
  unenrol: async (world, [name = '', ...reason]) =>
    await watching(world, async () => {
      const fleet = await world.fleet();
      const options = { agentId: agentNamed(world, name).id, actor: 'dana', reason: reason.join(' ') || 'scrapped' };
      const { changed, hot } = await fleet.engine.operator.unenrol(options);
      world.away.add(name);
      const lines =
        hot === null ? [] : [`its attempt at ${hot.version} is ${hot.state}: nobody reports on it any more`];
      return changed ? lines : ['it already was so'];
    }),

  unpin: async (world, [name = '']) => await setPin(world, name, false, 'free again'),

  /** Which agents are not tried again until a person clears them. */
  async quarantined(world) {
    const fleet = await world.fleet();
    const names = new Map([...world.agents].map(([name, { id }]) => [id, name]));
    return fleet.engine.operator
      .quarantined(null, 100)
      .quarantined.map(
        (one) => `${names.get(one.agentId)}: ${one.attempts} of ${one.limit} attempts at ${one.version}`,
      );
  },

  /** `clear e1 1.1.0`: one agent may try it again. */
  clear: async (world, [name = '', version = '']) =>
    await watching(world, async () => {
      const fleet = await world.fleet();
      const options = { agentId: agentNamed(world, name).id, product: world.product.name, version };
      const done = await fleet.engine.operator.clearQuarantine({ ...options, actor: 'dana', reason: 'disk replaced' });
      return done.changed ? [`${done.attempts} attempts are forgiven`] : ['it was not quarantined'];
    }),

  /** A person has looked at the server's clock. */
  trust: async (world) =>
    await watching(world, async () => {
      const fleet = await world.fleet();
      const changed = await fleet.engine.operator.trustClock({ actor: 'dana', reason: 'compared with another' });
      return changed ? [] : ['nobody doubts it'];
    }),
};

async function setPin(world: World, name: string, on: boolean, reason: string): Promise<string[]> {
  return await watching(world, async () => {
    const fleet = await world.fleet();
    const options = { agentId: agentNamed(world, name).id, product: world.product.name, version: null };
    const { changed, hot } = await fleet.engine.operator.setPin({ ...options, on, actor: 'dana', reason });
    const lines = hot === null ? [] : [`its attempt at ${hot.version} is ${hot.state}: that one ends by itself`];
    return changed ? lines : ['it already was so'];
  });
}

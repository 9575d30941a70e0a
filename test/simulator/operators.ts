// What people do at any time, legal or not, some of it on an old picture: one line per verb in a table.
import type { VerbOptions } from '../../src/domain/requests.ts';
import { isLegal, type LaneVerb } from '../../src/domain/verbs.ts';
import { AppError } from '../../src/errors.ts';
import { listBaselineLanes, listRollouts } from '../../src/store/rollouts.ts';
import type { Github } from './github.ts';
import type { Random } from './random.ts';
import type { SimServer } from './server.ts';
import type { World } from './world.ts';

export interface Operators {
  /** One person does one thing. */
  act(): Promise<void>;
  /** At the end: lifts the brakes, resumes what is paused. */
  liftAll(): Promise<void>;
  /** The policy's own approvals, and nothing else. */
  approve(): Promise<void>;
  /** Sets or lifts one. */
  brake(scope: string, on: boolean): Promise<void>;
  /** Brakes whose setting was acknowledged. */
  brakes: Set<string>;
}

interface Parts {
  world: World;
  server: SimServer;
  github: Github;
  random: Random;
  operators: Operators;
}

/** `unchanged`: it already was so. */
type Outcome = 'changed' | 'unchanged' | 'refused' | 'unreachable';

type Act = (parts: Parts) => Promise<Outcome | undefined>;

const ACTS: Record<string, { weight: number; act: Act }> = {
  promote: { weight: 6, act: (parts) => laneVerb(parts, 'promote') },
  pause: { weight: 3, act: (parts) => laneVerb(parts, 'pause') },
  resume: { weight: 4, act: (parts) => laneVerb(parts, 'resume') },
  halt: { weight: 2, act: (parts) => laneVerb(parts, 'halt') },
  retry: { weight: 4, act: (parts) => laneVerb(parts, 'retry') },
  cancel: { weight: 1, act: (parts) => laneVerb(parts, 'cancel') },
  approve: { weight: 3, act: (parts) => laneVerb(parts, 'approve') },
  accept: { weight: 2, act: (parts) => laneVerb(parts, 'accept') },
  skip_region: { weight: 1, act: (parts) => laneVerb(parts, 'skip-region') },
  roll_back: { weight: 4, act: (parts) => laneVerb(parts, 'rollback') },
  clear_quarantine: { weight: 3, act: clearQuarantine },
  veto: { weight: 2, act: veto },
  trust_clock: { weight: 2, act: trustClock },
  halt_baseline: { weight: 1, act: (parts) => baselineVerb(parts, 'halt') },
  retry_baseline: { weight: 2, act: (parts) => baselineVerb(parts, 'retry') },
  illegal_baseline: { weight: 1, act: (parts) => baselineVerb(parts, 'promote') },
  brake: { weight: 3, act: brake },
  create: { weight: 2, act: create },
  verb_on_nothing: { weight: 1, act: verbOnNothing },
};

const TRIES = 3;

export function createOperators(world: World, server: SimServer, github: Github): Operators {
  const random = world.random.fork('operators');
  const entries = Object.entries(ACTS).map(([name, { weight, act }]) => [weight, { name, act }] as const);
  const operators: Operators = {
    brakes: new Set(),
    async act() {
      // Who is refused, or finds it done, tries something else.
      for (let attempt = 0; attempt < TRIES; attempt += 1) {
        const { name, act } = random.weighted(entries);
        const outcome = await act({ world, server, github, random, operators });
        if (outcome === undefined) continue;
        world.say(`operator: ${name} → ${outcome}`);
        if (outcome === 'changed' || outcome === 'unreachable') return;
      }
    },
    async brake(scope, on) {
      await setBrake(world, server, operators, scope, on);
    },
    async liftAll() {
      for (const scope of [...operators.brakes]) {
        const done = await ask(world, () =>
          server.call((engine) => engine.operator.setBrake({ scope, on: false, ...someone('the end') })),
        );
        if (done !== 'unreachable') operators.brakes.delete(scope);
      }
      for (const rollout of await going(server)) {
        for (const lane of rollout.lanes) {
          if (lane.state.name === 'paused') await verb(world, server, rollout.id, 'resume', lane.region, null);
        }
      }
    },
    async approve() {
      const failing = await server.database.db
        .selectFrom('lane_holds')
        .select('lane_id')
        .where('ended_at', 'is', null)
        .where('reason', '=', 'metric_failing')
        .execute();
      const isHeldByMetric = (id: string) => failing.some((one) => one.lane_id === id);
      for (const rollout of await going(server)) {
        for (const lane of rollout.lanes) {
          const last = lane.steps.at(-1)?.step ?? 0;
          // What a metric holds, and nobody halts, stays for ever: a person has to say which.
          if (isHeldByMetric(lane.id)) await verb(world, server, rollout.id, 'halt', lane.region, null);
          if (lane.state.name !== 'approval') continue;
          for (const actor of ['dana', 'erik'])
            await verb(world, server, rollout.id, 'promote', lane.region, last, { actor });
        }
      }
    },
  };
  return operators;
}

async function going(server: SimServer) {
  return (await listRollouts(server.database.db)).filter((rollout) => rollout.endedAt === null);
}

async function laneVerb({ world, server, random }: Parts, name: LaneVerb): Promise<Outcome | undefined> {
  const rollouts = (await listRollouts(server.database.db)).slice(0, 4);
  if (rollouts.length === 0) return undefined;
  // Most look first where it could be of use.
  const legal = rollouts.flatMap((one) => one.lanes.filter((lane) => isLegal(name, lane)));
  const lane = legal.length > 0 && random.chance(70) ? random.pick(legal) : random.pick(random.pick(rollouts).lanes);
  const rollout = rollouts.find((one) => one.id === lane.rolloutId) as (typeof rollouts)[number];
  const last = lane.steps.at(-1)?.step ?? 0;
  // Most name the step that they see; some saw an older one, or are careless.
  const seen = name === 'promote' || random.chance(30) ? Math.max(0, random.chance(80) ? last : last - 1) : null;
  if (seen !== null && seen !== last) world.marks.hit('verb_refused_on_old_picture');
  const region = random.chance(70) ? lane.region : null;
  const vetoRelease = name === 'halt' && random.chance(30);
  const extra = { vetoRelease, actor: random.pick(['dana', 'erik']), ...(name === 'accept' ? { count: 1 } : {}) };
  const outcome = await verb(world, server, rollout.id, name, region, seen, extra);
  if (outcome === 'changed' && random.chance(20)) {
    // The same again, as after a lost reply: what it asks for is so already, or it is refused; it does nothing twice.
    const again = await verb(world, server, rollout.id, name, region, seen, extra);
    if (again === 'changed' && name !== 'retry') await checkTwice(world, server, rollout.id, name, region);
  }
  return outcome;
}

/** The planner may have moved on between the two; only a lane that cannot have moved says something. */
async function checkTwice(world: World, server: SimServer, id: string, name: LaneVerb, region: string | null) {
  if (name !== 'pause' && name !== 'halt' && name !== 'cancel') return;
  const rollout = (await listRollouts(server.database.db)).find((one) => one.id === id);
  const lanes = rollout?.lanes.filter((lane) => region === null || lane.region === region) ?? [];
  if (region !== null && lanes.length === 1)
    world.broken('M2', `${name} of ${rollout?.version} in ${region} took effect twice`);
}

async function baselineVerb({ world, server, random }: Parts, name: LaneVerb): Promise<Outcome | undefined> {
  const lanes = await listBaselineLanes(server.database.db);
  if (lanes.length === 0) return undefined;
  const lane = random.pick(lanes);
  if (name === 'halt') world.marks.hit('baseline_halted');
  return await ask(world, () =>
    server.call((engine) =>
      engine.operator.verb(lane.rolloutId, {
        verb: name,
        region: lane.region,
        expectedStep: null,
        vetoRelease: false,
        baseline: true,
        ...someone('because'),
      }),
    ),
  );
}

async function brake({ world, server, random, operators }: Parts): Promise<Outcome | undefined> {
  const { brakes } = operators;
  const scopes = [
    'fleet',
    ...world.plan.productNames.map((name) => `product:${name}`),
    ...world.plan.regions.map((name) => `region:${name}`),
  ];
  const scope = brakes.size > 0 && random.chance(60) ? random.pick([...brakes]) : random.pick(scopes);
  const on = brakes.has(scope) ? random.chance(10) : random.chance(90);
  return await setBrake(world, server, operators, scope, on);
}

async function setBrake(
  world: World,
  server: SimServer,
  { brakes }: Operators,
  scope: string,
  on: boolean,
): Promise<Outcome> {
  const outcome = await ask(world, () =>
    server.call((engine) => engine.operator.setBrake({ scope, on, ...someone('something smells') })),
  );
  if (outcome === 'refused') return outcome;
  // Without an answer nobody knows; who set it lifts it in any case.
  if (on) brakes.add(scope);
  else if (outcome !== 'unreachable') brakes.delete(scope);
  return outcome;
}

async function veto({ world, server, github, random }: Parts): Promise<Outcome> {
  const product = random.pick(world.plan.productNames);
  const version = random.pick(github.versions(product).slice(-3));
  const on = random.chance(40);
  return await ask(world, () =>
    server.call(
      async (engine) => (await engine.operator.setVeto({ product, version, on, ...someone('no good') })).changed,
    ),
  );
}

async function clearQuarantine({ world, server, random }: Parts): Promise<Outcome | undefined> {
  const found = server.engine()?.operator.quarantined(null, 20).quarantined ?? [];
  if (found.length === 0) return undefined;
  const { agentId, product, version } = random.pick(found);
  const options = { agentId, product, version, ...someone('the cable was loose') };
  return await ask(world, () =>
    server.call(async (engine) => (await engine.operator.clearQuarantine(options)).changed),
  );
}

async function trustClock({ world, server }: Parts): Promise<Outcome> {
  return await ask(world, () => server.call((engine) => engine.operator.trustClock(someone('it is right'))));
}

async function create({ world, server, github, random }: Parts): Promise<Outcome | undefined> {
  const product = random.pick(world.plan.productNames);
  const version = random.chance(90) ? random.pick(github.versions(product)) : '77.0.0';
  const outcome = await ask(world, () =>
    server.call(async (engine) => {
      const { changed } = await engine.operator.createRollout({ product, version, ...someone('at once') });
      return changed;
    }),
  );
  if (outcome === 'changed') world.marks.hit('rollout_created_by_hand');
  return outcome;
}

async function verbOnNothing({ world, server, random }: Parts): Promise<Outcome> {
  const outcome = await verb(world, server, world.newId(), random.pick(['halt', 'retry'] as const), null, null);
  if (outcome === 'changed' || outcome === 'unchanged') world.broken('M2', 'a verb on a rollout that is not there');
  return outcome;
}

async function verb(
  world: World,
  server: SimServer,
  rolloutId: string,
  name: LaneVerb,
  region: string | null,
  expectedStep: number | null,
  extra: Partial<VerbOptions> = {},
): Promise<Outcome> {
  const options = { verb: name, region, expectedStep, vetoRelease: false, ...someone('drawn'), ...extra };
  return await ask(world, () => server.call((engine) => engine.operator.verb(rolloutId, options)));
}

function someone(reason: string) {
  return { actor: 'dana', reason };
}

/** Nothing but a coded refusal may come back. */
async function ask(world: World, run: () => Promise<boolean>): Promise<Outcome> {
  world.truth.messages += 1;
  try {
    if (await run()) return 'changed';
    world.marks.hit('verb_without_effect');
    return 'unchanged';
  } catch (error) {
    if (!(error instanceof AppError)) {
      world.broken('D0', `an operator meets a bug: ${(error as Error).stack}`);
      return 'refused';
    }
    if (error.code === 'unreachable') {
      world.marks.hit('verb_reply_lost_in_crash');
      return 'unreachable';
    }
    world.marks.hit('verb_refused');
    return 'refused';
  }
}

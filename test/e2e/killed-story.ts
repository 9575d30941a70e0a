// The story that is told while the server is killed, in the phases of the demo's rollout: three regions with mirrors one
// after another, a canary that a person promotes, a mirror that lags, a release that halts. The outcomes are those of the
// undisturbed run, no attempt that was committed is ever replaced by another, and a promotion that was acknowledged stays.
import assert from 'node:assert/strict';
import { AppError } from '../../src/errors.ts';
import type { LaneView, StatusReply } from '../../src/protocol/operator.ts';
import { enrolWireAgent, retried, type WireAgent } from '../support/wire-agent.ts';
import { openWorld, PRODUCT, pause, REGIONS, type RegionName, running, type World } from './killed-world.ts';

const [WEST, EAST, EUROPE] = REGIONS;
const TRIES = 800;

export type Phase =
  | 'enrol'
  | 'publish'
  | 'offer'
  | 'grant'
  | 'success'
  | 'promote'
  | 'next wave'
  | 'mirror catches up'
  | 'halt'
  | 'promote the fix';
/** By phase the mark at which the server dies. */
export type Kills = Partial<Record<Phase, string>>;

const OUTCOMES = [
  ...['canary', 'east', 'europe', 'west'].map((agent) => `${agent} 1.1.0 succeeded`),
  'canary 1.2.0 rolled_back',
  ...['canary', 'east', 'europe', 'west'].map((agent) => `${agent} 1.2.1 succeeded`),
];
const LANES = [...['1.1.0 completed', '1.2.0 superseded', '1.2.1 completed'].flatMap((end) => REGIONS.map(() => end))];

/** One server, one story, and the kills in it. */
export async function tellKilled(kills: Kills): Promise<void> {
  const world = await openWorld();
  try {
    await scriptedRollouts(world, kills);
    await compare(world, kills);
  } finally {
    await world.close();
  }
}

async function compare(world: World, kills: Kills): Promise<void> {
  assert.deepEqual(world.killed, Object.keys(kills), 'the server has died once in each of these phases');
  const attempts = world.attempts();
  assert.deepEqual(
    attempts.map(({ agent, version, state }) => `${agent} ${version} ${state}`),
    OUTCOMES,
  );
  for (const { id, agent, version } of world.committed.values()) {
    const last = attempts.find((one) => one.agent === agent && one.version === version);
    assert.equal(last?.id, id, `${agent} at ${version} keeps its attempt`);
  }
  assert.equal(world.audited('lane.promoted').length, 2, 'each promotion is in the books once');
  const { rollouts } = await world.operator.status();
  const ended = rollouts.filter(({ version }) => version !== '1.0.0').toReversed();
  assert.deepEqual(
    ended.flatMap(({ version, lanes }) => lanes.map((lane) => `${version} ${lane.state}`)),
    LANES,
  );
}

interface Fleet {
  canary: WireAgent;
  west: WireAgent;
  east: WireAgent;
  europe: WireAgent;
}

async function scriptedRollouts(world: World, kills: Kills): Promise<void> {
  world.publish('1.0.0', REGIONS);
  await until(world, 'the first release is known', ({ products }) => products[0]?.newest === '1.0.0');
  const fleet = await enrol(world, kills);
  await goodRelease(world, kills, fleet);
  await brokenRelease(world, kills, fleet);
  await fixedRelease(world, kills, fleet);
}

async function enrol(world: World, kills: Kills): Promise<Fleet> {
  const add = async (name: string, region: RegionName, labels: Record<string, string> = {}) => {
    const { token } = await world.operator.createEnrolToken({ region, labels });
    return () => enrolWireAgent(() => world.url, token, name, [running('1.0.0')]);
  };
  return {
    canary: await world.phase('enrol', kills.enrol, await add('canary', WEST, { role: 'canary' })),
    west: await (await add('west', WEST))(),
    east: await (await add('east', EAST))(),
    europe: await (await add('europe', EUROPE))(),
  };
}

async function goodRelease(world: World, kills: Kills, fleet: Fleet): Promise<void> {
  const { canary, west, east, europe } = fleet;
  const version = '1.1.0';
  await world.phase('publish', kills.publish, async () => {
    world.publish(version, [WEST, EAST]);
    await lane(world, version, WEST, ({ state }) => state === 'open');
  });
  const staged = await world.phase('offer', kills.offer, () => told(canary, 'stage'));
  const granted = await world.phase('grant', kills.grant, () => reportStaged(canary, staged));
  assert.equal(granted.attempt, staged.attempt);
  assert.equal(granted.sequence, staged.sequence);
  await world.phase('success', kills.success, () => reportSuccess(canary, granted));
  await lane(world, version, WEST, ({ state }) => state === 'approval', [canary]);
  const next = await world.phase('promote', kills.promote, async () => {
    await promote(world, version);
    return await told(west, 'stage', [canary]);
  });
  const grant = await reportStaged(west, next);
  const last = await world.phase('next wave', kills['next wave'], async () => {
    await reportSuccess(west, grant);
    return await told(east, 'stage', [canary, west]);
  });
  await reportSuccess(east, await reportStaged(east, last));
  const others = [canary, west, east];
  await lane(world, version, EUROPE, ({ hold }) => hold?.reason === 'not_available', others);
  const late = await world.phase('mirror catches up', kills['mirror catches up'], async () => {
    assert.equal((await retried(() => europe.checkIn())).instruction, undefined, 'nobody stages what is not there');
    world.putOnMirror(EUROPE, version);
    return await told(europe, 'stage', others);
  });
  await reportSuccess(europe, await reportStaged(europe, late));
  await lane(world, version, EUROPE, ({ state }) => state === 'completed', Object.values(fleet));
}

async function brokenRelease(world: World, kills: Kills, { canary, west, east, europe }: Fleet): Promise<void> {
  const version = '1.2.0';
  world.publish(version, REGIONS);
  await lane(world, version, WEST, ({ state }) => state === 'open');
  const granted = await reportStaged(canary, await told(canary, 'stage'));
  await world.phase('halt', kills.halt, async () => {
    canary.attempts = [{ id: granted.attempt, product: PRODUCT, state: 'rolled_back', cause: 'crash_loop' }];
    await acknowledged(canary);
  });
  await lane(world, version, WEST, ({ state }) => state === 'halted', [canary]);
  for (const agent of [canary, west, east, europe]) {
    const { reply } = await retried(() => agent.checkIn());
    assert.notEqual(reply.answer.kind, 'instruction', `${agent.name} is asked nothing while 1.2.0 is halted`);
  }
}

async function fixedRelease(world: World, kills: Kills, fleet: Fleet): Promise<void> {
  const { canary, west, east, europe } = fleet;
  const version = '1.2.1';
  world.publish(version, REGIONS);
  await update(canary, []);
  await lane(world, version, WEST, ({ state }) => state === 'approval', [canary]);
  await world.phase('promote the fix', kills['promote the fix'], () => promote(world, version));
  await update(west, [canary]);
  await update(east, [canary, west]);
  await update(europe, [canary, west, east]);
  await until(
    world,
    '1.2.1 is completed and 1.2.0 superseded',
    ({ rollouts }) => rollouts[0]?.state === 'completed' && rollouts[1]?.state === 'superseded',
    Object.values(fleet),
  );
}

/** The reply may be lost with the server: asked again, the server says that the step is behind it already. */
async function promote(world: World, version: string): Promise<void> {
  const { rollouts } = await retried(() => world.operator.status());
  const id = rollouts.find((rollout) => rollout.version === version)?.id ?? '';
  let isLost = false;
  await retried(async () => {
    const request = { verb: 'promote', region: WEST, expectedStep: 0, reason: 'the canary is well' } as const;
    try {
      await world.operator.verb(id, request);
    } catch (error) {
      if (!(error instanceof AppError)) throw error;
      if (isLost && (error.code === 'conflict' || error.code === 'illegal_transition')) return;
      isLost = true;
      throw error;
    }
  });
  world.promoted.push(version);
}

type Instruction = NonNullable<Awaited<ReturnType<WireAgent['checkIn']>>['instruction']>;

/** The next instruction of this kind; check-ins are repeated while the server plans, those of the others too. */
async function told(
  agent: WireAgent,
  action: 'stage' | 'activate',
  others: readonly WireAgent[] = [],
): Promise<Instruction> {
  for (let tries = 0; tries < TRIES; tries += 1) {
    const { instruction } = await retried(() => agent.checkIn());
    if (instruction?.action === action) return instruction;
    // Without a sign of life a soak does not pass after a restart.
    for (const other of others) await retried(() => other.checkIn());
    await pause();
  }
  throw new Error(`${agent.name} was never told to ${action}`);
}

async function reportStaged(agent: WireAgent, { attempt }: Instruction): Promise<Instruction> {
  agent.attempts = [{ id: attempt, product: PRODUCT, state: 'staged' }];
  return await told(agent, 'activate');
}

async function reportSuccess(agent: WireAgent, { attempt, version }: Instruction): Promise<void> {
  agent.products = [running(version)];
  agent.attempts = [{ id: attempt, product: PRODUCT, state: 'succeeded' }];
  await acknowledged(agent);
}

async function update(agent: WireAgent, others: readonly WireAgent[]): Promise<void> {
  await reportSuccess(agent, await reportStaged(agent, await told(agent, 'stage', others)));
}

async function acknowledged(agent: WireAgent): Promise<void> {
  for (let tries = 0; tries < TRIES && agent.attempts.length > 0; tries += 1) {
    await retried(() => agent.checkIn());
    if (agent.attempts.length > 0) await pause();
  }
  assert.equal(agent.attempts.length, 0, `the outcome of ${agent.name} is acknowledged`);
}

async function lane(
  world: World,
  version: string,
  region: RegionName,
  reached: (lane: LaneView) => boolean,
  agents: readonly WireAgent[] = [],
): Promise<void> {
  const isReached = ({ rollouts }: StatusReply) => {
    const found = rollouts.find((one) => one.version === version)?.lanes.find((one) => one.region === region);
    return found !== undefined && reached(found);
  };
  await until(world, `${version} in ${region}`, isReached, agents);
}

async function until(
  world: World,
  what: string,
  reached: (status: StatusReply) => boolean,
  agents: readonly WireAgent[] = [],
): Promise<void> {
  let last: StatusReply | undefined;
  for (let tries = 0; tries < TRIES; tries += 1) {
    last = await retried(() => world.operator.status());
    if (reached(last)) return;
    for (const agent of agents) await retried(() => agent.checkIn());
    await pause();
  }
  throw new Error(`not reached: ${what}: ${JSON.stringify(last)}`);
}

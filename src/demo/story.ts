// The demo's story, scene by scene: each waits until the server says so, checks it on the hosts and mirrors, and tells it.
import { isDeepStrictEqual as isDeepEqual } from 'node:util';
import type { LaneView, StatusReply } from '../protocol/operator.ts';
import type { BuiltArtifact } from './build-agent.ts';
import { tellHistories } from './histories.ts';
import type { Say } from './narrator.ts';
import {
  type DemoAgent,
  laneOf,
  type NewAgent,
  PLATFORM,
  PRODUCT,
  REGIONS,
  type RegionName,
  rolloutOf,
  type Stage,
} from './stage.ts';

const [WEST, EAST, EUROPE] = REGIONS;
const CANARY = 'us-west-2-canary';
const HOSTS: readonly NewAgent[] = [
  { name: CANARY, region: WEST, labels: { role: 'canary' } },
  { name: 'us-west-2-b', region: WEST },
  { name: 'us-west-2-c', region: WEST },
  { name: 'us-east-1-a', region: EAST },
  { name: 'us-east-1-b', region: EAST },
  { name: 'us-east-1-c', region: EAST },
  { name: 'eu-west-1-a', region: EUROPE },
  { name: 'eu-west-1-b', region: EUROPE },
];
const LATE: NewAgent = { name: 'eu-west-1-late', region: EUROPE };
/** For how long eu-west-1's mirror is behind once its turn has come. */
const LAG_MS = 4_000;
const STEP_SECONDS = 60;

interface Artifacts {
  first: BuiltArtifact;
  second: BuiltArtifact;
  broken: BuiltArtifact;
  fix: BuiltArtifact;
}

/** Throws at the first thing that is not as it is told. */
export async function play(stage: Stage, say: Say): Promise<void> {
  say('three products have their real histories on the recorded GitHub: public tags without files, only to be read');
  await tellHistories(stage, say);
  const artifacts = await build(stage, say);
  await install(stage, say, artifacts.first);
  await goodRelease(stage, say, artifacts.second);
  await brokenRelease(stage, say, artifacts.broken);
  await fixedRelease(stage, say, artifacts.fix);
  await newcomer(stage, say, artifacts.first);
  tellMirrors(stage, say);
}

async function build(stage: Stage, say: Say): Promise<Artifacts> {
  say('building the agent: 1.0.0, 1.1.0, 1.2.0 (which will die at start) and 1.2.1');
  const [first, second, broken, fix] = await Promise.all([
    stage.build('1.0.0'),
    stage.build('1.1.0'),
    stage.build('1.2.0', { broken: true }),
    stage.build('1.2.1'),
  ]);
  return { first, second, broken, fix };
}

async function install(stage: Stage, say: Say, first: BuiltArtifact): Promise<void> {
  stage.publish('1.0.0', first, REGIONS);
  await stage.until('1.0.0 is known', 20, ({ products }) => {
    return products.find((one) => one.name === PRODUCT)?.newest === '1.0.0';
  });
  say(
    '1.0.0 is on GitHub and on the mirror of each region; eight hosts install it: three in us-west-2, one of them ' +
      'labelled role=canary, three in us-east-1, two in eu-west-1',
  );
  // One region beside the other; an installation is a process that wants its share of a small machine.
  await Promise.all(
    REGIONS.map(async (region) => {
      for (const host of HOSTS.filter((one) => one.region === region)) await stage.addAgent(host, first);
    }),
  );
  await stage.until('eight agents are present', 60, (status) => status.agents.present === HOSTS.length);
}

async function goodRelease(stage: Stage, say: Say, artifact: BuiltArtifact): Promise<void> {
  const version = '1.1.0';
  say('1.1.0 is published; the mirror of eu-west-1 does not have it yet');
  stage.publish(version, artifact, [WEST, EAST]);
  await canary(stage, say, version, '1.0.0');
  await promote(stage, say, version);
  await regionCompletes(stage, version, '1.0.0', WEST);
  say(`${WEST} is completed; ${EAST} goes next: it has no canary, so its first step is skipped`);
  const status = await regionCompletes(stage, version, '1.0.0', EAST);
  check(laneOf(status, version, EAST)?.steps[0]?.state === 'skipped', 'the step for canaries is skipped in us-east-1');
  await laggingMirror(stage, say, version, artifact);
  await regionCompletes(stage, version, '1.0.0', EUROPE);
  await everywhere(stage, version);
  say('1.1.0: all eight agents have replaced themselves and proven it');
}

/** The canary alone takes the release and proves it; the lane then waits for a person. */
async function canary(stage: Stage, say: Say, version: string, before: string): Promise<void> {
  const others = stage.agents.filter((agent) => agent.name !== CANARY);
  const seen = await stage.until(
    `the canary has proven ${version}`,
    STEP_SECONDS,
    // The hold is written by the planning pass after the one that moved the lane.
    (status) => laneOf(status, version, WEST)?.state === 'approval' && laneOf(status, version, WEST)?.hold !== null,
    () => allRun(stage, others, before),
  );
  const lane = laneOf(seen, version, WEST);
  check(isDeepEqual(lane?.attempts, { succeeded: 1 }), `one attempt at ${version} in ${WEST}, and it succeeded`);
  check(stage.currentOf(agentNamed(stage, CANARY)) === version, `the canary runs ${version}`);
  untouched(stage, seen, version, [EAST, EUROPE]);
  say(`only the canary runs ${version}. ${WEST} waits: ${heldFor(lane)}`);
  say(`${EAST} waits: ${heldFor(laneOf(seen, version, EAST))}`);
}

async function promote(stage: Stage, say: Say, version: string): Promise<void> {
  say(
    'the demo plays that person and promotes step 1 through the operator API, as does: npx tidegate rollout promote ' +
      `${PRODUCT}@${version} --step 1 --reason "the canary is well"`,
  );
  const rollout = rolloutOf(await stage.operator.status(), version);
  const request = { verb: 'promote', reason: 'the canary is well', region: WEST, expectedStep: 0 } as const;
  const reply = await stage.operator.verb(rollout?.id ?? '', request);
  const lane = reply.rollout.lanes.find((one) => one.region === WEST);
  check(reply.changed, 'the promotion is new');
  check(lane?.state === 'open' || lane?.next?.startsWith('promoted by ') === true, `${WEST} is promoted`);
}

/** While it goes out here, nobody in a later wave has it; at the end everybody here does. */
async function regionCompletes(
  stage: Stage,
  version: string,
  before: string,
  region: RegionName,
): Promise<StatusReply> {
  const later = REGIONS.slice(REGIONS.indexOf(region) + 1);
  const status = await stage.until(
    `${region} has completed ${version}`,
    STEP_SECONDS,
    (one) => laneOf(one, version, region)?.state === 'completed',
    (one) => {
      if (laneOf(one, version, region)?.state === 'completed') return;
      untouched(stage, one, version, later);
      allRun(
        stage,
        stage.agents.filter((agent) => later.includes(agent.region)),
        before,
      );
    },
  );
  const here = stage.agents.filter((agent) => agent.region === region);
  allRun(stage, here, version);
  check(
    isDeepEqual(laneOf(status, version, region)?.attempts, { succeeded: here.length }),
    `${here.length} attempts at ${version} in ${region}, all succeeded`,
  );
  check(
    stage.mirrors.servedBy(region, version).downloads === here.length,
    `each agent in ${region} has fetched ${version} from its mirror`,
  );
  return status;
}

/** Its turn has come, but its mirror lacks the file: held, until the mirror has caught up. */
async function laggingMirror(stage: Stage, say: Say, version: string, artifact: BuiltArtifact): Promise<void> {
  const isHeld = (status: StatusReply) => laneOf(status, version, EUROPE)?.hold?.reason === 'not_available';
  const held = await stage.until(`${EUROPE} is held as not_available`, 20, isHeld);
  say(`${EAST} is completed, ${EUROPE} is held: ${heldFor(laneOf(held, version, EUROPE))}`);
  const { availability } = await stage.operator.availability({ product: PRODUCT, version });
  const rows = availability.filter((row) => row.platform === PLATFORM);
  const said = rows.map((row) => `${row.region} ${row.status}`).toSorted();
  check(
    isDeepEqual(said, [`${EUROPE} absent`, `${EAST} available`, `${WEST} available`]),
    `of ${version} is known: ${said}`,
  );
  const from = performance.now();
  await stage.until(
    `${EUROPE} stays held`,
    STEP_SECONDS,
    () => performance.now() - from >= LAG_MS,
    (status) => {
      check(isHeld(status), `${EUROPE} is held`);
      untouched(stage, status, version, [EUROPE]);
    },
  );
  stage.mirrors.put(EUROPE, PRODUCT, version, artifact);
  const opened = await stage.until(`${EUROPE} opens`, 20, (status) => {
    return laneOf(status, version, EUROPE)?.state !== 'waiting';
  });
  const ms = laneOf(opened, version, EUROPE)?.holds.find((one) => one.reason === 'not_available')?.ms ?? 0;
  check(ms >= LAG_MS - 1_000, `${EUROPE} was held as not_available for ${ms} ms`);
  say(
    `its mirror has caught up: the region was held as not_available for ${(ms / 1000).toFixed(1)} s, and nobody there ` +
      'has tried to fetch anything meanwhile',
  );
}

async function brokenRelease(stage: Stage, say: Say, artifact: BuiltArtifact): Promise<void> {
  const version = '1.2.0';
  say('1.2.0 is published, on every mirror; it dies at start');
  stage.publish(version, artifact, REGIONS);
  const others = stage.agents.filter((agent) => agent.name !== CANARY);
  const isHalted = (status: StatusReply) => laneOf(status, version, WEST)?.state === 'halted';
  await stage.until('1.2.0 is halted', STEP_SECONDS, isHalted, () => allRun(stage, others, '1.1.0'));
  const seen = await stage.until('the lanes behind are held as vetoed', 20, (status) => {
    return [EAST, EUROPE].every((region) => laneOf(status, version, region)?.hold?.reason === 'vetoed');
  });
  const lane = laneOf(seen, version, WEST);
  check(isDeepEqual(lane?.attempts, { rolled_back: 1 }), 'one attempt at 1.2.0 in us-west-2, and it was rolled back');
  untouched(stage, seen, version, [EAST, EUROPE]);
  for (const agent of others) {
    check((await attemptsAt(stage, agent, version)).length === 0, `${agent.name} was never offered 1.2.0`);
  }
  allRun(stage, stage.agents, '1.1.0');
  const [fallen] = await attemptsAt(stage, agentNamed(stage, CANARY), version);
  check(fallen?.state === 'rolled_back', 'the attempt of the canary is in the books as rolled back');
  const downloads = REGIONS.reduce((sum, region) => sum + stage.mirrors.servedBy(region, version).downloads, 0);
  check(downloads === 1, `1.2.0 was fetched ${downloads} times in all`);
  say(`1.2.0: only the canary has touched it, and has gone back to 1.1.0 by itself (${fallen?.cause ?? 'no cause'})`);
  say(`${WEST}: ${lane?.sentence}`);
  say(`${EAST} waits: ${heldFor(laneOf(seen, version, EAST))}`);
}

async function fixedRelease(stage: Stage, say: Say, artifact: BuiltArtifact): Promise<void> {
  const version = '1.2.1';
  say('1.2.1 is published; nobody has cleared anything. It goes the same way: canary first');
  stage.publish(version, artifact, REGIONS);
  await canary(stage, say, version, '1.1.0');
  await promote(stage, say, version);
  for (const region of REGIONS) {
    await regionCompletes(stage, version, '1.1.0', region);
    say(`${region} is completed`);
  }
  const status = await everywhere(stage, version);
  const broken = rolloutOf(status, '1.2.0');
  check(broken?.state === 'superseded', '1.2.0 is superseded');
  check(
    isDeepEqual(
      broken.lanes.map((lane) => [lane.region, lane.state, lane.attempts]),
      REGIONS.map((region) => [region, 'superseded', region === WEST ? { rolled_back: 1 } : {}]),
    ),
    'the outcome of 1.2.0 stays in the books',
  );
  say('1.2.1: all eight agents have it; 1.2.0 is superseded, its outcome stays in the books');
}

async function newcomer(stage: Stage, say: Say, first: BuiltArtifact): Promise<void> {
  const version = '1.2.1';
  say('a ninth host enrols late, in eu-west-1, with 1.0.0; every rollout is over');
  const late = await stage.addAgent(LATE, first);
  const status = await stage.until(`the ninth agent has proven ${version}`, STEP_SECONDS, async ({ agents }) => {
    if (agents.present <= HOSTS.length) return false;
    const [newest] = (await stage.operator.explain(LATE.name)).history;
    return newest?.version === version && newest.state === 'succeeded';
  });
  allRun(stage, stage.agents, version);
  const { history } = await stage.operator.explain(LATE.name);
  check(history.length === 1, `${late.name} went to ${version} in one attempt, not over 1.1.0`);
  // Nobody who comes later counts in the rollout: the region's baseline lane is another.
  check(isDeepEqual(laneOf(status, version, EUROPE)?.attempts, { succeeded: 2 }), 'the rollout is left as it was');
  say(
    `${version} is the baseline of its region since the rollout has completed there: the ninth agent is brought to it`,
  );
}

/** Eight agents took 1.1.0 and 1.2.1, the canary 1.2.0, the ninth 1.2.1: none of it came from the server. */
function tellMirrors(stage: Stage, say: Say): void {
  const told = REGIONS.map((region) => {
    const { downloads, bytes } = stage.mirrors.servedBy(region);
    return { downloads, text: `${region}'s gave out ${downloads} files (${(bytes / 1e6).toFixed(1)} MB)` };
  });
  check(
    isDeepEqual(
      told.map(({ downloads }) => downloads),
      [7, 6, 5],
    ),
    'every download came from the region’s mirror',
  );
  say(`the mirrors: ${told.map(({ text }) => text).join(', ')}; the server itself none`);
}

async function everywhere(stage: Stage, version: string): Promise<StatusReply> {
  const isDone = (status: StatusReply) => rolloutOf(status, version)?.state === 'completed';
  const status = await stage.until(`${version} is completed`, STEP_SECONDS, isDone);
  allRun(stage, stage.agents, version);
  return status;
}

/** Nobody in these regions has been offered the release, and nobody has fetched it. */
function untouched(stage: Stage, status: StatusReply, version: string, regions: readonly RegionName[]): void {
  for (const region of regions) {
    const lane = laneOf(status, version, region);
    if (lane === undefined) continue;
    check(lane.state === 'waiting', `${region} waits, it is ${lane.state}`);
    check(isDeepEqual(lane.attempts, {}), `nobody in ${region} was offered ${version}`);
    check(stage.mirrors.servedBy(region, version).downloads === 0, `nobody in ${region} has fetched ${version}`);
  }
}

async function attemptsAt(stage: Stage, agent: DemoAgent, version: string) {
  const { history } = await stage.operator.explain(agent.name);
  return history.filter((attempt) => attempt.version === version);
}

function allRun(stage: Stage, agents: readonly DemoAgent[], version: string): void {
  for (const agent of agents) {
    const current = stage.currentOf(agent);
    check(current === version, `${agent.name} runs from ${current}, wanted ${version}`);
  }
}

function agentNamed(stage: Stage, name: string): DemoAgent {
  const found = stage.agents.find((agent) => agent.name === name);
  if (found === undefined) throw new Error(`assertion failed: ${name} is on the stage`);
  return found;
}

function heldFor(lane: LaneView | undefined): string {
  return lane?.hold?.sentence ?? 'for no reason that is known';
}

function check(condition: boolean, what: string): asserts condition {
  if (!condition) throw new Error(`seen otherwise: ${what}`);
}

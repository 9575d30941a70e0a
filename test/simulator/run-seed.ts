// One seed, one history: builds the world, lets it run with its faults, then calmly to the end, and checks all the way.
import semver from 'semver';
import { AppError } from '../../src/errors.ts';
import type { RunningProduct } from '../../src/protocol/agent.ts';
import { createAims } from './aims.ts';
import { createApprovers } from './approvers.ts';
import { type AuditRow, type Books, createReader } from './books.ts';
import { checkAcknowledged, checkAtEnd, checkDearly } from './dear-promises.ts';
import { createFaults } from './faults.ts';
import { createFleet, type Fleet, type Member } from './fleet.ts';
import { createGithub, type Github } from './github.ts';
import { noteHold, noteMarks } from './happenings.ts';
import { createMarks, type MarkCounts } from './marks.ts';
import { createMetricsRound } from './metrics.ts';
import { applyRow, newModel } from './model.ts';
import { createNetwork } from './network.ts';
import { createOperators, type Operators } from './operators.ts';
import { createPins, type Pins } from './pins.ts';
import { COMMIT_PROMISES, type Facts, ROW_PROMISES } from './promises.ts';
import { randomOf } from './random.ts';
import { planRestores } from './restores.ts';
import { createRivals } from './rivals.ts';
import { drawSeed, type SeedPlan, type Story, unhindered } from './seed-plan.ts';
import { createServer, type SimServer } from './server.ts';
import { couldStandIn, runStory } from './stories.ts';
import { themeOf } from './themes.ts';
import { createTrace } from './trace.ts';
import { createUnenrolments, type Unenrolments } from './unenrolments.ts';
import { createVirtualTime } from './virtual-time.ts';
import { disagreement } from './window-edges.ts';
import { newTruth, releaseKey, type World } from './world.ts';

export interface SeedResult {
  seed: number;
  /** Undefined when every promise was kept. */
  broken: { promise: string; sentence: string } | undefined;
  hash: string;
  messages: number;
  virtualHours: number;
  cpuMs: number;
  marks: MarkCounts;
  tail: string[];
}

export const MAX_MESSAGES = 1500;
/** Beyond these messages the faults end, so that there are enough left for the end. */
const CALM_MESSAGES = 600;
const DEAR_EVERY = 12;
export const OVER_HTTP_EVERY = 10;

/** One seed in nine tells of L2, one of L4. */
function storyOf(seed: number): Story {
  if (seed % 9 === 4) return 'undisturbed';
  return seed % 9 === 8 ? 'a_fifth_gone' : 'faulty';
}

export async function runSeed(seed: number, print?: (line: string) => void): Promise<SeedResult> {
  const startedAt = process.cpuUsage();
  const random = randomOf(seed);
  const overHttp = seed % OVER_HTTP_EVERY === 0;
  const story = storyOf(seed);
  const plan = drawSeed(random.fork('plan'), overHttp, story, themeOf(seed, overHttp, story));
  const time = createVirtualTime(plan.overHttp ? 12 : 1);
  const restoreTimers = time.takeOverTimers();
  const trace = createTrace(print);
  const marks = createMarks();
  const truth = newTruth();
  let broken: SeedResult['broken'];
  let ids = 0;
  const idRandom = random.fork('ids');
  const world: World = {
    seed,
    plan,
    random,
    time,
    trace,
    marks,
    truth,
    newId() {
      ids += 1;
      const at = ids.toString(16).padStart(12, '0');
      const rest = idRandom.hex(18);
      return `${at.slice(0, 8)}-${at.slice(8)}-7${rest.slice(0, 3)}-8${rest.slice(3, 6)}-${rest.slice(6)}`;
    },
    say: (text) => trace.line(time.now(), text),
    broken(promise, sentence) {
      if (broken !== undefined) return;
      broken = { promise, sentence };
      world.say(`BROKEN ${promise}: ${sentence}`);
    },
  };
  const server = await createServer(world);
  try {
    await history(world, server, () => broken !== undefined);
  } catch (error) {
    world.broken('D0', `the simulator or the engine throws: ${(error as Error).stack}`);
  } finally {
    restoreTimers();
    await server.close();
  }
  const cpu = process.cpuUsage(startedAt);
  return {
    seed,
    broken,
    hash: trace.hash(),
    messages: truth.messages,
    virtualHours: time.now() / 3_600_000,
    cpuMs: (cpu.user + cpu.system) / 1000,
    marks: marks.counts(),
    tail: trace.tail(broken === undefined ? 5 : 60),
  };
}

interface Parts {
  world: World;
  server: SimServer;
  github: Github;
  fleet: Fleet;
  operators: Operators;
  pins: Pins;
  unenrolments: Unenrolments;
}

async function history(world: World, server: SimServer, isBroken: () => boolean): Promise<void> {
  const { plan, time, truth, marks } = world;
  const network = createNetwork(world);
  const github = createGithub(world, server);
  const fleet = createFleet({ world, server, network, github });
  const operators = createOperators(world, server, github);
  const pins = createPins(world, server, fleet);
  const unenrolments = createUnenrolments(world, server, fleet);
  const approvers = createApprovers(world, server);
  const faults = createFaults({ world, server, network, fleet });
  const parts: Parts = { world, server, github, fleet, operators, pins, unenrolments };
  const check = createChecks(parts);
  const random = world.random.fork('story');
  let ticks = 0;

  const metrics = createMetricsRound(world, server);
  const edges = random.fork('edges');
  for (const calendar of plan.settings.calendars) {
    if (calendar.windows.allow.length + calendar.windows.deny.length > 0) marks.hit('window_edges_compared');
    const found = disagreement(calendar, plan.settings.freezes, plan.startAt, edges);
    if (found !== undefined) world.broken('C3', found);
  }
  await server.start();
  for (const product of plan.productNames) await github.publish(product, '1.0.0', 'good', true);
  for (let agent = 0; agent < plan.agents; agent += 1) void fleet.enrol('1.0.0');
  every(
    world,
    plan.tickMs,
    () => true,
    () => void tick(),
  );
  if (plan.story !== 'faulty') {
    const run = { until, isBroken, isConverged: () => isConverged(parts), whatIsStuck: () => whatIsStuck(parts) };
    await runStory({ ...parts, onRow: (listen) => check.listen(listen) }, plan.story, run);
    if (!isBroken()) await check.atEnd();
    return;
  }
  every(
    world,
    plan.githubEveryMs,
    () => !truth.calm,
    () => void githubMoves(),
  );
  // A world has something to do soon.
  time.after(plan.tickMs, () => void publishFirst());
  every(
    world,
    plan.githubEveryMs * 1.5,
    () => !truth.calm,
    // Of consent to certain files too little would be left.
    () => void (plan.theme === 'consent' ? undefined : github.arrive()),
  );
  every(
    world,
    plan.operatorEveryMs * 2,
    () => !truth.calm,
    () => void pins.act(),
  );
  every(
    world,
    plan.operatorEveryMs * 4,
    () => !truth.calm,
    () => void unenrolments.act(),
  );
  every(
    world,
    plan.operatorEveryMs / 2,
    () => !truth.calm,
    () => void (plan.theme === 'consent' ? undefined : approvers.act().catch(bug)),
  );
  every(
    world,
    plan.operatorEveryMs,
    () => !truth.calm,
    () => void operators.act().catch(bug),
  );
  every(
    world,
    plan.faultEveryMs,
    () => !truth.calm,
    () => faults.strike(),
  );
  const rivals = createRivals(world, server);
  if (plan.dual.takeOverEveryMs !== null)
    every(
      world,
      plan.dual.takeOverEveryMs,
      () => !truth.calm,
      () => rivals.strike(),
    );
  planRestores({ ...parts, keep: check.keep });
  if (isClockChangeNear(plan)) marks.hit('on_a_day_when_clocks_change');

  await until(() => time.now() >= plan.calmAt || truth.messages >= CALM_MESSAGES);
  // A server that stands still answers nothing.
  await until(() => time.now() >= server.pausedUntil());
  if (isBroken()) return;
  await calm(parts, () => network.mend());
  // Longer than anything takes that still goes on by itself.
  const idleMs = 90 * 60_000 * plan.scale;
  const calmSince = time.now();
  let isOver = false;
  let newcomers = plan.theme === 'latecomers' ? 1 : 0;
  while (!isOver && !isBroken()) {
    if (time.now() - Math.max(check.lastNewsAt(), calmSince) > idleMs) {
      world.broken('L5', `the fix has not reached everyone: ${await whatIsStuck(parts)}`);
      return;
    }
    if (truth.messages >= MAX_MESSAGES) {
      marks.hit('ran_out_of_messages');
      return;
    }
    const next = time.now() + 5 * 60_000 * plan.scale;
    await until(() => time.now() >= next || truth.messages >= MAX_MESSAGES);
    if (isBroken()) return;
    await operators.liftAll();
    await operators.approve();
    isOver = await isConverged(parts);
    if (!isOver || newcomers === 0) continue;
    // Who comes when everything is over is brought to what the others run.
    newcomers -= 1;
    isOver = false;
    marks.hit('newcomer_after_the_end');
    const before = fleet.members.length;
    await fleet.enrol('1.0.0');
    await until(() => fleet.members.length > before);
  }
  if (isBroken()) return;
  marks.hit('fix_reached_everyone');
  await check.atEnd();

  async function until(done: () => boolean): Promise<void> {
    while (!done() && !isBroken()) {
      if (!(await time.step())) return;
      if (server.afterEvent()) await check.afterCommit();
    }
  }

  async function tick(): Promise<void> {
    if (time.now() < server.pausedUntil()) return;
    ticks += 1;
    server.tickRival();
    await server.plan().catch(bug);
    await metrics.round().catch(bug);
    if (ticks % 4 === 0) await server.flush().catch(bug);
  }

  async function githubMoves(): Promise<void> {
    const what = random.weighted([
      [5, 'publish'],
      [3, 'availability'],
      [1, 'spoil'],
      [1.5, 'enrol'],
    ] as const);
    if (what === 'availability') return await github.changeAvailability();
    if (what === 'spoil') return await github.spoil();
    if (what === 'enrol') return fleet.members.length < 9 ? await fleet.enrol('1.0.0') : undefined;
    await publishSome();
  }

  /** A theme needs a release that goes out. */
  async function publishFirst(): Promise<void> {
    if (plan.theme === 'none') return await publishSome();
    for (const product of plan.productNames) await github.publish(product, github.nextVersion(product), 'good', true);
  }

  async function publishSome(): Promise<void> {
    const product = random.pick(plan.productNames);
    const quality = random.weighted([
      [50, 'good'],
      [12, 'crashes'],
      [8, 'crashes_on_some'],
      [6, 'crashes_in_one_region'],
      [5, 'crashes_late'],
      [6, 'cannot_reach_server'],
      [5, 'unhealthy'],
      [5, 'download_fails'],
      [3, 'selftest_fails'],
    ] as const);
    await github.publish(product, github.nextVersion(product), quality, false);
  }

  function bug(error: unknown): void {
    if (!(error instanceof AppError)) world.broken('D0', `planning meets a bug: ${(error as Error).stack}`);
  }
}

/** Again and again at about that distance, drawn anew each time. */
function every(world: World, ms: number, isOn: () => boolean, run: () => void): void {
  const random = world.random.fork(`every ${ms} ${run.toString().length}`);
  const next = () => {
    world.time.after(ms * (0.5 + random.next()), () => {
      if (!isOn()) return;
      run();
      next();
    });
  };
  next();
}

/** Nothing goes wrong any more, but for a fifth of the fleet that never comes back; then a good release appears. */
async function calm(parts: Parts, mendNetwork: () => void): Promise<void> {
  const { world, server, fleet, github, operators, pins, unenrolments } = parts;
  const { truth, plan, time, marks } = world;
  const random = world.random.fork('calm');
  truth.calm = true;
  mendNetwork();
  await server.endRival(true);
  world.say('calm');
  if (!server.clockIsRight()) server.stepClock(plan.startAt + time.now() - server.wallNow());
  // Whom a person has taken out is taken out again where a restore has forgotten it.
  const left = fleet.members.filter(({ agent }) => !truth.toUnenrol.has(agent.identity.id));
  for (const member of random.shuffle(fleet.members).slice(0, Math.floor(fleet.members.length / 5))) {
    // Where nobody is left who could give evidence, a lane is held until a person decides.
    if (!random.chance(60) || !left.some((other) => couldStandIn(other, member))) continue;
    marks.hit('a_fifth_never_came_back');
    member.gone = true;
    member.agent.powerOff();
  }
  for (const member of fleet.members) {
    member.lies = false;
    member.clone?.powerOff();
    member.clone = undefined;
    if (!member.gone && !member.dark) member.agent.powerOn();
  }
  const { db } = server.database;
  const vetoed = await db.selectFrom('vetoes').select(['product', 'version']).execute();
  // What is still going out may be vetoed yet.
  const going = await db.selectFrom('rollouts').select(['product', 'version']).where('ended_at', 'is', null).execute();
  server.settings = unhindered(server.settings, (product, version) => {
    const release = truth.releases.get(releaseKey(product, version));
    const isInDoubt = [...vetoed, ...going].some((one) => one.product === product && one.version === version);
    const isWhole = plan.platforms.every((platform) => release?.digests.has(platform));
    return release?.quality === 'good' && !release.gone && !isInDoubt && isWhole;
  });
  server.restart(1000);
  await operators.liftAll();
  await github.availableEverywhere();
  // Who has gone in the middle of a step of one is what a person must decide about: the fix comes once they are known to be gone.
  // Nothing is observed while the clock is doubted, which the step to the right time has brought about.
  const trust = { actor: 'dana', reason: 'it is right now' };
  time.after(210_000, () => void server.call((engine) => engine.operator.trustClock(trust)).catch(() => {}));
  time.after(Math.max(16 * 60_000, 4 * 60_000 * plan.scale), () => void publishFix());

  async function publishFix(): Promise<void> {
    // Whoever is pinned while a release goes out stays behind it: nobody is, when the fix does.
    if (!(await pins.liftAll()) || !(await unenrolments.repeat())) {
      time.after(60_000, () => void publishFix());
      return;
    }
    for (const product of plan.productNames) await github.publish(product, github.nextVersion(product), 'good', true);
    truth.fixed = true;
  }
}

const FOR_WANT_OF_AGENTS = ['silent', 'too_few_successes', 'no_agents', 'inconclusive'];

async function isConverged({ world, server, fleet, github }: Parts): Promise<boolean> {
  if (!server.isUp() || !world.truth.fixed) return false;
  const underWay = await server.database.db
    .selectFrom('lanes')
    .leftJoin('lane_holds', (join) => join.onRef('lane_id', '=', 'lanes.id').on('ended_at', 'is', null))
    .select(['lane_holds.reason'])
    .where('kind', '=', 'rollout')
    .where('state', 'in', ['open', 'soaking', 'approval', 'paused', 'rolling_back'])
    .execute();
  // What waits for agents that never come back stays held with that reason.
  if (underWay.some(({ reason }) => reason === null || !FOR_WANT_OF_AGENTS.includes(reason))) return false;
  const hot = await server.database.db.selectFrom('attempts').select('id').where('live', '=', 1).executeTakeFirst();
  if (hot !== undefined) return false;
  return fleet.members.every(
    (member) =>
      member.gone ||
      member.agent
        .running()
        .every((one) => one.version === github.versions(one.product).at(-1) || standsBefore(one, member)),
  );

  /** At a floor from which this host has gone back before: it takes that again only when a person says so. */
  function standsBefore({ product, version }: RunningProduct, { agent }: Member): boolean {
    const skipped = agent.disk.slots.get(product)?.skipped ?? new Set();
    const floors = server.settings.products.find(({ name }) => name === product)?.floors ?? [];
    return floors.some(
      (floor) =>
        semver.gt(floor.version, version) && skipped.has(github.digestOf(product, floor.version, agent.platform())),
    );
  }
}

async function whatIsStuck({ server, fleet, github }: Parts): Promise<string> {
  const first = fleet.members.find(
    ({ agent, gone }) =>
      !gone && agent.running().some(({ product, version }) => version !== github.versions(product).at(-1)),
  );
  const explained = first === undefined ? [] : await server.engine()?.operator.explain(first.agent.identity.id);
  const behind = fleet.members
    .filter(({ agent }) => agent.running().some(({ product, version }) => version !== github.versions(product).at(-1)))
    .map(
      ({ agent, gone }) =>
        `${agent.identity.name} in ${agent.identity.region} runs ${agent
          .running()
          .map((one) => one.version)
          .join('+')}${gone ? ' (gone)' : ''}${agent.isOn() ? '' : ' (off)'}`,
    );
  const { db } = server.database;
  const lanes = await db
    .selectFrom('lanes')
    .innerJoin('rollouts', 'rollouts.id', 'lanes.rollout_id')
    .select(['lanes.region', 'lanes.state', 'rollouts.version', 'lanes.kind'])
    .where('rollouts.ended_at', 'is', null)
    .execute();
  const holds = await db.selectFrom('lane_holds').select('sentence').where('ended_at', 'is', null).execute();
  const live = await db.selectFrom('attempts').select(['state', 'version']).where('live', '=', 1).execute();
  return JSON.stringify({
    behind,
    lanes: lanes.map((one) => `${one.kind} ${one.version} ${one.region} ${one.state}`),
    holds: holds.map((one) => one.sentence),
    productHolds: server
      .engine()
      ?.operator.productHolds()
      .map((one) => one.sentence),
    live,
    told: explained?.map(({ product, sentence }) => `${product}: ${sentence}`),
  });
}

function isClockChangeNear({ startAt, scale, settings }: SeedPlan): boolean {
  if (scale < 20) return false;
  return settings.calendars.some(({ timeZone }) => {
    const offset = (at: number) =>
      new Intl.DateTimeFormat('en', { timeZone, timeZoneName: 'longOffset' })
        .formatToParts(at)
        .find(({ type }) => type === 'timeZoneName')?.value;
    return offset(startAt) !== offset(startAt + 36 * 3_600_000);
  });
}

function createChecks(parts: Parts) {
  const { world, server, fleet } = parts;
  const { truth, time } = world;
  const model = newModel();
  const reader = createReader(() => server.database, server.isWritten);
  const aims = createAims(parts);
  const listeners: ((row: AuditRow) => void)[] = [];
  let commits = 0;
  let starts = 0;
  let newsAt = 0;

  function factsOf(books: Books): Facts {
    return {
      books,
      model,
      truth,
      now: time.now(),
      settings: server.inForce(),
      isUp: server.isUp() && time.now() >= server.pausedUntil(),
      siteOf: (agentId, label) => fleet.members.find(({ agent }) => agent.identity.id === agentId)?.labels[label],
    };
  }

  function filesOf(product: string, version: string): number {
    return truth.releases.get(releaseKey(product, version))?.digests.size ?? 0;
  }

  async function afterCommit(): Promise<void> {
    const books = await reader.read();
    server.forgetWritten();
    const facts = factsOf(books);
    if (books.news.length > 0) newsAt = time.now();
    for (const row of books.news) {
      for (const promise of ROW_PROMISES) {
        const objection = promise.onRow(facts, row);
        if (objection !== undefined) return world.broken(promise.name, objection);
      }
      world.say(`  ${row.action} ${JSON.stringify(row.data).slice(0, 120)}`);
      noteMarks(world.marks, books, model, row);
      aims.onRow(row, books);
      for (const listen of listeners) listen(row);
      applyRow(model, row, books, { now: time.now(), observable: truth.observableMs, filesOf });
    }
    for (const promise of COMMIT_PROMISES) {
      const objection = promise.onCommit(facts);
      if (objection !== undefined) return world.broken(promise.name, objection);
    }
    model.silent = new Set([...books.holds].flatMap(([id, reason]) => (reason === 'silent' ? [id] : [])));
    for (const reason of books.holds.values()) noteHold(world.marks, reason);
    for (const { reason } of server.engine()?.operator.productHolds() ?? []) {
      noteHold(world.marks, reason);
      if (reason === 'needs_approval') world.marks.hit('held_for_a_person_to_begin');
    }
    if (truth.starts !== starts) {
      if (starts > 0) world.marks.hit('looked_after_crash');
      starts = truth.starts;
      note(await checkAcknowledged({ world, server, fleet, model }));
    }
    commits += 1;
    if (commits % DEAR_EVERY === 0) note(await checkDearly({ world, server, fleet, model }));
  }

  function note(found: [string, string] | undefined): void {
    if (found !== undefined) world.broken(...found);
  }

  return {
    afterCommit,
    lastNewsAt: () => newsAt,
    listen: (listener: (row: AuditRow) => void) => void listeners.push(listener),
    /** What is known of the database as it is now; the result forgets what has come after. */
    keep() {
      const kept = structuredClone(model);
      const at = reader.at();
      return () => {
        Object.assign(model, structuredClone(kept));
        reader.goTo(at);
      };
    },
    async atEnd(): Promise<void> {
      note(await checkDearly({ world, server, fleet, model }));
      // To look has planned, which may have booked something.
      await afterCommit();
      note(await checkAtEnd({ world, server, fleet, model }));
    },
  };
}

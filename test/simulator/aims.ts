// What goes wrong, or is done by people, at the worst moment: set off by what was just committed, as the seed's theme says.
import { AppError } from '../../src/errors.ts';
import type { AuditRow, Books, LaneRow } from './books.ts';
import type { Fleet } from './fleet.ts';
import type { Github } from './github.ts';
import type { Operators } from './operators.ts';
import type { Random } from './random.ts';
import { CRASH_MARKS, type SimServer } from './server.ts';
import type { Theme } from './themes.ts';
import type { World } from './world.ts';

export interface AimParts {
  world: World;
  server: SimServer;
  github: Github;
  fleet: Fleet;
  operators: Operators;
}

interface Moment extends AimParts {
  random: Random;
  row: AuditRow;
  lane: LaneRow | undefined;
  books: Books;
  /** Virtual milliseconds of one second of an agent. */
  unit: number;
  /** Later, unless the faults have ended by then. */
  after(ms: number, run: () => void): void;
}

const SECOND = 1000;
const MINUTE = 60_000;
const HOUR = 3_600_000;
/** So often, in one world. */
const MOST = 8;

type Aim = (moment: Moment) => boolean;

const AIMS: Record<Theme, Aim> = {
  none: () => false,
  consent,
  stops,
  ceilings,
  doubt,
  crashes,
  restarts,
  windows: () => false,
  overtaken,
  latecomers,
};

export function createAims(parts: AimParts): { onRow(row: AuditRow, books: Books): void } {
  const { world } = parts;
  const { plan, truth, time } = world;
  const random = world.random.fork('aims');
  const aim = AIMS[plan.theme];
  let taken = 0;
  const after = (ms: number, run: () => void) => {
    time.after(ms, () => {
      if (!truth.calm) run();
    });
  };
  return {
    onRow(row, books) {
      if (truth.calm || taken >= MOST) return;
      const attempt = books.attempts.get(row.subject);
      const lane = books.lanes.get(attempt?.lane_id ?? row.subject);
      const unit = plan.scale * SECOND;
      if (aim({ ...parts, random, row, books, lane, unit, after })) taken += 1;
    },
  };
}

/** Two must agree. One does so twice, or both do and then a file arrives, or the lane is halted and tried again. */
function consent(moment: Moment): boolean {
  const { world, github, random, row, lane, unit, after } = moment;
  if (lane?.kind !== 'rollout') return false;
  if (row.action === 'step.opened') {
    const step = Number(row.data['step']);
    const isAlone = random.chance(40);
    after(random.between(5, 60) * unit, () => void say(moment, lane, 'approve', 'dana', step));
    after(random.between(61, 120) * unit, () => {
      if (isAlone) world.marks.hit('one_person_approved_twice');
      void say(moment, lane, 'approve', isAlone ? 'dana' : 'erik', step);
    });
    return true;
  }
  if (row.action !== 'lane.approved' && row.action !== 'lane.promoted') return false;
  if (row.actor !== 'erik') return false;
  if (random.chance(50)) {
    world.marks.hit('file_arrived_after_approval');
    after(random.between(1, 20) * unit, () => void github.arrive(lane));
    return false;
  }
  world.marks.hit('retried_after_approval');
  const halted = random.between(1, 20) * unit;
  after(halted, () => void say(moment, lane, 'halt', 'dana', null));
  after(halted + random.between(1, 60) * unit, () => void say(moment, lane, 'retry', 'dana', null));
  return false;
}

/** In the middle of a soak everything stands still for a while. */
function stops(moment: Moment): boolean {
  const { world, server, operators, random, row, lane, after } = moment;
  const soakMs = row.action === 'step.done' ? (lane?.policy.steps[Number(row.data['step'])]?.soakMs ?? 0) : 0;
  if (lane?.kind !== 'rollout' || soakMs === 0) return false;
  const from = Math.floor(soakMs * (0.1 + 0.4 * random.next()));
  const forMs = Math.floor(soakMs * (0.6 + 0.6 * random.next()));
  const way = random.pick(['pause', 'brake', 'stand still', 'stand still'] as const);
  if (way === 'stand still') {
    after(from, () => {
      world.marks.hit('stood_still_in_a_soak');
      world.say(`server: stands still for ${Math.round(forMs / 1000)} s`);
      server.pause(forMs);
    });
  } else if (way === 'pause') {
    after(from, () => {
      world.marks.hit('paused_in_a_soak');
      void say(moment, lane, 'pause', 'dana', null);
    });
    after(from + forMs, () => void say(moment, lane, 'resume', 'dana', null));
  } else {
    const scope = random.pick(['fleet', `product:${lane.product}`, `region:${lane.region}`]);
    after(from, () => {
      world.marks.hit('braked_in_a_soak');
      void operators.brake(scope, true);
    });
    after(from + forMs, () => void operators.brake(scope, false));
  }
  return true;
}

/** The clock is put forward past the end of a ceiling that is full, and back later. */
function ceilings({ world, server, fleet, random, row, after }: Moment): boolean {
  if (row.action !== 'attempt.granted' || !random.chance(40)) return false;
  const ms = random.pick([HOUR, 2 * HOUR, 24 * HOUR]);
  const at = random.between(1, 10) * MINUTE;
  after(at, () => {
    world.marks.hit('clock_put_forward_at_a_ceiling');
    step(world, server, ms);
  });
  // Whoever gets ready by the new time asks for a grant that has to be counted.
  for (const later of [6, 10])
    if (fleet.members.length < MOST_HOSTS) after(at + later * MINUTE, () => void fleet.enrol('1.0.0'));
  after(at + random.between(20, 45) * MINUTE, () => step(world, server, -ms));
  return true;
}

/** The clock jumps while somebody gets ready who will ask to swap at once, or is the last that a step waits for. */
function doubt({ world, server, random, row, unit, after }: Moment): boolean {
  const isNear = row.action === 'attempt.offered' || row.action === 'attempt.granted';
  if (!isNear || !random.chance(50)) return false;
  const ms = random.pick([HOUR, -HOUR, 10 * MINUTE]);
  after(random.between(0, 12) * unit, () => {
    world.marks.hit('clock_jumped_before_a_grant');
    step(world, server, ms);
    server.plan().catch(() => {});
  });
  for (const seconds of [30, 50]) after(seconds * unit, () => void server.plan().catch(() => {}));
  after(random.between(6, 12) * MINUTE, () => step(world, server, -ms));
  return true;
}

/** The server dies over the next batch, in which somebody is offered something, or is allowed to swap; or that host dies. */
function crashes({ world, server, random, row, unit }: Moment): boolean {
  // Long enough to be booked as lost, and then it tells how it ended.
  if (row.action === 'attempt.granted' && random.chance(30)) world.truth.darkForMs = random.between(20, 35) * 60 * unit;
  if (!['step.opened', 'attempt.staged', 'attempt.offered'].includes(row.action) || !random.chance(50)) return false;
  world.marks.hit('crash_aimed_at_a_batch');
  if (random.chance(70)) server.crashAtMark(random.pick(LEDGER_MARKS));
  else server.crashAtQuery(random.between(5, 40));
  return true;
}

const LEDGER_MARKS = ['ledger.written', 'ledger.written', ...CRASH_MARKS.filter((name) => name.startsWith('ledger.'))];

/** The server is away for a moment while some of a step wait for their turn, and plans before all have come by again. */
function restarts({ world, server, random, row, unit, after }: Moment): boolean {
  if (row.action !== 'step.opened') return false;
  const at = random.between(10, 240) * unit;
  const downMs = random.pick([0, 5 * SECOND, 30 * SECOND]);
  after(at, () => {
    world.marks.hit('restarted_in_a_step');
    if (random.chance(50)) server.crash(downMs);
    else server.restart(downMs);
  });
  for (const seconds of [5, 20, 40]) after(at + downMs + seconds * unit, () => void server.plan().catch(() => {}));
  return true;
}

/** Offers of the last product do not come through until one of the first has been taken. */
function overtaken({ world, github, random, row, books, unit, after }: Moment): boolean {
  const { productNames } = world.plan;
  if (row.action !== 'step.opened' || books.lanes.get(row.subject)?.product !== productNames.at(-1)) return false;
  world.truth.loseOffersUntil = world.time.now() + random.between(4, 6) * 60 * unit;
  const product = productNames[0] as string;
  after(random.between(30, 90) * unit, () => void github.publish(product, github.nextVersion(product), 'good', true));
  return true;
}

/** New hosts come while a step is open, and after the last. */
function latecomers({ fleet, random, row, unit, after }: Moment): boolean {
  if (!['step.opened', 'lane.completed'].includes(row.action) || fleet.members.length >= MOST_HOSTS) return false;
  after(random.between(5, 120) * unit, () => void fleet.enrol('1.0.0'));
  return true;
}

const MOST_HOSTS = 11;

function step(world: World, server: SimServer, ms: number): void {
  world.say(`clock: steps by ${ms / SECOND} s`);
  server.stepClock(ms);
}

/** What is refused was not possible any more: the lane has moved on. */
async function say(
  { world, server }: AimParts,
  lane: LaneRow,
  verb: 'approve' | 'halt' | 'retry' | 'pause' | 'resume',
  actor: string,
  expectedStep: number | null,
): Promise<void> {
  const options = { verb, region: lane.region, expectedStep, vetoRelease: false, actor, reason: 'aimed' } as const;
  try {
    const changed = await server.call((engine) => engine.operator.verb(lane.rollout_id, options));
    world.say(`operator: ${actor}, ${verb} in ${lane.region} → ${changed}`);
  } catch (error) {
    if (!(error instanceof AppError)) world.broken('D0', `${verb} meets a bug: ${(error as Error).stack}`);
  }
}

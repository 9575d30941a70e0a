// The server under test: the real engine on a real database, which can be crashed between any two of its effects.
import type { QueryExecutor } from 'kysely';
import { pino } from 'pino';
import type { AgentReport } from '../../src/domain/agent.ts';
import type { CheckInResult } from '../../src/domain/check-in.ts';
import type { Clock } from '../../src/engine/clock.ts';
import { type Engine, openEngine } from '../../src/engine/engine.ts';
import { AppError } from '../../src/errors.ts';
import { type Database, openDatabase } from '../../src/store/database.ts';
import { DirectAdapter } from '../../src/store/sqlite.ts';
import { type HttpDoor, newServerKeys, type OpenedReply, openHttpDoor } from './http-door.ts';
import type { Settings } from './seed-plan.ts';
import type { World } from './world.ts';

/** One life of the server's process. */
interface Life {
  dead: boolean;
  /** Statements until it crashes; Infinity: never. */
  queriesLeft: number;
  /** Crashes when this instant is reached; null: never. */
  crashAt: string | null;
  /** Whoever waits for an answer when it dies gets none. */
  waiting: Set<(error: AppError) => void>;
  /** The database as this process has it: dead with it. */
  database: Database;
}

export interface SimServer {
  /** Not guarded: reads go past the crash points. */
  readonly database: Database;
  /** For the next start. */
  settings: Settings;
  /** What the running server was started with. */
  inForce(): Settings;
  isUp(): boolean;
  epoch(): number;
  /** Milliseconds since the epoch, as the server's clock has them. */
  wallNow(): number;
  stepClock(ms: number): void;
  clockIsRight(): boolean;
  start(): Promise<void>;
  crash(downMs: number): void;
  crashAtQuery(queries: number): void;
  crashAtMark(mark: string): void;
  /** Stops in good order and starts again. */
  restart(downMs: number): void;
  pause(ms: number): void;
  pausedUntil(): number;
  checkIn(report: AgentReport, waitMs: number, signal: AbortSignal): Promise<CheckInResult>;
  /** Through the real routes. */
  checkInOverHttp(handle: number, body: string, waitMs: number): Promise<OpenedReply>;
  /** Rejects with `unreachable` when it is down or dies meanwhile. */
  call<T>(run: (engine: Engine, database: Database) => Promise<T>): Promise<T>;
  engine(): Engine | undefined;
  plan(): Promise<void>;
  flush(): Promise<void>;
  /** After every event: whether anything may have been committed, and the crash that an event has set off. */
  afterEvent(): boolean;
  close(): Promise<void>;
}

class Crash extends Error {}

/** The marks of the engine at which a crash can be drawn. */
export const CRASH_MARKS = [
  'ledger.begin',
  'ledger.written',
  'ledger.committed',
  'ledger.replying',
  'reconcile.begin',
  'reconcile.committed',
  'reconcile.told',
  'verb.committed',
  'verb.replying',
];

const LOOK_MS = 50_000;
/** Microtasks that a write takes. */
const WRITE_TURNS = 24;

export async function createServer(world: World): Promise<SimServer> {
  const { time, plan, truth } = world;
  const database = await openDatabase('sqlite::memory:');
  let settings = plan.settings;
  let inForce = settings;
  let door: HttpDoor | undefined;
  const keys = plan.overHttp ? newServerKeys() : undefined;
  let engine: Engine | undefined;
  let life: Life | undefined;
  let offsetMs = 0;
  let pausedUntil = 0;
  let stopCreditMs = 0;
  let written = false;
  let closing = false;
  const clock: Clock = {
    now: () => Math.floor(plan.startAt + time.now() + offsetMs),
    monotonic: () => time.now(),
  };

  time.onAdvance((from, to) => {
    if (engine === undefined) return;
    const stopped = Math.max(0, Math.min(to, pausedUntil) - from);
    // Of each stop a minute at most, whatever else happens meanwhile.
    const counted = Math.min(stopped, stopCreditMs);
    stopCreditMs -= counted;
    truth.observableMs += to - from - stopped + counted;
    if (pausedUntil >= to) return;
    // The real server looks at its clock every second; more rarely than once a minute would not count as observed.
    for (let at = Math.max(from, pausedUntil) + LOOK_MS; at < to; at += LOOK_MS) {
      time.peek(at);
      engine.operator.counts();
    }
  });

  function die(): void {
    if (life === undefined || life.dead) return;
    life.dead = true;
  }

  function beforeQuery(mine: Life, kind: string): void {
    if (mine.dead) throw new Crash('the server is dead');
    if (mine === life && kind !== 'SelectQueryNode') written = true;
    mine.queriesLeft -= 1;
    if (mine.queriesLeft > 0) return;
    world.marks.hit('crashed_inside_transaction');
    world.say(`server: dies before a ${kind}`);
    mine.dead = true;
    throw new Crash('the server dies here');
  }

  function atMark(mine: Life, name: string): void {
    if (mine.dead) throw new Crash('the server is dead');
    if (mine.crashAt !== name) return;
    world.marks.hit('crashed_at_mark');
    world.say(`server: dies at ${name}`);
    mine.dead = true;
    throw new Crash('the server dies here');
  }

  async function start(): Promise<void> {
    const mine: Life = {
      dead: false,
      queriesLeft: Number.POSITIVE_INFINITY,
      crashAt: null,
      waiting: new Set(),
      database: guard(database, (kind) => beforeQuery(mine, kind)),
    };
    life = mine;
    closing = false;
    inForce = settings;
    truth.upSinceMs = truth.observableMs;
    truth.startedAt = time.now();
    const write = (line: string) => {
      if (!mine.dead) world.broken('D0', `the engine has logged an error: ${line}`);
    };
    const opened = await openEngine({
      database: mine.database,
      clock,
      logger: pino({ level: 'error' }, { write }),
      newId: () => world.newId(),
      random: () => 0.5,
      products: settings.products,
      regions: plan.regions,
      surroundings: {
        calendars: settings.calendars,
        freezes: settings.freezes,
        limits: settings.limits,
        mirrors: { regions: [], maxAgeMs: 600_000 },
      },
      pollMs: plan.pollMs,
      maxWaitMs: 25_000 * plan.scale,
      mark: (name) => atMark(mine, name),
    });
    if (mine.dead) return;
    if (keys !== undefined) door = await openHttpDoor(opened, mine.database, plan, { keys, clock });
    if (mine.dead) return;
    engine = opened;
    truth.starts += 1;
    written = true;
  }

  /** What a process leaves behind when it ends: nobody gets an answer any more. */
  function bury(downMs: number): void {
    const gone = life;
    engine = undefined;
    life = undefined;
    if (gone !== undefined)
      for (const end of gone.waiting) end(new AppError('unreachable', 'the server has gone away'));
    time.after(downMs, begin);
  }

  function begin(): void {
    world.say('server: starts');
    start().catch((error: unknown) => {
      // Dies again while it starts: somebody starts it once more.
      if (!(error instanceof Crash)) world.broken('D0', `the server does not start: ${(error as Error).stack}`);
    });
  }

  async function call<T>(run: (engine: Engine, database: Database) => Promise<T>): Promise<T> {
    // A process that stands still takes nothing until it goes on.
    if (time.now() < pausedUntil) await new Promise<void>((resolve) => time.at(pausedUntil, resolve));
    const [mine, running] = [life, engine];
    if (mine === undefined || running === undefined || closing) {
      world.marks.hit('server_away');
      throw new AppError('unreachable', 'nobody listens there');
    }
    return await new Promise<T>((resolve, reject) => {
      mine.waiting.add(reject);
      const end = (settle: () => void) => {
        if (mine.dead || !mine.waiting.delete(reject)) return;
        settle();
      };
      run(running, mine.database).then(
        (value) => end(() => resolve(value)),
        (error: unknown) => end(() => reject(error)),
      );
    });
  }

  const server: SimServer = {
    database,
    get settings() {
      return settings;
    },
    set settings(next) {
      settings = next;
    },
    inForce: () => inForce,
    isUp: () => engine !== undefined && !closing,
    engine: () => engine,
    epoch: () => engine?.agents.epoch() ?? 1,
    wallNow: () => clock.now(),
    stepClock(ms) {
      offsetMs += ms;
      if (Math.abs(ms) > 60_000) truth.clockSteppedAt = time.now();
    },
    clockIsRight: () => offsetMs === 0,
    start,
    crash(downMs) {
      if (life === undefined) return;
      die();
      world.marks.hit('server_crashed');
      bury(downMs);
    },
    crashAtQuery(queries) {
      if (life !== undefined) life.queriesLeft = queries;
    },
    crashAtMark(mark) {
      if (life !== undefined) life.crashAt = mark;
    },
    restart(downMs) {
      const [mine, running] = [life, engine];
      if (mine === undefined || running === undefined || closing) return;
      closing = true;
      world.marks.hit('server_restarted');
      running.close().then(
        () => {
          if (life !== mine || mine.dead) return;
          mine.dead = true;
          bury(downMs);
        },
        (error: unknown) => {
          if (!mine.dead) world.broken('D0', `the server does not close: ${(error as Error).stack}`);
        },
      );
    },
    pause(ms) {
      pausedUntil = time.now() + ms;
      stopCreditMs = 60_000;
      time.holdTimers(pausedUntil);
    },
    pausedUntil: () => pausedUntil,
    checkIn: (report, waitMs, signal) => call((running) => running.agents.checkIn(report, waitMs, signal)),
    checkInOverHttp: (handle, body, waitMs) =>
      call(() => {
        if (door === undefined) throw new Error('no door was opened');
        return door.checkIn(handle, body, waitMs);
      }),
    call,
    plan: () => call((running) => running.plan()),
    flush: () => call((running) => running.flush()),
    afterEvent() {
      if (life?.dead === true) {
        world.marks.hit('server_crashed');
        bury(world.random.between(0, 120) * 1000);
      }
      const was = written;
      written = false;
      return was;
    },
    async close() {
      if (life !== undefined) life.dead = true;
      await database.close();
    },
  };
  return server;
}

/** The same database, with a word before every statement, whether its query was compiled now or long ago. */
function guard(database: Database, before: (kind: string) => void): Database {
  // An executor of its own, with the connection of all others.
  const db = database.db.withoutPlugins();
  guardExecutor(db.getExecutor(), before);
  return { ...database, db };
}

function guardExecutor(executor: QueryExecutor, before: (kind: string) => void): QueryExecutor {
  const execute = executor.executeQuery.bind(executor);
  const withConnectionProvider = executor.withConnectionProvider.bind(executor);
  const { adapter } = executor;
  executor.executeQuery = (compiled, options) => {
    try {
      before(compiled.query.kind);
    } catch (error) {
      return Promise.reject(error);
    }
    return execute(compiled, options);
  };
  if (adapter instanceof DirectAdapter)
    Object.defineProperty(executor, 'adapter', { value: guardAdapter(adapter, before) });
  // That of a transaction.
  executor.withConnectionProvider = (provider) => guardExecutor(withConnectionProvider(provider), before);
  return executor;
}

function guardAdapter(adapter: DirectAdapter, before: (kind: string) => void): DirectAdapter {
  const guarded: DirectAdapter = Object.create(DirectAdapter.prototype);
  guarded.run = (compiled) => {
    const { kind } = compiled.query;
    before(kind);
    const result = adapter.run(compiled);
    // `prepared` waits for either.
    return kind === 'SelectQueryNode' ? result : (afterAWhile(result) as unknown as typeof result);
  };
  return guarded;
}

/** A write takes long enough for a reply that does not wait for it to get away. */
async function afterAWhile<T>(result: T): Promise<T> {
  for (let turn = 0; turn < WRITE_TURNS; turn += 1) await undefined;
  return result;
}

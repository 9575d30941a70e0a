// The server under test: the real engine on a real database, which can be crashed between any two of its effects.
import type { QueryExecutor } from 'kysely';
import { pino } from 'pino';
import type { AgentReport } from '../../src/domain/agent.ts';
import type { CheckInResult } from '../../src/domain/check-in.ts';
import type { Clock } from '../../src/engine/clock.ts';
import { type Engine, openEngine } from '../../src/engine/engine.ts';
import { AppError } from '../../src/errors.ts';
import { type Database, openDatabase } from '../../src/store/database.ts';
import { loadEpoch } from '../../src/store/meta.ts';
import { markRestored } from '../../src/store/restored.ts';
import { DirectAdapter } from '../../src/store/sqlite.ts';
import { takeOver } from '../../src/store/take-over.ts';
import { type HttpDoor, newServerKeys, type OpenedReply, openHttpDoor } from './http-door.ts';
import type { Settings } from './seed-plan.ts';
import { openFresh, openFrom, type SimDatabase } from './sim-database.ts';
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
  /** Undefined until it has started. */
  engine?: Engine;
  /** As its own process has it: with crash points, behind its fence. */
  database?: Database;
  door?: HttpDoor;
  /** Another one has taken its place. */
  overtaken: boolean;
  /** Nothing comes to it, and it does nothing of its own. */
  stopped: boolean;
}

/** Which of two processes an agent's message comes to. */
export type To = 'server' | 'rival';

export interface SimServer {
  /** Not guarded: reads go past the crash points. */
  readonly database: Database;
  /** For the next start. */
  settings: Settings;
  /** What the running server was started with. */
  inForce(): Settings;
  isUp(): boolean;
  /** As agents hear it. */
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
  checkIn(report: AgentReport, waitMs: number, signal: AbortSignal, to: To): Promise<CheckInResult>;
  /** Through the real routes. */
  checkInOverHttp(handle: number, body: string, waitMs: number, to: To): Promise<OpenedReply>;
  /** Another server starts on the same database, and this one is stopped. False: it cannot be now. */
  takeOver(): boolean;
  /** It goes on where it was stopped, and knows of nothing. */
  wakeRival(): void;
  /** Is it there and awake, it plans and flushes at its own times. */
  tickRival(): void;
  endRival(inGoodOrder: boolean): Promise<void>;
  /** To which of the two the next message goes. */
  choose(): To;
  /** A copy of the database as it is. */
  image(): Buffer;
  /** Puts the copy in the place of the database, as the product does, and starts on it; returns the new epoch. */
  restore(copy: Buffer, knowsEpoch: boolean, downMs: number): Promise<number>;
  /** Rejects with `unreachable` when it is down or dies meanwhile. */
  call<T>(run: (engine: Engine, database: Database) => Promise<T>): Promise<T>;
  engine(): Engine | undefined;
  plan(): Promise<void>;
  flush(): Promise<void>;
  /** After every event: whether anything may have been committed, and the crash that an event has set off. */
  afterEvent(): boolean;
  /** Whether a statement that is no query has named one of these tables. */
  isWritten(...tables: string[]): boolean;
  forgetWritten(): void;
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
const WRITES = /\b(insert into|update|delete from)\b/i;

export async function createServer(world: World): Promise<SimServer> {
  const { time, plan, truth } = world;
  const copied = plan.dual.restores.length === 0 ? undefined : await openFresh();
  let database: Database | SimDatabase = copied ?? (await openDatabase('sqlite::memory:'));
  /** Open until the end: something may still be under way on them. */
  const replaced: Database[] = [];
  const choices = world.random.fork('which of two servers');
  let settings = plan.settings;
  let inForce = settings;
  const keys = plan.overHttp ? newServerKeys() : undefined;
  let engine: Engine | undefined;
  let life: Life | undefined;
  /** Who had the database before, and lives on. */
  let rival: Life | undefined;
  let offsetMs = 0;
  let pausedUntil = 0;
  let stopCreditMs = 0;
  let written = false;
  /** Statements since the last look that may have written something. */
  const texts = new Set<string>();
  let epoch = 1;
  let closing = false;
  const clock: Clock = {
    now: () => Math.floor(plan.startAt + time.now() + offsetMs),
    monotonic: () => time.now(),
  };

  time.onAdvance((from, to) => {
    const looking = engine ?? (rival?.overtaken === false ? rival.engine : undefined);
    if (looking === undefined) return;
    const stopped = Math.max(0, Math.min(to, pausedUntil) - from);
    // Of each stop a minute at most, whatever else happens meanwhile.
    const counted = Math.min(stopped, stopCreditMs);
    stopCreditMs -= counted;
    truth.observableMs += to - from - stopped + counted;
    if (pausedUntil >= to) return;
    // The real server looks at its clock every second; more rarely than once a minute would not count as observed.
    for (let at = Math.max(from, pausedUntil) + LOOK_MS; at < to; at += LOOK_MS) {
      time.peek(at);
      looking.operator.counts();
    }
  });

  function die(): void {
    if (life === undefined || life.dead) return;
    life.dead = true;
  }

  function beforeQuery(mine: Life, kind: string, text: string): void {
    if (mine.dead) throw new Crash('the server is dead');
    if (kind !== 'SelectQueryNode') {
      written = true;
      texts.add(text);
    }
    if (mine.overtaken && WRITES.test(text))
      world.broken('M1', `a server that another one has taken over from writes: ${text.slice(0, 80)}`);
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
      overtaken: false,
      stopped: false,
    };
    life = mine;
    closing = false;
    inForce = settings;
    truth.upSinceMs = truth.observableMs;
    truth.startedAt = time.now();
    // It was the process before that stood still.
    pausedUntil = Math.min(pausedUntil, time.now());
    const write = (line: string) => {
      if (mine.overtaken && line.includes('another server has taken over')) world.marks.hit('rival_said_why');
      else if (!mine.dead) world.broken('D0', `the engine has logged an error: ${line}`);
    };
    const own = await takeOver(
      guard(database, (kind, text) => beforeQuery(mine, kind, text)),
      clock.now(),
    );
    mine.database = own;
    if (rival !== undefined) rival.overtaken = true;
    const opened = await openEngine({
      database: own,
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
    if (keys !== undefined) mine.door = await openHttpDoor(opened, own, plan, { keys, clock });
    if (mine.dead) return;
    mine.engine = opened;
    epoch = opened.agents.epoch();
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
    checkAwake();
    return await callOn(life, closing, (mine) => run(mine.engine as Engine, mine.database as Database));
  }

  /** Such a process takes nothing: whoever asks gives up, and what agents send waits outside. */
  function checkAwake(): void {
    if (time.now() < pausedUntil) throw new AppError('unreachable', 'nobody answers there');
  }

  async function callOn<T>(mine: Life | undefined, isClosing: boolean, run: (mine: Life) => Promise<T>): Promise<T> {
    if (mine?.engine === undefined || isClosing) {
      world.marks.hit('server_away');
      throw new AppError('unreachable', 'nobody listens there');
    }
    return await new Promise<T>((resolve, reject) => {
      mine.waiting.add(reject);
      const end = (settle: () => void) => {
        if (mine.dead || !mine.waiting.delete(reject)) return;
        settle();
      };
      run(mine).then(
        (value) => end(() => resolve(value)),
        (error: unknown) => end(() => reject(error)),
      );
    });
  }

  /** An agent's message. */
  async function callTo<T>(to: To, run: (mine: Life) => Promise<T>): Promise<T> {
    checkAwake();
    if (to === 'server') return await callOn(life, closing, run);
    try {
      const answer = await callOn(rival, false, run);
      world.marks.hit('rival_answered');
      return answer;
    } catch (error) {
      if (error instanceof AppError && error.code === 'not_ready') world.marks.hit('rival_refused');
      // Enrolled with the other one, and it has not heard of that one yet: the agent asks again.
      if (error instanceof AppError && error.code === 'auth_invalid')
        throw new AppError('unreachable', 'the old server does not know this agent');
      throw error;
    }
  }

  function forgetRival(): void {
    const gone = rival;
    rival = undefined;
    if (gone === undefined) return;
    gone.dead = true;
    for (const end of gone.waiting) end(new AppError('unreachable', 'the server has gone away'));
  }

  const server: SimServer = {
    get database() {
      return database;
    },
    get settings() {
      return settings;
    },
    set settings(next) {
      settings = next;
    },
    inForce: () => inForce,
    isUp: () => engine !== undefined && !closing,
    engine: () => engine,
    epoch: () => epoch,
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
      // A second stop ends no first.
      pausedUntil = Math.max(pausedUntil, time.now() + ms);
      stopCreditMs = 60_000;
      time.holdTimers(pausedUntil);
    },
    pausedUntil: () => pausedUntil,
    checkIn: (report, waitMs, signal, to) =>
      callTo(to, ({ engine }) => (engine as Engine).agents.checkIn(report, waitMs, signal)),
    checkInOverHttp: (handle, body, waitMs, to) =>
      callTo(to, ({ door }) => {
        if (door === undefined) throw new Error('no door was opened');
        return door.checkIn(handle, body, waitMs);
      }),
    takeOver() {
      if (life === undefined || engine === undefined || closing || life.dead || rival !== undefined) return false;
      if (time.now() < pausedUntil) return false;
      rival = life;
      rival.stopped = true;
      engine = undefined;
      life = undefined;
      world.marks.hit('server_taken_over');
      world.say('server: hangs, and another one takes its place');
      begin();
      return true;
    },
    wakeRival() {
      if (rival === undefined) return;
      world.say('server: the old one goes on');
      rival.stopped = false;
    },
    tickRival() {
      if (rival === undefined || rival.stopped || choices.chance(50)) return;
      const { engine: old } = rival;
      const failed = (error: unknown) => {
        if (!(error instanceof AppError) && !(error instanceof Crash))
          world.broken('D0', `the old server meets a bug: ${(error as Error).stack}`);
      };
      old?.plan().catch(failed);
      old?.nudge();
      old?.flush().catch(failed);
    },
    async endRival(inGoodOrder) {
      const mine = rival;
      if (mine === undefined) return;
      world.say(`server: the old one ends${inGoodOrder ? ' in good order' : ''}`);
      if (inGoodOrder)
        mine.engine?.close().catch((error: unknown) => {
          if (!mine.dead) world.broken('D0', `the old server does not close: ${(error as Error).stack}`);
        });
      await time.settle();
      if (rival === mine) forgetRival();
    },
    choose: () => (rival !== undefined && !rival.stopped && choices.chance(35) ? 'rival' : 'server'),
    image() {
      if (!('image' in database)) throw new Error('this database cannot be copied');
      return database.image();
    },
    async restore(copy, knowsEpoch, downMs) {
      forgetRival();
      const wasUp = life !== undefined;
      const [gone, lastEpoch] = [life, knowsEpoch ? await loadEpoch(database.db) : null];
      die();
      engine = undefined;
      life = undefined;
      if (gone !== undefined)
        for (const end of gone.waiting) end(new AppError('unreachable', 'the server has gone away'));
      replaced.push(database);
      database = openFrom(copy);
      const marked = await markRestored(database, { now: clock.now(), from: 'nightly.db', lastEpoch });
      written = true;
      if (wasUp) time.after(downMs, begin);
      return marked.epoch;
    },
    call,
    plan: () => call((running) => running.plan()),
    flush: () => call((running) => running.flush()),
    afterEvent() {
      if (rival?.dead === true) forgetRival();
      if (life?.dead === true) {
        world.marks.hit('server_crashed');
        bury(world.random.between(0, 120) * 1000);
      }
      const was = written;
      written = false;
      return was;
    },
    isWritten: (...tables) => tables.some((table) => [...texts].some((text) => namesOf(text).has(table))),
    forgetWritten: () => texts.clear(),
    async close() {
      if (life !== undefined) life.dead = true;
      forgetRival();
      for (const one of [...replaced, database]) await one.close();
    },
  };
  return server;
}

const names = new Map<string, ReadonlySet<string>>();

/** Every word of a statement: more than its tables. */
function namesOf(text: string): ReadonlySet<string> {
  const known = names.get(text) ?? new Set(text.match(/\w+/g));
  names.set(text, known);
  return known;
}

/** The same database, with a word before every statement, whether its query was compiled now or long ago. */
function guard(database: Database, before: (kind: string, text: string) => void): Database {
  // An executor of its own, with the connection of all others.
  const db = database.db.withoutPlugins();
  guardExecutor(db.getExecutor(), before);
  return { ...database, db };
}

function guardExecutor(executor: QueryExecutor, before: (kind: string, text: string) => void): QueryExecutor {
  const execute = executor.executeQuery.bind(executor);
  const withConnectionProvider = executor.withConnectionProvider.bind(executor);
  const { adapter } = executor;
  executor.executeQuery = (compiled, options) => {
    try {
      before(compiled.query.kind, compiled.sql);
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

function guardAdapter(adapter: DirectAdapter, before: (kind: string, text: string) => void): DirectAdapter {
  const guarded: DirectAdapter = Object.create(DirectAdapter.prototype, { writes: { value: adapter.writes } });
  guarded.isFree = () => adapter.isFree();
  guarded.run = (compiled, isInTransaction) => {
    const { kind } = compiled.query;
    before(kind, compiled.sql);
    const result = adapter.run(compiled, isInTransaction);
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

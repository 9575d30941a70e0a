// The engine as a whole: fills memory from the database, keeps planning, and serves agents and operators.
import type { Logger } from 'pino';
import type { Agent, AgentReport } from '../domain/agent.ts';
import type { CheckInResult, EnrolInput } from '../domain/check-in.ts';
import { decideAll } from '../domain/decide.ts';
import { brakeFor } from '../domain/directives.ts';
import { holdTimes } from '../domain/hold-times.ts';
import { pinFor } from '../domain/pin.ts';
import type {
  BacktestOptions,
  BrakeOptions,
  ClearOptions,
  CreateRolloutOptions,
  PinOptions,
  RehearseOptions,
  TrustOptions,
  UnenrolOptions,
  VerbOptions,
  VetoOptions,
} from '../domain/requests.ts';
import type { Rollout } from '../domain/rollout.ts';
import type { ProductRules } from '../domain/snapshot.ts';
import { AppError, assert } from '../errors.ts';
import { findAgent, flushSeen } from '../store/agents.ts';
import { listBrakes } from '../store/controls.ts';
import { type Database, transaction } from '../store/database.ts';
import { listGrants } from '../store/grants.ts';
import { openHolds } from '../store/holds.ts';
import { ensureFleet, saveObserved } from '../store/meta.ts';
import { takeOver } from '../store/take-over.ts';
import { findUnenrolled } from '../store/unenrolled-agents.ts';
import { notEnrolled } from './book.ts';
import { answerAtOnce, answerCheckIn, type CheckInDeps, viewOf } from './check-in.ts';
import type { Clock } from './clock.ts';
import { startOfWatch, trustClock } from './clock-doubt.ts';
import { watchClock } from './clock-watch.ts';
import { committer, type LedgerItem } from './commit.ts';
import { createRollout } from './create-rollout.ts';
import { explainLanes, withReasons } from './explain-lane.ts';
import { neededGrants, openGrantLog } from './grant-log.ts';
import { hostHeldSince, spentAt } from './held-since.ts';
import { inTurn } from './in-turn.ts';
import { openLedger } from './ledger.ts';
import { loadRoster } from './load-roster.ts';
import { loadAllMembers } from './load-snapshot.ts';
import { Memory, type Surroundings, type Wake } from './memory.ts';
import { openModelThread } from './model-thread.ts';
import { startObservedTime } from './observed-time.ts';
import { occupiedNow } from './occupied-now.ts';
import { performVerb, setBrake, type VerbEffects } from './operator.ts';
import { passedOver } from './passed-over.ts';
import { changePin, type PinChange } from './pins.ts';
import { type ClearChange, clearQuarantine, listQuarantined, quarantinesOf } from './quarantine.ts';
import { reconcile } from './reconcile.ts';
import { regionsNow } from './regions-now.ts';
import { backtestPolicy, rehearseRelease } from './rehearse.ts';
import { rollBack } from './roll-back.ts';
import { Roster } from './roster.ts';
import { startTicking } from './scheduler.ts';
import { type UnenrolChange, unenrolAgent } from './unenrol.ts';
import { unknownBuildsOf } from './unknown-builds.ts';
import { changeVeto, type VetoChange } from './veto.ts';
import { openWaiters } from './waiters.ts';

export interface EngineDeps {
  database: Database;
  clock: Clock;
  logger: Logger;
  newId: () => string;
  /** 0 ≤ x < 1. */
  random: () => number;
  products: readonly ProductRules[];
  regions: readonly string[];
  surroundings: Surroundings;
  pollMs: number;
  maxWaitMs: number;
  /** Named instants that the crash test waits for. */
  mark?: (name: string) => void;
}

export type Engine = Awaited<ReturnType<typeof openEngine>>;

const FLUSH_ROWS = 1_000;
const FLUSH_ROUNDS = 20;

export async function openEngine(deps: EngineDeps) {
  const { clock, logger } = deps;
  const database = await takeOver(deps.database, clock.now());
  const mark = deps.mark ?? (() => {});
  const fleet = await transaction(database, (tx) => ensureFleet(tx, clock.now()));
  const watch = watchClock(clock, await startOfWatch(database.db));
  const observed = startObservedTime(clock, fleet.observedMs, watch);
  const { surroundings } = deps;
  const stored = await listGrants(database.db, neededGrants(surroundings.limits));
  const grants = openGrantLog(clock, surroundings.limits, stored);
  const memory = new Memory(deps.products, deps.regions, surroundings, { grants, clock: watch });
  const roster = new Roster(deps.products.flatMap(({ requirements }) => requirements.map(({ fact }) => fact)));
  await loadRoster(database.db, roster, observed.now());
  const waiters = openWaiters(roster);
  const wake = (wakes: readonly Wake[]) => waiters.wake(wakes);

  const exclusive = inTurn(async () => {
    await loadRoster(database.db, roster, observed.now());
    await loadAllMembers(database.db, memory);
  });
  const planning = singleFlight(async () => {
    await reconcile({
      database,
      memory,
      roster,
      clock,
      observed,
      newId: deps.newId,
      wake,
      exclusive,
      mark,
      onViolation: (violation) => logger.error({ violation }, 'a promise is broken in the stored state'),
    });
  });
  /** Somebody must act when planning fails: nothing moves until it works again. */
  const nudge = () => void planning().catch(planningFailed);

  const commit = committer({
    database,
    memory,
    roster,
    clock,
    observed,
    newId: deps.newId,
    wake,
    nudge,
    mark,
  });
  const ledger = openLedger((items: readonly LedgerItem[]) => exclusive(() => commit(items)));
  const checkIn: CheckInDeps = {
    roster,
    memory,
    ledger,
    waiters,
    clock,
    observed,
    pollMs: deps.pollMs,
    maxWaitMs: deps.maxWaitMs,
    random: deps.random,
  };
  const verbs = {
    database,
    now: () => clock.now(),
    observedMs: () => observed.now(),
    silence: (laneId: string, step: number) => memory.silence(laneId, step),
    presence: (laneId: string, step: number) => memory.presence(laneId, step),
  };
  const thread = openModelThread();
  const rehearsing = { database, memory, roster, clock, observed, thread, pollMs: deps.pollMs };
  const staleAfterMs = Math.min(...deps.products.map((product) => product.policy.staleAfterMs));
  const isPresent = (handle: number) =>
    !roster.isStale(handle) && roster.silentMs(handle, observed.now()) < staleAfterMs;

  await planning();

  async function flush(): Promise<void> {
    if (database.fence.lost() !== null) return;
    for (let round = 0; round < FLUSH_ROUNDS; round += 1) {
      const rows = roster.takeUnflushed(FLUSH_ROWS);
      if (rows.length === 0) break;
      try {
        await transaction(database, (tx) => flushSeen(tx, rows));
      } catch (error) {
        roster.putBackUnflushed(rows);
        throw error;
      }
    }
    // A crash then costs a few seconds of soak, never gives any away.
    if (memory.hasLiveLane()) await transaction(database, (tx) => saveObserved(tx, observed.now()));
  }

  let isLossSaid = false;
  /** What has taken this server's place is said once: nothing that it does later changes that. */
  function planningFailed(error: unknown): void {
    const isLoss = error === database.fence.lost();
    if (!isLoss || !isLossSaid) logger.error({ err: error }, 'planning failed');
    isLossSaid ||= isLoss;
  }

  /** Memory is of the past once another server writes. Throws `not_ready`. */
  function standing(): void {
    const lost = database.fence.lost();
    if (lost !== null) throw lost;
  }

  /** Memory before the acknowledgement: what a person has stopped is in force even when planning fails. */
  async function commitVerb(verb: () => Promise<VerbEffects>): Promise<boolean> {
    return await exclusive(async () => {
      const { changed, lanes, withdrawnLanes, vetoes, brakes } = await verb();
      mark('verb.committed');
      for (const laneId of withdrawnLanes) roster.dropUngranted(laneId);
      wake(memory.setLanes(lanes, vetoes, brakes, clock.now(), occupiedNow({ roster, memory })));
      return changed;
    });
  }

  async function perform(verb: () => Promise<VerbEffects>): Promise<boolean> {
    const changed = await commitVerb(verb);
    await planning().catch(planningFailed);
    mark('verb.replying');
    return changed;
  }

  /** Of one agent only: a script may do so a thousand times, so it waits for no plan. */
  async function performOnAgent<Change extends { changed: boolean }>(
    verb: () => Promise<{ change: Change; effects: VerbEffects; handle: number }>,
  ): Promise<Change> {
    let done: { change: Change; handle: number } | undefined;
    await commitVerb(async () => {
      const { change, effects, handle } = await verb();
      done = { change, handle };
      return effects;
    });
    assert(done !== undefined, 'a verb that was performed has an outcome');
    if (done.change.changed) {
      wake([{ handle: done.handle }]);
      nudge();
    }
    mark('verb.replying');
    return done.change;
  }

  let ticking: ReturnType<typeof startTicking> | undefined;
  return {
    agents: {
      async enrol(input: EnrolInput): Promise<Agent> {
        const result = await ledger.submit({ kind: 'enrol', input });
        assert(result.kind === 'enrol', 'an enrolment is answered as one');
        nudge();
        return result.agent;
      },
      async findAgent(id: string) {
        const found = await findAgent(database.db, id);
        // An agent that memory does not have yet is not enrolled yet.
        if (found !== undefined) return roster.handleOf(id) === undefined ? undefined : { ...found, unenrolled: false };
        const left = await findUnenrolled(database.db, id);
        return left === undefined ? undefined : { ...left, unenrolled: true };
      },
      agentOf(handle: number) {
        if (roster.isRetired(handle)) throw notEnrolled();
        const region = roster.regionOf(handle);
        return region === undefined ? undefined : { id: roster.idOf(handle), region };
      },
      async checkIn(report: AgentReport, waitMs: number, signal: AbortSignal): Promise<CheckInResult> {
        standing();
        return await answerCheckIn(checkIn, report, waitMs, signal);
      },
      answerAtOnce(report: AgentReport): CheckInResult | undefined {
        standing();
        return answerAtOnce(checkIn, report);
      },
      epoch: () => fleet.epoch,
    },
    operator: {
      async verb(rolloutId: string, options: VerbOptions): Promise<boolean> {
        const parts = { database, memory, roster, clock, observed, newId: deps.newId };
        return await perform(() =>
          options.verb === 'rollback' ? rollBack(parts, rolloutId, options) : performVerb(verbs, rolloutId, options),
        );
      },
      async halt(rolloutId: string, options: Omit<VerbOptions, 'verb' | 'expectedStep'>): Promise<boolean> {
        return await perform(() => performVerb(verbs, rolloutId, { ...options, verb: 'halt', expectedStep: null }));
      },
      async createRollout(options: CreateRolloutOptions) {
        const parts = { database, memory, roster, clock, observed, newId: deps.newId };
        const created = await exclusive(() => createRollout(parts, options));
        // Lanes open and memory hears of them before the reply, which shows them.
        await planning().catch(planningFailed);
        return created;
      },
      async setBrake(options: BrakeOptions): Promise<boolean> {
        return await perform(() => setBrake(verbs, options));
      },
      async setVeto(options: VetoOptions): Promise<VetoChange> {
        let change: VetoChange | undefined;
        await perform(async () => {
          const done = await changeVeto({ database, products: deps.products, now: clock.now() }, options);
          change = done.change;
          return done.effects;
        });
        assert(change !== undefined, 'a veto that was performed has an outcome');
        return change;
      },
      setPin: (options: PinOptions): Promise<PinChange> =>
        performOnAgent(() => changePin({ database, roster, now: clock.now() }, options)),
      unenrol: (options: UnenrolOptions): Promise<UnenrolChange> =>
        performOnAgent(() => unenrolAgent({ database, roster, now: clock.now() }, options)),
      clearQuarantine: (options: ClearOptions): Promise<ClearChange> =>
        performOnAgent(() => clearQuarantine({ database, roster, products: deps.products, now: clock.now() }, options)),
      quarantined: (product: string | null, limit: number) => listQuarantined({ roster, memory }, product, limit),
      restraintsOf: (handle: number) => ({
        pins: roster.pinsOf(handle),
        quarantined: quarantinesOf({ roster, memory }, handle),
        unknownBuilds: unknownBuildsOf({ roster, memory }, handle),
      }),
      /** Idempotent: false when nobody doubts it. */
      async trustClock(options: TrustOptions): Promise<boolean> {
        return await perform(async () => {
          const effects = await trustClock(database, watch.look(), options, clock.now());
          watch.trust();
          return effects;
        });
      },
      clockDoubt: () => watch.look(),
      ceilings: () => memory.grants.ceilings(),
      rehearse: (options: RehearseOptions) => rehearseRelease(rehearsing, options),
      backtest: (options: BacktestOptions) => backtestPolicy(rehearsing, options),
      isPresent,
      lastSeenAt: (handle: number) => roster.lastSeenAt(handle),
      unnamedRegions() {
        const unnamed = roster.regionCounts().filter(({ region }) => !memory.regions.includes(region));
        return unnamed.toSorted((a, b) => b.agents - a.agents || (a.region < b.region ? -1 : 1));
      },
      counts() {
        let present = 0;
        for (const handle of roster.all()) if (isPresent(handle)) present += 1;
        return { enrolled: roster.size, present, stale: roster.staleCount };
      },
      regions: () => regionsNow({ roster, memory, regions: deps.regions, isPresent, now: clock.now() }),
      passedOver: (rollouts: readonly Rollout[]) =>
        passedOver({ roster, memory, observedMs: observed.now() }, rollouts),
      versions() {
        return memory
          .census()
          .map(({ product, region, version, agents, present }) => ({ product, region, version, agents, present }));
      },
      productHolds: () => memory.productHolds(),
      newest: (product: string) => memory.newest(product),
      whyNot: (product: string, version: string) => memory.whyNot(product, version),
      explainLanes: (rolloutId: string) =>
        explainLanes({ database, memory, roster, clock, observed, exclusive }, rolloutId),
      async explain(agentId: string) {
        const handle = roster.handleOf(agentId);
        if (handle === undefined || roster.isRetired(handle)) throw new AppError('not_found', `no agent ${agentId}`);
        const entry = roster.entry(handle);
        assert(entry !== undefined, `agent ${handle} is in the roster`);
        const view = viewOf(
          { roster, memory },
          entry,
          roster.liveOf(handle).map((one) => one.id),
        );
        const directives = view.products.flatMap(({ product }) => memory.directive(product, view.region) ?? []);
        const holds = await openHolds(database.db);
        const brakes = await listBrakes(database.db);
        const now = clock.now();
        const unchangedMs = roster.unchangedMs(handle, observed.now());
        const upMs = observed.now() - fleet.observedMs;
        const explained = decideAll(view, withReasons(holds, directives), now).map(
          async ({ product, answer, trace }) => {
            const directive = directives.find((one) => one.product === product);
            const followed = directive?.lane ?? directive?.baseline;
            const begunAt = memory.rollout(followed?.rolloutId ?? '')?.createdAt;
            const isSpent = answer.kind === 'hold' && answer.reason === 'quarantined' && followed != null;
            const context = {
              brake: brakeFor(brakes, product, view.region),
              pin: pinFor(view.pins, product),
              lane: holds.find((one) => one.laneId === followed?.laneId),
              hostSince: hostHeldSince({ now, unchangedMs, upMs, begunAt }),
              spentAt: isSpent ? await spentAt(database.db, agentId, followed.rolloutId) : null,
            };
            return {
              product,
              answer: answer.kind,
              sentence: trace.at(-1)?.sentence ?? 'nothing is asked of this agent',
              hold: answer.kind === 'hold' ? holdTimes(answer.reason, directive, context, now) : null,
              trace,
            };
          },
        );
        return await Promise.all(explained);
      },
    },
    /** Versions whose availability the probes must follow. */
    wanted: () => memory.wanted(),
    /** Plans soon; for the tracker, when it has found something. */
    nudge,
    /** Plans now and waits for it. */
    plan: planning,
    /** Writes what only memory has yet: last-seen times and observed time. */
    flush,
    /** Begins to tick: plans every second, flushes last-seen times every five. */
    start() {
      ticking = startTicking({ logger, plan: () => planning().catch(planningFailed), flush });
    },
    ledgerStats: () => ledger.stats(),
    async close() {
      await ticking?.stop();
      await thread.close();
      waiters.close();
      await ledger.close();
      // What cannot be written at the end is found again by the next start; the rest of the server closes all the same.
      const failed = (error: unknown) => {
        if (error !== database.fence.lost()) logger.error({ err: error }, 'the last writes before the end failed');
      };
      await planning().catch(failed);
      roster.oweAll();
      await flush().catch(failed);
    },
  };
}

/** Runs never overlap: a call while one runs is answered by one more run after it. */
function singleFlight(run: () => Promise<void>): () => Promise<void> {
  let running: Promise<void> | undefined;
  let again: Promise<void> | undefined;
  function start(): Promise<void> {
    running = run().finally(() => {
      running = undefined;
    });
    return running;
  }
  return () => {
    if (running === undefined) return start();
    again ??= running
      .catch(() => {})
      .then(() => {
        again = undefined;
        return start();
      });
    return again;
  };
}

// The runner: checks in, feeds the machine, journals what comes out and performs the effect. It decides nothing itself.
import { isDeepStrictEqual } from 'node:util';
import { AppError } from '../errors.ts';
import type { CheckInReply, Instruction } from '../protocol/agent.ts';
import { type Envelope, sha256Hex } from '../protocol/envelope.ts';
import { checkInBody, delayAfterFailure, delayAfterReply, dueIn, reportsOf, waitSecondsFor } from './check-in.ts';
import type { Counters } from './counters.ts';
import { newNonce } from './enrol.ts';
import { isSystemError } from './faults.ts';
import type { Host } from './host.ts';
import { type HostPolicy, openInstruction } from './instruction.ts';
import { interpret } from './interpret.ts';
import type { Link } from './link.ts';
import type { Log } from './log.ts';
import { type Effect, type Event, type State, step } from './machine.ts';
import type { Order } from './order.ts';
import { createPause } from './pause.ts';
import { stage } from './stage.ts';

/** Events that wait to be journaled; one product has one or two at most. */
const MAX_QUEUE = 64;

export interface RunnerOptions {
  host: Host;
  link: Link;
  policy: HostPolicy;
  /** Negative, 0 or positive; undefined when one of them is no version. */
  compare(a: string, b: string): number | undefined;
  log: Log;
  /** Monotonic, milliseconds. */
  nowMs(): number;
  /** 0–1. */
  random(): number;
  /** Ends the loop. */
  signal: AbortSignal;
}

/** `restart`: `current` or the marker has changed, so that the launcher must look. */
export type RunEnd = 'restart' | 'stopped';

/** Runs until the signal aborts or a restart is due. What is thrown is a bug, or `state_damaged`. */
export async function runLoop(options: RunnerOptions): Promise<RunEnd> {
  const runner = createRunner(options);
  try {
    return await runner.run();
  } finally {
    await runner.stop();
  }
}

interface Task {
  order: Order;
  abort: AbortController;
  done: Promise<void>;
}

function createRunner(options: RunnerOptions) {
  const { host, link, log } = options;
  const boot = newNonce();
  const states = new Map<string, State>(Object.entries(host.loadJournal()));
  const pause = createPause(options.signal);
  const tasks = new Map<string, Task>();
  /** Events that came from the background, or that could not be journaled, in order. */
  const queue: { product: string; event: Event }[] = [];
  /** Products whose outcome could not be settled yet (a full disk): tried again, and not let go of before. */
  const unsettled = new Map<string, Effect>();
  let counters = host.loadCounters();
  let restart = false;
  let crash: { error: unknown } | undefined;
  let failures = 0;
  let isFirst = true;
  let wantFacts = true;

  async function run(): Promise<RunEnd> {
    raiseCounters();
    for (const product of [...states.keys()]) await dispatch(product, startEvent(product));
    for (;;) {
      await catchUp();
      if (crash !== undefined) throw crash.error;
      if (restart) return 'restart';
      if (options.signal.aborted) return 'stopped';
      const delayMs = await checkIn();
      if (!restart && queue.length === 0) await pause.sleep(delayMs);
    }
  }

  function startEvent(product: string): Event {
    const state = states.get(product);
    const attempt = state === undefined || state.kind === 'idle' ? '' : state.order.attempt;
    const running = host.running().find((candidate) => candidate.product === product) ?? NOTHING;
    return { kind: 'started', running, trial: host.trialResult(attempt), nowMs: options.nowMs() };
  }

  async function catchUp(): Promise<void> {
    for (const [product, effect] of [...unsettled]) await perform(product, effect);
    for (const { product, event } of queue.splice(0)) await dispatch(product, event);
    for (const [product, state] of [...states]) {
      // The journal could be written and the counters could not, so that staging was never begun.
      if (state.kind === 'staging' && !tasks.has(product)) startTask(product, state.order);
      await dispatch(product, { kind: 'tick', nowMs: options.nowMs() });
    }
  }

  /** Journal first, then the counters, then the effect: whoever starts after a crash in between carries on. */
  async function dispatch(product: string, event: Event): Promise<void> {
    if (restart) return;
    const before = states.get(product) ?? { kind: 'idle' };
    const { state, effect } = step(before, event);
    try {
      if (!isDeepStrictEqual(state, before)) persist(product, state);
    } catch (error) {
      if (!isSystemError(error)) throw error;
      log('error', 'the journal cannot be written', { error: error.message });
      if (isOnce(event) && queue.length < MAX_QUEUE) queue.push({ product, event });
      return;
    }
    if (state.kind !== before.kind) log('info', `attempt: ${before.kind} → ${state.kind}`, describe(product, state));
    await perform(product, effect);
  }

  function persist(product: string, state: State): void {
    const next = new Map(states);
    if (state.kind === 'idle') next.delete(product);
    else next.set(product, state);
    host.saveJournal(Object.fromEntries(next));
    if (state.kind === 'idle') states.delete(product);
    else states.set(product, state);
    raiseCounters();
  }

  /** What the journal holds has been accepted. */
  function raiseCounters(): void {
    const raised = { ...counters };
    for (const state of states.values()) {
      if (state.kind === 'idle') continue;
      raised.epoch = Math.max(raised.epoch, state.order.epoch);
      raised.sequence = Math.max(raised.sequence, state.order.sequence);
    }
    saveCounters(raised);
  }

  function saveCounters(next: Counters): void {
    if (isDeepStrictEqual(next, counters)) return;
    host.saveCounters(next);
    counters = next;
  }

  async function perform(product: string, effect: Effect): Promise<void> {
    try {
      await performOnce(product, effect);
      if (effect.kind === 'settle') unsettled.delete(product);
    } catch (error) {
      if (!isSystemError(error)) throw error;
      // The state stands in the journal, so that the effect is due again at the next look or start.
      log('error', `the host could not ${effect.kind}`, { error: error.message });
      if (effect.kind === 'settle') unsettled.set(product, effect);
    }
  }

  async function performOnce(product: string, effect: Effect): Promise<void> {
    switch (effect.kind) {
      case 'none':
        return;
      case 'stage':
        await endTask(product);
        return startTask(product, effect.order);
      case 'discard':
        await endTask(product);
        return host.discard(effect.order);
      case 'unprepare':
        return host.unprepare(effect.order);
      case 'activate':
        return await activate(product, effect.order);
      case 'restart':
        restart = true;
        return;
      case 'confirm':
        host.confirm(effect.order);
        return await dispatch(product, { kind: 'confirmed', attempt: effect.order.attempt });
      case 'undo':
        host.undo(effect.order, effect.cause);
        restart = true;
        return;
      case 'settle':
        await endTask(product);
        return host.settle(effect.order, effect.outcome, versionsInJournal());
    }
  }

  async function activate(product: string, order: Order): Promise<void> {
    const startedMs = options.nowMs();
    let fault = host.prepare(order);
    if (fault === undefined && options.nowMs() - startedMs > order.activateWithinMs) {
      fault = { cause: 'interrupted', detail: 'the permission had run out before the swap' };
    }
    fault ??= host.flip(order);
    const { attempt } = order;
    await dispatch(
      product,
      fault === undefined ? { kind: 'flipped', attempt } : { kind: 'flipFailed', attempt, ...fault },
    );
  }

  function versionsInJournal(): string[] {
    return [...states.values()].flatMap((state) => {
      if (state.kind === 'idle' || state.kind === 'ended') return [];
      return [state.order.version, state.order.from.version];
    });
  }

  function startTask(product: string, order: Order): void {
    const abort = new AbortController();
    const done = stage(host, order, abort.signal).then(
      (event) => void queue.push({ product, event }),
      (error: unknown) => {
        if (!abort.signal.aborted) crash = { error };
      },
    );
    tasks.set(product, { order, abort, done: done.finally(pause.wake) });
  }

  async function endTask(product: string): Promise<void> {
    const task = tasks.get(product);
    tasks.delete(product);
    task?.abort.abort();
    await task?.done;
  }

  async function checkIn(): Promise<number> {
    const fault = host.localFault();
    const withFacts = isFirst || wantFacts;
    const body = JSON.stringify(
      checkInBody({ host, nonce: newNonce(), boot, counters, fault, states: states.values(), withFacts }),
    );
    const waitSeconds = waitSecondsFor(states.values(), isFirst);
    const interrupt = pause.interruptAfter(dueIn(states.values(), options.nowMs()), waitSeconds > 0);
    let reply: CheckInReply;
    try {
      reply = await link.checkIn(body, waitSeconds, interrupt.signal);
    } catch (error) {
      return interrupt.signal.aborted ? 0 : await failed(error);
    } finally {
      interrupt[Symbol.dispose]();
    }
    failures = 0;
    isFirst = false;
    wantFacts = reply.wantFacts;
    const reported = JSON.stringify(reportsOf(states.values()));
    await handle(reply, body, fault === undefined);
    const isNews = JSON.stringify(reportsOf(states.values())) !== reported;
    return isNews ? 0 : delayAfterReply(reply.nextInMs, states.values(), options.nowMs());
  }

  async function handle(reply: CheckInReply, body: string, healthy: boolean): Promise<void> {
    for (const { id: attempt, state } of reply.acknowledged) {
      const held = [...states].find(
        ([, candidate]) => candidate.kind === 'ended' && candidate.order.attempt === attempt,
      );
      if (held !== undefined && !unsettled.has(held[0])) {
        await dispatch(held[0], { kind: 'acknowledged', attempt, state });
      }
    }
    const nowMs = options.nowMs();
    for (const product of [...states.keys()]) await dispatch(product, { kind: 'checkedIn', healthy, nowMs });
    if (reply.answer.kind === 'instruction' && !restart) await instruct(reply.answer.envelope, body);
  }

  async function failed(error: unknown): Promise<number> {
    if (!(error instanceof AppError)) throw error;
    if (error.code === 'state_damaged') throw error;
    const throttled = error.code === 'overloaded' || error.code === 'not_ready';
    failures += 1;
    log(error.code === 'trust_failure' ? 'error' : 'warn', 'the check-in failed', {
      code: error.code,
      error: error.message,
    });
    const nowMs = options.nowMs();
    for (const product of [...states.keys()]) await dispatch(product, { kind: 'checkInFailed', throttled, nowMs });
    const delayMs = delayAfterFailure(failures, error.retryAfterMs, states.values(), options.random());
    return Math.min(delayMs, dueIn(states.values(), options.nowMs()));
  }

  async function instruct(envelope: Envelope, body: string): Promise<void> {
    let instruction: Instruction;
    try {
      instruction = openInstruction(envelope, {
        ...link.enrolled(),
        requestSha256: sha256Hex(body),
        counters,
        orders: orders(),
      });
    } catch (error) {
      if (!(error instanceof AppError) || error.code !== 'trust_failure') throw error;
      log('error', 'an instruction was dropped', { error: error.message });
      return;
    }
    const { product } = instruction;
    const event = interpret(instruction, states, options.nowMs(), {
      platform: host.platform,
      running: host.running().find((running) => running.product === product),
      policy: options.policy,
      skipped: host.skipped(product),
      knownGood: host.knownGood(product),
      compare: options.compare,
    });
    if (event === undefined) log('info', 'an instruction does not fit the journal', { attempt: instruction.attempt });
    else await dispatch(product, event);
  }

  function orders(): Order[] {
    return [...states.values()].flatMap((state) => (state.kind === 'idle' ? [] : [state.order]));
  }

  async function stop(): Promise<void> {
    for (const product of [...tasks.keys()]) await endTask(product);
  }

  return { run, stop };
}

/** Stands for a product that does not run here: equal to no order's target. */
const NOTHING = { product: '', version: '', digest: '' };

/** Events that nobody would send again. */
function isOnce(event: Event): boolean {
  return ['staged', 'stageFailed', 'flipped', 'flipFailed', 'confirmed'].includes(event.kind);
}

function describe(product: string, state: State): Record<string, unknown> {
  if (state.kind === 'idle') return { product };
  const { attempt, version, from } = state.order;
  return { product, attempt, version, from: from.version, ...(state.kind === 'ended' ? state.outcome : {}) };
}

// Keeps every product's machine: feeds it events, journals what comes out, performs the effect on the host, and runs
// staging in the background. It decides nothing and knows nothing of the network.
import { isDeepStrictEqual } from 'node:util';
import type { Counters } from './counters.ts';
import { isSystemError } from './faults.ts';
import type { Host } from './host.ts';
import type { Log } from './log.ts';
import { type Effect, type Event, type State, step } from './machine.ts';
import type { Order } from './order.ts';
import { stage } from './stage.ts';

/** Events that wait to be journaled; one product has one or two at most. */
const MAX_QUEUE = 64;

export interface AttemptsOptions {
  host: Host;
  log: Log;
  /** Monotonic, milliseconds. */
  nowMs(): number;
  /** Called when there is something to catch up with. */
  onNews(): void;
}

export interface Attempts {
  states(): ReadonlyMap<string, State>;
  orders(): Order[];
  /** Highest epoch and sequence accepted. */
  counters(): Counters;
  /** True once `current` or the marker has changed, so that the launcher must look. Nothing is taken any more then. */
  isRestartDue(): boolean;
  hasNews(): boolean;
  /** Carries on from the journal. */
  start(): Promise<void>;
  /** What the background brought, what could not be done before, and the time. Throws what staging threw: a bug. */
  catchUp(): Promise<void>;
  dispatch(product: string, event: Event): Promise<void>;
  dispatchAll(event: Event): Promise<void>;
  acknowledge(attempt: string, state: string): Promise<void>;
  /** Ends the background work. */
  stop(): Promise<void>;
}

interface Task {
  abort: AbortController;
  done: Promise<void>;
}

/** Throws `state_damaged` when the counters are. */
export function createAttempts({ host, log, nowMs, onNews }: AttemptsOptions): Attempts {
  const states = new Map<string, State>(Object.entries(host.loadJournal()));
  const tasks = new Map<string, Task>();
  /** Events that came from the background, or that could not be journaled, in order. */
  const queue: { product: string; event: Event }[] = [];
  /** Outcomes that could not be settled yet (a full disk): tried again, and not let go of before. */
  const unsettled = new Map<string, Effect>();
  /** How this process was started, where that could not be journaled yet: before it nothing else is true of the product. */
  const unstarted = new Map<string, Event>();
  let counters = host.loadCounters();
  let isRestartDue = false;
  let crash: { error: unknown } | undefined;

  async function start(): Promise<void> {
    raiseCounters();
    for (const [product, state] of [...states]) {
      const attempt = state.kind === 'idle' ? '' : state.order.attempt;
      const running = host.running().find((candidate) => candidate.product === product) ?? NOTHING;
      await dispatch(product, { kind: 'started', running, trial: host.trialResult(attempt), nowMs: nowMs() });
    }
  }

  async function catchUp(): Promise<void> {
    for (const [product, effect] of [...unsettled]) await perform(product, effect);
    for (const { product, event } of queue.splice(0)) await dispatch(product, event);
    for (const [product, state] of [...states]) {
      // The journal could be written and the counters could not, so that staging was never begun.
      if (state.kind === 'staging' && !tasks.has(product)) startTask(product, state.order);
      await dispatch(product, { kind: 'tick', nowMs: nowMs() });
    }
    if (crash !== undefined) throw crash.error;
  }

  async function dispatchAll(event: Event): Promise<void> {
    for (const product of [...states.keys()]) await dispatch(product, event);
  }

  /** Journal first, then the counters, then the effect: whoever starts after a crash in between carries on. */
  async function dispatch(product: string, event: Event): Promise<void> {
    if (event.kind !== 'started' && unstarted.has(product)) await startAgain(product);
    if (isRestartDue) return;
    if (event.kind !== 'started' && unstarted.has(product)) return putOff(product, event);
    const before = states.get(product) ?? { kind: 'idle' };
    const { state, effect } = step(before, event);
    try {
      if (!isDeepStrictEqual(state, before)) persist(product, state);
    } catch (error) {
      if (!isSystemError(error)) throw error;
      log('error', 'the journal cannot be written', { error: error.message });
      if (event.kind === 'started') unstarted.set(product, event);
      return putOff(product, event);
    }
    if (event.kind === 'started') unstarted.delete(product);
    if (state.kind !== before.kind) log('info', `attempt: ${before.kind} → ${state.kind}`, describe(product, state));
    await perform(product, effect);
  }

  async function startAgain(product: string): Promise<void> {
    const event = unstarted.get(product);
    if (event !== undefined) await dispatch(product, event);
  }

  function putOff(product: string, event: Event): void {
    if (isOnce(event) && queue.length < MAX_QUEUE) queue.push({ product, event });
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
    const raised = orders().reduce(
      ({ epoch, sequence }, order) => ({
        epoch: Math.max(epoch, order.epoch),
        sequence: Math.max(sequence, order.sequence),
      }),
      counters,
    );
    if (isDeepStrictEqual(raised, counters)) return;
    host.saveCounters(raised);
    counters = raised;
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
        isRestartDue = true;
        return;
      case 'confirm':
        host.confirm(effect.order);
        return await dispatch(product, { kind: 'confirmed', attempt: effect.order.attempt });
      case 'undo':
        host.undo(effect.order, effect.cause);
        isRestartDue = true;
        return;
      case 'settle':
        await endTask(product);
        return host.settle(effect.order, effect.outcome, versionsInJournal());
    }
  }

  async function activate(product: string, order: Order): Promise<void> {
    const { attempt } = order;
    const startedMs = nowMs();
    let fault = host.prepare(order);
    if (fault === undefined && nowMs() - startedMs > order.activateWithinMs) {
      fault = { cause: 'interrupted', detail: 'the permission had run out before the swap' };
    }
    fault ??= host.flip(order);
    const event: Event = fault === undefined ? { kind: 'flipped', attempt } : { kind: 'flipFailed', attempt, ...fault };
    await dispatch(product, event);
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
    tasks.set(product, { abort, done: done.finally(onNews) });
  }

  async function endTask(product: string): Promise<void> {
    const task = tasks.get(product);
    tasks.delete(product);
    task?.abort.abort();
    await task?.done;
  }

  async function acknowledge(attempt: string, state: string): Promise<void> {
    for (const [product, held] of [...states]) {
      if (held.kind !== 'ended' || held.order.attempt !== attempt || unsettled.has(product)) continue;
      await dispatch(product, { kind: 'acknowledged', attempt, state });
    }
  }

  function orders(): Order[] {
    return [...states.values()].flatMap((state) => (state.kind === 'idle' ? [] : [state.order]));
  }

  async function stop(): Promise<void> {
    for (const product of [...tasks.keys()]) await endTask(product);
  }

  return {
    states: () => states,
    orders,
    counters: () => counters,
    isRestartDue: () => isRestartDue,
    hasNews: () => queue.length > 0,
    start,
    catchUp,
    dispatch,
    dispatchAll,
    acknowledge,
    stop,
  };
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

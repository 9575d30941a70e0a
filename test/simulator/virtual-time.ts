// Virtual time: one queue of events; the timers of the code under test are events of it, too, so that nothing ever waits.

export interface VirtualTime {
  /** Milliseconds since the world began; never goes back. */
  now(): number;
  /** Runs at that instant, after what was put there before. Returns a way to take it back. */
  at(instant: number, run: () => void): () => void;
  after(ms: number, run: () => void): () => void;
  /** Moves on to the next event and runs it, then lets everything that it set going come to rest. False: nothing is left. */
  step(): Promise<boolean>;
  /** Instant of the next event; Infinity when nothing is left. */
  nextAt(): number;
  /** Lets what is going come to rest without time going on. */
  settle(): Promise<void>;
  /** Called before time moves, with the instants from and to. */
  onAdvance(listener: (from: number, to: number) => void): void;
  /** Moves time by hand inside of an advance. */
  peek(instant: number): void;
  /** While true, timers of the code under test do not fire: its process is stopped. */
  holdTimers(until: number): void;
  /** Takes over setTimeout and clearTimeout of this process; returns the way back. */
  takeOverTimers(): () => void;
}

interface Entry {
  at: number;
  order: number;
  run: (() => void) | undefined;
  isTimer: boolean;
}

const realSetImmediate = setImmediate;
/** So often the process comes by its event loop, where what weak references hold is let go. */
const EVENTS_PER_TURN = 64;

export function createVirtualTime(rounds = 1): VirtualTime {
  const heap: Entry[] = [];
  const listeners: ((from: number, to: number) => void)[] = [];
  let now = 0;
  let order = 0;
  let timersHeldUntil = 0;
  let settled = 0;

  function put(at: number, run: () => void, isTimer: boolean): Entry {
    order += 1;
    const entry = { at: Math.max(at, now), order, run, isTimer };
    push(heap, entry);
    return entry;
  }

  /**
   * Everything in the engine runs on microtasks, which are through when the next tick comes. What goes over HTTP needs a
   * few turns of the event loop, which cost a hundred times as much.
   */
  async function settle(): Promise<void> {
    settled += 1;
    if (rounds === 1 && settled % EVENTS_PER_TURN !== 0)
      return await new Promise((resolve) => process.nextTick(resolve));
    for (let round = 0; round < rounds; round += 1) await new Promise((resolve) => realSetImmediate(resolve));
  }

  return {
    now: () => now,
    at: (instant, run) => cancel(put(instant, run, false)),
    after: (ms, run) => cancel(put(now + ms, run, false)),
    nextAt: () => heap[0]?.at ?? Infinity,
    settle,
    async step() {
      const entry = pop(heap);
      if (entry === undefined) return false;
      if (entry.run === undefined) {
        // What was set going from outside of any event comes to rest here, too, before somebody looks at it.
        await settle();
        return true;
      }
      if (entry.isTimer && entry.at < timersHeldUntil) {
        push(heap, { ...entry, at: timersHeldUntil });
        return true;
      }
      if (entry.at > now) {
        const from = now;
        for (const listener of listeners) listener(from, entry.at);
        now = entry.at;
      }
      entry.run();
      await settle();
      return true;
    },
    onAdvance: (listener) => void listeners.push(listener),
    peek(instant) {
      now = instant;
    },
    holdTimers(until) {
      timersHeldUntil = until;
    },
    takeOverTimers() {
      const { setTimeout: realSet, clearTimeout: realClear } = globalThis;
      const set = (run: (...args: unknown[]) => void, ms = 0, ...args: unknown[]) =>
        new VirtualTimer(put(now + Math.max(1, Number(ms) || 0), () => run(...args), true));
      globalThis.setTimeout = set as unknown as typeof setTimeout;
      globalThis.clearTimeout = ((timer: unknown) => {
        if (timer instanceof VirtualTimer) timer.entry.run = undefined;
        else realClear(timer as NodeJS.Timeout);
      }) as typeof clearTimeout;
      return () => {
        globalThis.setTimeout = realSet;
        globalThis.clearTimeout = realClear;
      };
    },
  };
}

/** What setTimeout gives, as far as it is used. */
class VirtualTimer {
  readonly entry: Entry;
  constructor(entry: Entry) {
    this.entry = entry;
  }
  ref(): this {
    return this;
  }
  unref(): this {
    return this;
  }
  hasRef(): boolean {
    return true;
  }
}

function cancel(entry: Entry): () => void {
  return () => {
    entry.run = undefined;
  };
}

function isBefore(a: Entry, b: Entry): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order);
}

function push(heap: Entry[], entry: Entry): void {
  heap.push(entry);
  for (let at = heap.length - 1; at > 0; ) {
    const parent = (at - 1) >> 1;
    if (!isBefore(heap[at] as Entry, heap[parent] as Entry)) return;
    [heap[at], heap[parent]] = [heap[parent] as Entry, heap[at] as Entry];
    at = parent;
  }
}

function pop(heap: Entry[]): Entry | undefined {
  const first = heap[0];
  const last = heap.pop();
  if (first === undefined || last === undefined || heap.length === 0) return first;
  heap[0] = last;
  for (let at = 0; ; ) {
    const [left, right] = [2 * at + 1, 2 * at + 2];
    let least = at;
    if (left < heap.length && isBefore(heap[left] as Entry, heap[least] as Entry)) least = left;
    if (right < heap.length && isBefore(heap[right] as Entry, heap[least] as Entry)) least = right;
    if (least === at) return first;
    [heap[at], heap[least]] = [heap[least] as Entry, heap[at] as Entry];
    at = least;
  }
}

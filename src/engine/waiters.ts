// Long polls that are parked until something may have changed for their agent; at most one per agent.
import type { Room, Wake } from './memory.ts';
import type { Roster } from './roster.ts';

export interface Waiters {
  /** Resolves when woken, after `waitMs`, or when the signal aborts; true when woken. A later poll of the agent ends this one. */
  park(handle: number, waitMs: number, signal: AbortSignal): Promise<boolean>;
  /** Ends the agent's earlier poll, as one that does not wait. */
  end(handle: number): void;
  wake(wakes: readonly Wake[]): void;
  /** Ends all of them. */
  close(): void;
  readonly size: number;
}

export function openWaiters(roster: Roster): Waiters {
  const parked = new Map<number, (woken: boolean) => void>();
  let closed = false;

  function wakeAll(product: string, region: string): void {
    for (const [handle, end] of [...parked]) {
      const entry = roster.entry(handle);
      if (entry?.region === region && entry.products.some((one) => one.product === product)) end(true);
    }
  }

  /** As many as can start: woken all at once, thousands would ask the ledger for the same few slots. */
  function wakeStaged(laneId: string, room: Room): void {
    const left = new Map(room.steps);
    let slots = room.lane;
    if (slots <= 0) return;
    for (const { handle, step } of roster.stagedIn(laneId)) {
      const end = parked.get(handle);
      const free = left.get(step) ?? 0;
      if (end === undefined || free <= 0) continue;
      end(true);
      left.set(step, free - 1);
      slots -= 1;
      if (slots <= 0) return;
    }
  }

  return {
    park(handle, waitMs, signal) {
      parked.get(handle)?.(false);
      if (closed || signal.aborted || waitMs <= 0) return Promise.resolve(false);
      return new Promise((resolve) => {
        const timer = setTimeout(() => end(false), waitMs);
        const onAbort = () => end(false);
        function end(woken: boolean): void {
          clearTimeout(timer);
          signal.removeEventListener('abort', onAbort);
          if (parked.get(handle) === end) parked.delete(handle);
          resolve(woken);
        }
        signal.addEventListener('abort', onAbort, { once: true });
        parked.set(handle, end);
      });
    },
    end(handle) {
      parked.get(handle)?.(false);
    },
    wake(wakes) {
      for (const wake of wakes) {
        if ('handle' in wake) parked.get(wake.handle)?.(true);
        else if ('region' in wake) wakeAll(wake.product, wake.region);
        else wakeStaged(wake.laneId, wake.room);
      }
    },
    close() {
      closed = true;
      for (const end of [...parked.values()]) end(false);
    },
    get size() {
      return parked.size;
    },
  };
}

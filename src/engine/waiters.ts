// Long polls that are parked until something may have changed for their agent; at most one per agent.
import type { DownloadRoom, Room, Wake } from './memory.ts';
import type { Roster } from './roster.ts';

export interface Waiters {
  /**
   * Resolves when woken, after `waitMs`, or when the signal aborts; true when woken. A later poll of the agent ends this
   * one. `forDownload`: it waits for room to download.
   */
  park(handle: number, waitMs: number, signal: AbortSignal, forDownload?: boolean): Promise<boolean>;
  /** Ends the agent's earlier poll, as one that does not wait. */
  end(handle: number): void;
  wake(wakes: readonly Wake[]): void;
  /** Ends all of them. */
  close(): void;
  readonly size: number;
}

export function openWaiters(roster: Roster): Waiters {
  const parked = new Map<number, (woken: boolean) => void>();
  /** Those that wait for room to download, the longest first. */
  const thirsty = new Set<number>();
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

  /** Whoever were woken in vain would be told to come back much later, so it is no more than may download. */
  function wakeThirsty(rooms: readonly DownloadRoom[]): void {
    let fleet = Math.min(...rooms.map((room) => room.fleet));
    const left = new Map<string, number>();
    for (const { region, downloads } of rooms) left.set(region, Math.max(left.get(region) ?? 0, downloads));
    for (const handle of rooms.length === 0 ? [] : thirsty) {
      if (fleet <= 0) return;
      const region = roster.entry(handle)?.region ?? '';
      const here = left.get(region) ?? 0;
      if (here <= 0) continue;
      parked.get(handle)?.(true);
      left.set(region, here - 1);
      fleet -= 1;
    }
  }

  return {
    park(handle, waitMs, signal, forDownload = false) {
      parked.get(handle)?.(false);
      if (closed || signal.aborted || waitMs <= 0) return Promise.resolve(false);
      return new Promise((resolve) => {
        const timer = setTimeout(() => end(false), waitMs);
        const onAbort = () => end(false);
        function end(woken: boolean): void {
          clearTimeout(timer);
          signal.removeEventListener('abort', onAbort);
          if (parked.get(handle) === end) {
            parked.delete(handle);
            thirsty.delete(handle);
          }
          resolve(woken);
        }
        signal.addEventListener('abort', onAbort, { once: true });
        parked.set(handle, end);
        if (forDownload) thirsty.add(handle);
      });
    },
    end(handle) {
      parked.get(handle)?.(false);
    },
    wake(wakes) {
      for (const wake of wakes) {
        if ('handle' in wake) parked.get(wake.handle)?.(true);
        else if ('downloads' in wake) continue;
        else if ('region' in wake) wakeAll(wake.product, wake.region);
        else wakeStaged(wake.laneId, wake.room);
      }
      wakeThirsty(wakes.filter((wake) => 'downloads' in wake));
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

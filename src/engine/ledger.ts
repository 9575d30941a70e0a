// The ledger's queue: everything that agents make durable is committed in batches, and a reply waits for its own commit.
import { AppError } from '../errors.ts';

const MAX_QUEUE = 20_000;
const MAX_BATCH = 500;
// Longer windows cost more CPU than they save; while one batch commits, the next one gathers anyway.
const WINDOW_MS = 2;

export interface Ledger<Item, Result> {
  /** Resolves after the commit that the result speaks of. Throws `overloaded` when the queue is full or closed. */
  submit(item: Item): Promise<Result>;
  /** Commits what is queued, then refuses. */
  close(): Promise<void>;
  stats(): { batches: number; items: number; largest: number };
}

/** What became of one item of a batch. */
export type Settled<Result> = { ok: true; result: Result } | { ok: false; error: unknown };

/**
 * `commit` writes one batch in one transaction and returns what became of each item, in order; a refused item is a
 * value there. When it throws, nothing was written (but see `CommitInDoubt`): the batch is halved
 * until the one bad item stands alone, unless an AppError says why none of them can be written now.
 */
export function openLedger<Item, Result>(
  commit: (items: readonly Item[]) => Promise<Settled<Result>[]>,
): Ledger<Item, Result> {
  const queue: { item: Item; resolve: (result: Result) => void; reject: (error: unknown) => void }[] = [];
  const stats = { batches: 0, items: 0, largest: 0 };
  let running: Promise<void> | undefined;
  let closed = false;

  async function drain(): Promise<void> {
    await new Promise((resolve) => setTimeout(resolve, WINDOW_MS));
    while (queue.length > 0) await settle(queue.splice(0, MAX_BATCH));
    running = undefined;
  }

  async function settle(batch: typeof queue): Promise<void> {
    try {
      const results = await commit(batch.map((one) => one.item));
      stats.batches += 1;
      stats.items += batch.length;
      stats.largest = Math.max(stats.largest, batch.length);
      batch.forEach((one, index) => {
        const settled = results[index];
        if (settled?.ok === true) one.resolve(settled.result);
        else one.reject(settled?.error);
      });
    } catch (error) {
      // Not for the sake of one item: the database is away, or another server's.
      if (batch.length === 1 || error instanceof AppError) {
        for (const one of batch) one.reject(error);
        return;
      }
      const half = Math.ceil(batch.length / 2);
      await settle(batch.slice(0, half));
      await settle(batch.slice(half));
    }
  }

  return {
    submit(item) {
      if (closed || queue.length >= MAX_QUEUE) {
        return Promise.reject(
          new AppError('overloaded', closed ? 'the server is stopping' : 'too many reports are waiting to be written', {
            retryAfterMs: 5_000,
          }),
        );
      }
      return new Promise((resolve, reject) => {
        queue.push({ item, resolve, reject });
        running ??= drain();
      });
    },
    async close() {
      closed = true;
      while (running !== undefined) await running;
    },
    stats: () => ({ ...stats }),
  };
}

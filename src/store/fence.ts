// Keeps a server from writing once another one has taken over from it, or its database was restored: asked in every transaction.
import { AppError } from '../errors.ts';
import { isPostgres, prepared } from './prepared.ts';
import type { Db, Tx } from './schema.ts';

export interface Fence {
  /** Throws `not_ready` where the database has another epoch or term by now, and from then on always. */
  check(tx: Tx): Promise<void>;
  /** What the first check that failed has thrown; null: this server is still the one. */
  lost(): AppError | null;
}

/** `epoch`: raised by a restore; `term`: by each server that takes over. Both as this server has read them at its start. */
export function openFence(mine: { epoch: number; term: number }): Fence {
  let lost: AppError | null = null;
  return {
    async check(tx) {
      if (lost === null) lost = whyFenced(mine, await readBoth(tx));
      if (lost !== null) throw lost;
    },
    lost: () => lost,
  };
}

function whyFenced(mine: { epoch: number; term: number }, stored: { epoch: number; term: number }): AppError | null {
  if (stored.epoch !== mine.epoch) {
    return new AppError('not_ready', 'the database was restored while this server was running', {
      hint: 'Restart the server: what it has in memory is of before.',
    });
  }
  if (stored.term === mine.term) return null;
  return new AppError('not_ready', 'another server has taken over this database', {
    hint: 'One server at a time runs on a database: the one that was started last. Stop this one.',
  });
}

async function readBoth(tx: Tx): Promise<{ epoch: number; term: number }> {
  const { rows } = await BOTH(tx);
  const of = (key: string) => Number(rows.find((row) => row.key === key)?.value);
  return { epoch: of('epoch'), term: of('term') };
}

// Locked against a change until the commit: who raises one of them waits for it, and then reads all that was written.
const BOTH = prepared((db: Db | Tx) =>
  db
    .selectFrom('meta')
    .select(['key', 'value'])
    .where('key', 'in', ['epoch', 'term'])
    .$if(isPostgres(db), (query) => query.orderBy('key').forShare())
    .compile(),
);

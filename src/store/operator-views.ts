// The questions that only the operator's screens ask: who has this name, which releases there are, and what is the baseline.
import type { ReleaseState } from '../domain/release.ts';
import { isEnrolled } from './agents.ts';
import type { Db, Tx } from './schema.ts';

/** Ids in order of those that are enrolled, at most `limit`: names are the hosts' own and need not be unique. */
export async function agentIdsByName(db: Db | Tx, name: string, limit: number): Promise<string[]> {
  const named = db.selectFrom('agents').select('id').where('name', '=', name).where(isEnrolled);
  const rows = await named.orderBy('id').limit(limit).execute();
  return rows.map((row) => row.id);
}

export interface ReleaseHead {
  product: string;
  tag: string;
  version: string;
  sortKey: string;
  state: ReleaseState;
  why: string | null;
  prerelease: boolean;
  /** Milliseconds since the epoch. */
  publishedAt: number;
}

/** Every known release by product, in whatever state, highest version first; without artifacts. */
export async function releaseHeads(db: Db | Tx): Promise<Map<string, ReleaseHead[]>> {
  const rows = await db
    .selectFrom('releases')
    .select(['product', 'tag', 'version', 'sort_key', 'state', 'why', 'prerelease', 'published_at'])
    .orderBy('id', 'desc')
    .execute();
  const heads = rows.map(({ sort_key, published_at, prerelease, ...same }) => ({
    ...same,
    sortKey: sort_key,
    prerelease: prerelease === 1,
    publishedAt: published_at,
  }));
  // Sorted here: the sort key is ordered by bytes, which a collation of PostgreSQL may see otherwise.
  heads.sort((a, b) => (a.sortKey < b.sortKey ? 1 : a.sortKey > b.sortKey ? -1 : 0));
  return Map.groupBy(heads, (head) => head.product);
}

/** The regions' baselines in force by product, ordered by region: `state` is that of their baseline lane. */
export async function baselinesInForce(
  db: Db | Tx,
): Promise<Map<string, { region: string; version: string; state: string }[]>> {
  const rows = await db
    .selectFrom('lanes')
    .innerJoin('rollouts', 'rollouts.id', 'lanes.rollout_id')
    .select(['lanes.product', 'lanes.region', 'rollouts.version', 'lanes.state'])
    .where('lanes.kind', '=', 'baseline')
    .where('lanes.state', 'in', ['open', 'halted'])
    .orderBy('lanes.region')
    .execute();
  const views = rows.map(({ product, ...view }) => ({ product, view }));
  return new Map(
    [...Map.groupBy(views, (row) => row.product)].map(([name, list]) => [name, list.map((row) => row.view)]),
  );
}

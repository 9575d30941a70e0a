// Reads what was committed since the last look: the new audit rows, and the rows of today that the promises compare.
import { deepEqual } from 'node:assert/strict';
import { type RawBuilder, sql } from 'kysely';
import type { Policy } from '../../src/domain/policy.ts';
import type { Database, Tx } from '../../src/store/database.ts';
import { prepared } from '../../src/store/prepared.ts';

export interface AuditRow {
  seq: number;
  at: number;
  actor: string;
  action: string;
  subject: string;
  data: Record<string, unknown>;
}

export interface AttemptRow {
  id: string;
  agent_id: string;
  lane_id: string;
  step: number;
  member: number;
  budget_epoch: number;
  product: string;
  version: string;
  from_version: string;
  platform: string;
  sha256: string;
  state: string;
  live: number;
  hot: number;
  granted_at: number | null;
  corrected: number;
  hop: number;
}

export interface LaneRow {
  id: string;
  rollout_id: string;
  kind: string;
  product: string;
  region: string;
  wave: number;
  state: string;
  budget_epoch: number;
  version: string;
  ended_at: number | null;
  policy: Policy;
}

/** Everything that a promise may compare after a commit. */
export interface Books {
  /** What this commit has recorded, in order. */
  news: AuditRow[];
  /** The attempts that the news are about, by id. */
  attempts: Map<string, AttemptRow>;
  live: AttemptRow[];
  /** All lanes, by id. */
  lanes: Map<string, LaneRow>;
  /** Ids of lanes with an open hold, and its reason. */
  holds: Map<string, string>;
  vetoes: Set<string>;
  brakes: Set<string>;
}

const ATTEMPT =
  'id, agent_id, lane_id, step, member, budget_epoch, product, version, from_version, platform, sha256, state, live, hot, granted_at, corrected, hop';

const NEWS = prepared((db, seq: RawBuilder<number>) =>
  sql<Omit<AuditRow, 'data'> & { data: string }>`
    select seq, at, actor, action, subject, data from audit where seq > ${seq} order by seq`.compile(db),
);
const ATTEMPTS = prepared((db, ids: RawBuilder<string>) =>
  sql<AttemptRow>`select ${sql.raw(ATTEMPT)} from attempts where id in (select value from json_each(${ids}))`.compile(
    db,
  ),
);
const LIVE_ATTEMPTS = prepared((db) =>
  sql<AttemptRow>`select ${sql.raw(ATTEMPT)} from attempts where live = 1`.compile(db),
);
const LANES = prepared((db) =>
  sql<Omit<LaneRow, 'policy'>>`
    select l.id, l.rollout_id, l.kind, l.product, l.region, l.wave, l.state, l.budget_epoch, r.version, r.ended_at
    from lanes l join rollouts r on r.id = l.rollout_id`.compile(db),
);
const POLICY = prepared((db, id: RawBuilder<string>) =>
  sql<{ policy: string }>`select policy from rollouts where id = ${id}`.compile(db),
);
const HOLDS = prepared((db) =>
  sql<{ lane_id: string; reason: string }>`select lane_id, reason from lane_holds where ended_at is null`.compile(db),
);
const VETOES = prepared((db) => sql<{ key: string }>`select product || '@' || version as key from vetoes`.compile(db));
const BRAKES = prepared((db) => sql<{ scope: string }>`select scope from brakes`.compile(db));

export interface Reader {
  read(): Promise<Books>;
  /** As far as the audit was read. */
  at(): number;
  /** Of a database that was taken back. */
  goTo(seq: number): void;
}

/** Every so many looks all is read anew, and must be what was remembered. */
const WHOLE_EVERY = 12;

/**
 * Reads it in one transaction: no more than one commit can lie between two looks. `isWritten` says whether a statement
 * has named one of these tables since the look before; where none has, the rows are those of then.
 */
export function createReader(database: () => Database, isWritten: (...tables: string[]) => boolean): Reader {
  let lastSeq = 0;
  let looks = 0;
  let known: Omit<Books, 'news' | 'attempts'> | undefined;
  const policies = new Map<string, Policy>();

  /** A rollout keeps its policy. */
  async function policyOf(tx: Tx, id: string): Promise<Policy> {
    const known = policies.get(id) ?? (JSON.parse((await POLICY(tx, id)).rows[0]?.policy ?? 'null') as Policy);
    policies.set(id, known);
    return known;
  }

  const read = () =>
    database()
      .db.transaction()
      .execute(async (tx) => {
        const news = (await NEWS(tx, lastSeq)).rows.map((row) => ({
          ...row,
          data: JSON.parse(row.data) as Record<string, unknown>,
        }));
        lastSeq = news.at(-1)?.seq ?? lastSeq;
        const ids = new Set(news.filter((row) => row.action.startsWith('attempt.')).map((row) => row.subject));
        const attempts = ids.size === 0 ? [] : (await ATTEMPTS(tx, JSON.stringify([...ids]))).rows;
        known = await rowsOf(tx, known);
        looks += 1;
        if (looks % WHOLE_EVERY === 0) deepEqual(known, await rowsOf(tx, undefined));
        return { news, attempts: new Map(attempts.map((row) => [row.id, row])), ...known };
      });

  async function rowsOf(tx: Tx, before: typeof known): Promise<NonNullable<typeof known>> {
    const kept = <Key extends keyof NonNullable<typeof known>>(key: Key, ...tables: string[]) =>
      before === undefined || isWritten(...tables) ? undefined : before[key];
    return {
      live: kept('live', 'attempts') ?? (await LIVE_ATTEMPTS(tx)).rows,
      lanes: kept('lanes', 'lanes', 'rollouts') ?? (await lanesOf(tx)),
      holds: kept('holds', 'lane_holds') ?? new Map((await HOLDS(tx)).rows.map((row) => [row.lane_id, row.reason])),
      vetoes: kept('vetoes', 'vetoes') ?? new Set((await VETOES(tx)).rows.map((row) => row.key)),
      brakes: kept('brakes', 'brakes') ?? new Set((await BRAKES(tx)).rows.map((row) => row.scope)),
    };
  }

  async function lanesOf(tx: Tx): Promise<Map<string, LaneRow>> {
    const lanes = new Map<string, LaneRow>();
    for (const row of (await LANES(tx)).rows) lanes.set(row.id, { ...row, policy: await policyOf(tx, row.rollout_id) });
    return lanes;
  }

  return {
    read,
    at: () => lastSeq,
    goTo(seq) {
      lastSeq = seq;
      known = undefined;
    },
  };
}

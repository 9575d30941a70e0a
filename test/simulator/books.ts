// Reads what was committed since the last look: the new audit rows, and the rows of today that the promises compare.
import { CompiledQuery } from 'kysely';
import type { Policy } from '../../src/domain/policy.ts';
import type { Database } from '../../src/store/database.ts';

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

export function createReader(database: Database): () => Promise<Books> {
  let lastSeq = 0;
  const policies = new Map<string, Policy>();
  const read = async <T>(text: string, parameters: unknown[] = []): Promise<T[]> =>
    (await database.db.executeQuery<T>(CompiledQuery.raw(text, parameters))).rows;

  return async () => {
    const rows = await read<Omit<AuditRow, 'data'> & { data: string }>(
      'select seq, at, actor, action, subject, data from audit where seq > ? order by seq',
      [lastSeq],
    );
    const news = rows.map((row) => ({ ...row, data: JSON.parse(row.data) as Record<string, unknown> }));
    lastSeq = news.at(-1)?.seq ?? lastSeq;
    const ids = [...new Set(news.filter((row) => row.action.startsWith('attempt.')).map((row) => row.subject))];
    const marks = ids.map(() => '?').join(', ');
    const attempts =
      ids.length === 0 ? [] : await read<AttemptRow>(`select ${ATTEMPT} from attempts where id in (${marks})`, ids);
    const lanes = await read<Omit<LaneRow, 'policy'> & { policy: string }>(
      'select l.id, l.rollout_id, l.kind, l.product, l.region, l.wave, l.state, l.budget_epoch, r.version, r.ended_at, r.policy from lanes l join rollouts r on r.id = l.rollout_id',
    );
    const policyOf = (id: string, text: string) => {
      const known = policies.get(id) ?? (JSON.parse(text) as Policy);
      policies.set(id, known);
      return known;
    };
    return {
      news,
      attempts: new Map(attempts.map((row) => [row.id, row])),
      live: await read<AttemptRow>(`select ${ATTEMPT} from attempts where live = 1`),
      lanes: new Map(lanes.map((row) => [row.id, { ...row, policy: policyOf(row.rollout_id, row.policy) }])),
      holds: new Map(
        (
          await read<{ lane_id: string; reason: string }>(
            'select lane_id, reason from lane_holds where ended_at is null',
          )
        ).map((row) => [row.lane_id, row.reason]),
      ),
      vetoes: new Set(
        (await read<{ key: string }>("select product || '@' || version as key from vetoes")).map((row) => row.key),
      ),
      brakes: new Set((await read<{ scope: string }>('select scope from brakes')).map((row) => row.scope)),
    };
  };
}

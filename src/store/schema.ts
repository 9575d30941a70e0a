// The tables as kysely sees them: column types as stored (times in milliseconds, flags 0 or 1, JSON as text).
import type { Kysely, Transaction } from 'kysely';
import type { AttemptState } from '../domain/attempt.ts';
import type { AvailabilityStatus } from '../domain/availability.ts';
import type { HoldReason } from '../domain/holds.ts';
import type { ReleaseState } from '../domain/release.ts';
import type { LaneStateName } from '../domain/rollout.ts';

/** A handle for reading; inside a transaction use its `Tx` instead, on SQLite the two would wait for each other. */
export type Db = Kysely<DB>;
/** A transaction in hand: what every write asks for. */
export type Tx = Transaction<DB>;

type Flag = 0 | 1;

export interface DB {
  schema_version: { version: number; name: string; sha256: string; applied_at: number };
  meta: { key: string; value: string };
  sources: {
    product: string;
    etag: string | null;
    last_attempt_at: number | null;
    last_success_at: number | null;
    next_poll_at: number | null;
    failures: number;
    error_code: string | null;
    error: string | null;
    rejected_tags: string;
    rejected_count: number;
    notice: string | null;
    doubted: string | null;
  };
  releases: {
    id: string;
    product: string;
    source_id: string;
    tag: string;
    version: string;
    sort_key: string;
    prerelease: Flag;
    state: ReleaseState;
    why: string | null;
    published_at: number;
    first_seen_at: number;
    missing: string;
  };
  artifacts: { release_id: string; platform: string; name: string; size: number; sha256: string; asset_id: string };
  availability: {
    product: string;
    version: string;
    region: string;
    platform: string;
    status: AvailabilityStatus;
    why: string;
    since: number;
    checked_at: number;
    /** The last that was known is that it is absent. */
    was_absent: Flag;
  };
  vetoes: { product: string; version: string; automatic: Flag; actor: string; reason: string; at: number };
  clearances: { agent_id: string; rollout_id: string; sequence: number; actor: string; reason: string; at: number };
  unenrolled_agents: { agent_id: string; public_key: string; actor: string; reason: string; at: number };
  pins: { agent_id: string; product: string; version: string; actor: string; reason: string; at: number };
  schedules: { product: string; considered_at: number; schedules: string | null };
  metric_tallies: {
    lane_id: string;
    step: number;
    budget_epoch: number;
    metric: string;
    good: number;
    failed: number;
    inconclusive: number;
    errors: number;
    at: number;
    shown: string;
  };
  brakes: { scope: string; actor: string; reason: string; at: number; since_observed: number };
  enrol_tokens: {
    id: string;
    secret_hash: string;
    region: string;
    labels: string;
    max_uses: number;
    uses: number;
    created_by: string;
    created_at: number;
    expires_at: number;
  };
  operator_tokens: {
    id: string;
    name: string;
    secret_hash: string;
    created_at: number;
    expires_at: number | null;
    revoked_at: number | null;
  };
  agents: {
    id: string;
    handle: number;
    name: string;
    region: string;
    platform: string;
    labels: string;
    public_key: string;
    enrol_token_id: string;
    enrolled_at: number;
    sequence: number;
    facts: string | null;
    health: 'ok' | 'unhealthy';
    health_reason: string | null;
    revision: number;
  };
  agent_products: { agent_id: string; product: string; version: string; digest: string };
  agent_seen: { handle: number; seen_at: number };
  stale_agents: { agent_id: string };
  rollouts: {
    id: string;
    product: string;
    release_id: string;
    version: string;
    policy: string;
    seed: number;
    created_at: number;
    ended_at: number | null;
  };
  lanes: {
    id: string;
    rollout_id: string;
    product: string;
    region: string;
    wave: number;
    state: LaneStateName;
    live: Flag;
    detail: string;
    budget_epoch: number;
    allowance: number;
    revision: number;
    kind: 'rollout' | 'baseline';
    approvals: string;
  };
  steps: {
    lane_id: string;
    step: number;
    opened_at: number;
    size: number;
    members: string;
    threshold: number;
    threshold_id: string;
    done: Flag;
    pending: number;
    downloading: number;
    hot: number;
    hot_members: number;
    succeeded: number;
    bad: number;
    bad_members: number;
    bad_hops: number;
    declined: number;
    failed_before_grant: number;
    inconclusive: number;
    exhausted: number;
  };
  lane_holds: {
    lane_id: string;
    reason: HoldReason;
    sentence: string;
    since: number;
    until: number | null;
    ended_at: number | null;
  };
  attempts: {
    id: string;
    agent_id: string;
    rollout_id: string;
    lane_id: string;
    step: number;
    member: Flag;
    budget_epoch: number;
    product: string;
    version: string;
    platform: string;
    sha256: string;
    size: number;
    from_version: string;
    from_digest: string;
    sequence: number;
    state: AttemptState;
    live: Flag;
    hot: Flag;
    offered_at: number;
    granted_at: number | null;
    ended_at: number | null;
    deadline_observed: number;
    cause: string | null;
    detail: string | null;
    corrected: Flag;
    hop: Flag;
  };
  baselines: { product: string; region: string; version: string; release_id: string; at: number };
  audit: {
    seq: number;
    at: number;
    actor: string;
    action: string;
    subject: string;
    data: string;
    prev_hash: string;
    hash: string;
  };
}

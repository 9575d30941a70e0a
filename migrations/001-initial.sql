-- One text for SQLite and PostgreSQL: the migrator writes INTEGER as BIGINT for PostgreSQL and adds STRICT for SQLite.
-- Times are milliseconds since the epoch; *_observed are milliseconds of observed time; ids are UUIDv7 made by us.

create table meta (
  key text primary key,
  value text not null
);

-- What the tracker knows of one product's repository.
create table sources (
  product text primary key,
  etag text,
  last_attempt_at integer,
  last_success_at integer,
  next_poll_at integer,
  failures integer not null default 0,
  error_code text,
  error text,
  rejected_tags text not null default '[]'
);

create table releases (
  id text primary key,
  product text not null,
  source_id text not null,
  tag text not null,
  version text not null,
  sort_key text not null,
  prerelease integer not null check (prerelease in (0, 1)),
  state text not null check (state in ('announced', 'pending', 'complete', 'withdrawn', 'altered', 'refused')),
  why text,
  published_at integer not null,
  first_seen_at integer not null,
  missing text not null default '[]'
);
create unique index releases_by_source on releases (product, source_id);
create index releases_by_order on releases (product, sort_key);

create table artifacts (
  release_id text not null references releases (id),
  platform text not null,
  name text not null,
  size integer not null check (size > 0),
  sha256 text not null,
  asset_id text not null,
  primary key (release_id, platform)
);
create index artifacts_by_digest on artifacts (sha256);

create table availability (
  product text not null,
  version text not null,
  region text not null,
  platform text not null,
  status text not null check (status in ('available', 'absent', 'unknown')),
  why text not null,
  since integer not null,
  checked_at integer not null,
  primary key (product, version, region, platform)
);

create table vetoes (
  product text not null,
  version text not null,
  automatic integer not null check (automatic in (0, 1)),
  actor text not null,
  reason text not null,
  at integer not null,
  primary key (product, version)
);

-- scope: `fleet`, `product:<name>` or `region:<name>`.
create table brakes (
  scope text primary key,
  actor text not null,
  reason text not null,
  at integer not null,
  -- A brake stops soaks: the time that it takes out of them begins here.
  since_observed integer not null
);

create table enrol_tokens (
  id text primary key,
  secret_hash text not null,
  region text not null,
  labels text not null,
  max_uses integer not null check (max_uses > 0),
  uses integer not null default 0 check (uses <= max_uses),
  created_by text not null,
  created_at integer not null,
  expires_at integer not null
);

create table operator_tokens (
  id text primary key,
  name text not null,
  secret_hash text not null unique,
  created_at integer not null,
  expires_at integer,
  revoked_at integer
);

create table agents (
  id text primary key,
  -- Small number that stands for the agent in session tokens, bitsets and the roster.
  handle integer not null unique,
  name text not null,
  region text not null,
  platform text not null,
  labels text not null,
  public_key text not null unique,
  enrol_token_id text not null references enrol_tokens (id),
  enrolled_at integer not null,
  -- Sequence of the newest attempt; never decreases.
  sequence integer not null default 0,
  facts text,
  health text not null default 'ok',
  health_reason text,
  revision integer not null default 0
);

create table agent_products (
  agent_id text not null references agents (id),
  product text not null,
  version text not null,
  digest text not null,
  primary key (agent_id, product)
);

-- Narrow on purpose: flushed in batches.
create table agent_seen (
  handle integer primary key,
  seen_at integer not null
);

create table rollouts (
  id text primary key,
  product text not null,
  release_id text not null references releases (id),
  version text not null,
  policy text not null,
  seed integer not null,
  created_at integer not null,
  ended_at integer
);
create unique index rollouts_by_version on rollouts (product, version);

create table lanes (
  id text primary key,
  rollout_id text not null references rollouts (id),
  product text not null,
  region text not null,
  wave integer not null,
  state text not null check (state in ('waiting', 'open', 'soaking', 'approval', 'paused', 'halted', 'rolling_back',
    'rolled_back', 'completed', 'superseded', 'cancelled')),
  live integer not null check (live = case when state in ('open', 'soaking', 'approval', 'paused', 'rolling_back')
    then 1 else 0 end),
  -- The state's own data, JSON.
  detail text not null,
  budget_epoch integer not null default 0,
  allowance integer not null default 0,
  revision integer not null default 0
);
-- Indexes and not constraints of the table: SQLite can drop the one and not the other.
create unique index lanes_by_rollout on lanes (rollout_id, region);
create unique index lanes_one_live on lanes (product, region) where live = 1;
create index lanes_by_state on lanes (product, region, state);

create table steps (
  lane_id text not null references lanes (id),
  step integer not null,
  opened_at integer not null,
  size integer not null,
  -- base64 of a bitset over agent handles: who was frozen into the step.
  members text not null,
  -- Inside: rank lower than this, or equal with an id not after threshold_id.
  threshold integer not null,
  threshold_id text not null,
  done integer not null default 0 check (done in (0, 1)),
  -- Counters of the lane's present budget epoch; each equals the fold of the attempts (checked).
  pending integer not null default 0,
  hot integer not null default 0,
  hot_members integer not null default 0,
  succeeded integer not null default 0,
  bad integer not null default 0,
  bad_members integer not null default 0,
  declined integer not null default 0,
  failed_before_grant integer not null default 0,
  inconclusive integer not null default 0,
  exhausted integer not null default 0,
  primary key (lane_id, step)
);

create table lane_holds (
  lane_id text not null references lanes (id),
  reason text not null,
  sentence text not null,
  since integer not null,
  until integer,
  ended_at integer,
  primary key (lane_id, since, reason)
);
create unique index lane_holds_one_open on lane_holds (lane_id) where ended_at is null;

create table attempts (
  id text primary key,
  agent_id text not null references agents (id),
  rollout_id text not null references rollouts (id),
  lane_id text not null references lanes (id),
  step integer not null,
  member integer not null check (member in (0, 1)),
  budget_epoch integer not null,
  product text not null,
  version text not null,
  platform text not null,
  sha256 text not null,
  size integer not null,
  from_version text not null,
  from_digest text not null,
  sequence integer not null,
  state text not null check (state in ('offered', 'staged', 'granted', 'activating', 'proving', 'succeeded',
    'rolled_back', 'failed', 'inconclusive', 'declined', 'expired', 'withdrawn', 'lost')),
  live integer not null check (live = case when state in ('offered', 'staged', 'granted', 'activating', 'proving')
    then 1 else 0 end),
  hot integer not null check (hot = case when state in ('granted', 'activating', 'proving') then 1 else 0 end),
  offered_at integer not null,
  granted_at integer,
  ended_at integer,
  deadline_observed integer not null,
  cause text,
  detail text,
  corrected integer not null default 0 check (corrected in (0, 1))
);
create unique index attempts_one_live on attempts (agent_id, product) where live = 1;
create unique index attempts_one_hot on attempts (agent_id) where hot = 1;
create index attempts_by_lane on attempts (lane_id, state, step);
create index attempts_by_agent on attempts (agent_id, product, version);
create index attempts_by_deadline on attempts (deadline_observed) where live = 1;

-- The newest baseline that is not vetoed, withdrawn or altered is the region's: older ones are kept for that.
create table baselines (
  product text not null,
  region text not null,
  version text not null,
  release_id text not null references releases (id),
  at integer not null,
  primary key (product, region, version)
);

-- hash = SHA-256 over the previous hash and this row: a changed or missing row breaks the chain.
create table audit (
  seq integer primary key,
  at integer not null,
  actor text not null,
  action text not null,
  subject text not null,
  data text not null,
  prev_hash text not null,
  hash text not null
);
-- The end of the chain stands apart, so that rows cut off at the end are missed too, and so that two appenders on
-- PostgreSQL meet in one row that they must both lock.
insert into meta (key, value)
  values ('audit_head', '{"seq":0,"hash":"0000000000000000000000000000000000000000000000000000000000000000"}');

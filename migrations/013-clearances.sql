-- A person's word that what an agent has tried at a release does not keep it from trying again: up to which of its attempts.
create table clearances (
  agent_id text not null references agents (id),
  rollout_id text not null references rollouts (id),
  sequence integer not null,
  actor text not null,
  reason text not null,
  at integer not null,
  primary key (agent_id, rollout_id)
);

-- A person's word that an agent is left alone at a product; who lifts it stands in the audit.
create table pins (
  agent_id text not null references agents (id),
  product text not null,
  -- What the agent ran when it was pinned.
  version text not null,
  actor text not null,
  reason text not null,
  at integer not null,
  primary key (agent_id, product)
);

-- Agents that have not reported since the database was restored from a backup: what it says of them is old.
create table stale_agents (
  agent_id text primary key references agents (id)
);

-- Agents that a person has taken out of the fleet. Their rows and attempts stay, since counters are the fold of those;
-- their keys are kept here, so that the same host may enrol again as another agent.
create table unenrolled_agents (
  agent_id text primary key references agents (id),
  public_key text not null,
  actor text not null,
  reason text not null,
  at integer not null
);

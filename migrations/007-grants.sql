-- What the ceilings per hour and day count, and who is downloading.
create index attempts_by_grant on attempts (granted_at) where granted_at is not null;
create index attempts_offered on attempts (agent_id) where state = 'offered';

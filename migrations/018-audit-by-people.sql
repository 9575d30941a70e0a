-- What people did is asked for most, and is a small part of what is recorded.
create index audit_by_people on audit (seq)
  where actor <> 'tidegate' and actor <> 'system' and substr(actor, 1, 6) <> 'agent:';

-- When a product's schedule was looked at last: a run that was missed since then is taken once.
create table schedules (
  product text primary key,
  considered_at integer not null
);

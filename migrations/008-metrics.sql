-- What metrics have said of a step, one row for each metric, step and budget epoch: samples are counted, not kept.
create table metric_tallies (
  lane_id text not null references lanes (id),
  step integer not null,
  budget_epoch integer not null,
  metric text not null,
  good integer not null default 0,
  failed integer not null default 0,
  inconclusive integer not null default 0,
  errors integer not null default 0,
  at integer not null,
  shown text not null,
  primary key (lane_id, step, budget_epoch, metric)
);

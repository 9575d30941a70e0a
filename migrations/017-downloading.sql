-- Offered attempts among the pending ones: the agents of a step that download now.
alter table steps add column downloading integer not null default 0;
update steps set downloading = (
  select count(distinct a.agent_id) from attempts a join lanes l on l.id = a.lane_id
  where a.lane_id = steps.lane_id and a.step = steps.step and a.budget_epoch = l.budget_epoch and a.state = 'offered'
);

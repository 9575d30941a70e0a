-- A region's baseline lane: permanent, beside the lanes of rollouts, for newcomers and agents that return.
alter table lanes add column kind text not null default 'rollout' check (kind in ('rollout', 'baseline'));
drop index lanes_by_rollout;
create unique index lanes_by_rollout on lanes (rollout_id, region) where kind = 'rollout';
drop index lanes_one_live;
create unique index lanes_one_live on lanes (product, region, kind) where live = 1;

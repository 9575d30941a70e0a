-- Tags that are no versions, all of them: the list beside it holds the first hundred.
alter table sources add column rejected_count integer not null default 0;

-- What has been seen absent stays so for what goes out, while nobody knows, until somebody sees it available again.
alter table availability add column was_absent integer not null default 0;
update availability set was_absent = 1 where status = 'absent';

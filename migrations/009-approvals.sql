-- What people have consented to in the step that a lane opened last, as JSON.
alter table lanes add column approvals text not null default '[]';

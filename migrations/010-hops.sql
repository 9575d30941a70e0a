-- Attempts at a stop on the way to the release: a success there is not the lane's, and what went bad there alone vetoes nothing.
alter table attempts add column hop integer not null default 0;
alter table steps add column bad_hops integer not null default 0;

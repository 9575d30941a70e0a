-- Releases that an odd listing lacked, by id, with when: they count as gone only when a later poll lacks them, too.
alter table sources add column doubted text;

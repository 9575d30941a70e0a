-- Where the last listing has not been read to its end, and why: what is not among it stays as it is.
alter table sources add column notice text;

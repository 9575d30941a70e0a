-- Which schedules were in force when a product's were looked at last, as a JSON list of texts `zone cron`; null: not known.
-- One that the config has got since then has missed no run.
alter table schedules add column schedules text;

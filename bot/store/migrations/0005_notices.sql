-- Duties to notify of a breach, counted from the instant somebody was aware of it.
alter table incident
    add column aware_at timestamptz,
    add column duties jsonb not null default '[]';  -- [{"name", "title", "due_at", "reminded", "told": [{"text", "by", "at"}]}]

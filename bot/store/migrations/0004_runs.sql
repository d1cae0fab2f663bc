-- Runs of recovery actions: plans, approvals, steps, and the locks of what is worked on.

create table run (
    number       bigint primary key,
    incident     bigint not null references incident,
    action       text not null,
    title        text not null,
    parameters   jsonb not null,
    words        jsonb not null,                 -- the parameters as people type them
    risk         text not null check (risk in ('low', 'high', 'critical')),
    target       text not null,
    locks        text[] not null,
    requester    jsonb not null,
    state        text not null check (state in ('planning', 'proposed', 'running', 'waiting', 'undoing', 'succeeded',
                     'unverified', 'failed', 'stopped', 'undone', 'unknown', 'refused', 'rejected', 'expired')),
    requested_at timestamptz not null,
    planned_at   timestamptz,
    expires_at   timestamptz,
    plan         jsonb,                          -- as people see it, with the facts
    digest       text not null default '',       -- what approvals are bound to
    votes        jsonb not null default '[]',    -- [{"who": person, "at": instant, "override": reason}]
    stop_by      jsonb,
    undo_by      jsonb,
    epoch        bigint not null default 0,      -- raised by each process that takes the run up: older ones write no more
    started_at   timestamptz,
    ended_at     timestamptz,
    outcome      text not null default '',
    card_ts      text not null default '',
    progress_ts  text not null default '',
    key          text not null unique            -- the click that asked: one click, one run
);
create index run_of_incident on run (incident, number);
create index run_of_action on run (action, ended_at) where state = 'succeeded';

create table step (
    run       bigint not null references run,
    number    integer not null,
    title     text not null,
    undoable  boolean not null,
    no_return text not null,
    state     text not null check (state in ('waiting', 'begun', 'done', 'failed', 'unknown', 'undoing', 'undone')),
    detail    text not null,
    begun_at  timestamptz,
    ended_at  timestamptz,
    primary key (run, number)
);

-- One live run for each thing that is worked on: the second insert fails, whoever makes it.
create table run_lock (
    lock  text primary key,
    run   bigint not null references run,
    since timestamptz not null
);

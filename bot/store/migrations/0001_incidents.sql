-- Incidents, their ladders, their timeline, what is owed to the outside, and the latest readings.

create sequence incident_number;

create table incident (
    number        bigint primary key,
    declaration   text not null unique,          -- the intake that declared it: one declaration, one incident
    title         text not null,
    severity      text not null check (severity in ('P0', 'P1', 'P2', 'P3')),
    scenario      text not null check (scenario in ('database', 'llm', 'redis', 'kubernetes', 'outage', 'security', 'other')),
    status        text not null check (status in ('investigating', 'identified', 'monitoring', 'resolved', 'closed')),
    private       boolean not null,
    services      text[] not null,
    seen          text not null,
    declared_by   text not null,
    declared_at   timestamptz not null,
    started_at    timestamptz not null,
    resolved_at   timestamptz,
    closed_at     timestamptz,
    roles         jsonb not null default '{}',   -- {"commander": person, "communications": person, "scribe": person}
    acks          jsonb not null default '[]',   -- [{"who": person, "at": instant, "via": "slack" | "pagerduty"}]
    impact        jsonb not null default '{}',   -- {service: {"bad_at": instant, "green_at": instant | null}}
    room_name     text not null unique,          -- reserved here before Slack is asked
    room_state    text not null check (room_state in ('wanted', 'open', 'fallback', 'archived')),
    room          text,
    board_ts      text,
    announced     jsonb,                         -- {"channel": …, "ts": …}
    pages         jsonb not null default '{}',   -- {round: {"id": …, "url": …}}
    round         integer not null default 1,    -- reopened: the ladder starts anew
    stopped_at    timestamptz,                   -- the ladder stands still since
    hold          jsonb,                         -- {"since", "until", "who", "why"}
    proofs        jsonb not null default '{}',   -- {"round/level": instant | null}: null = no proof in time
    timeline_seq  integer not null default 0,    -- the head of the chain: a shortened timeline is found out
    timeline_head text not null default repeat('0', 64)
);
create index incident_open on incident (declared_at) where status in ('investigating', 'identified', 'monitoring');

create table rung (
    incident   bigint not null references incident on delete cascade,
    round      integer not null,
    level      integer not null,
    due_at     timestamptz not null,
    state      text not null check (state in ('waiting', 'fired', 'skipped')),
    fired_at   timestamptz,
    late_by    interval,
    reason     text,
    primary key (incident, round, level)
);

create table timeline (
    incident   bigint not null references incident,
    seq        integer not null,
    at         timestamptz not null,
    kind       text not null,
    actor      text not null,
    actor_name text not null,
    text       text not null,
    data       jsonb not null,
    prev       text not null,
    hash       text not null,
    primary key (incident, seq)
);

create function timeline_is_append_only() returns trigger language plpgsql as $$
begin
    raise exception 'the timeline is append-only';
end
$$;
create trigger timeline_append_only before update or delete or truncate on timeline
    for each statement execute function timeline_is_append_only();

-- One row for everything that is owed: a call to the outside, a decision that falls due, a click that came in.
create table effect (
    id         bigint generated always as identity primary key,
    incident   bigint references incident,
    kind       text not null,
    lane       text not null,                    -- one lane, one at a time, in order of id
    key        text not null unique,
    args       jsonb not null,
    state      text not null default 'waiting' check (state in ('waiting', 'doing', 'done', 'failed', 'dropped')),
    rearmed    boolean not null default false,   -- asked for again while it was under way
    attempts   integer not null default 0,
    due_at     timestamptz not null,             -- the year 9000: waits for the room, not for time
    begun_at   timestamptz,                      -- of the first attempt: what came later may be ours
    holder     bigint,
    error      text,
    result     jsonb,
    created_at timestamptz not null,
    done_at    timestamptz
);
create index effect_lane on effect (lane, id) where state in ('waiting', 'doing');
create index effect_due on effect (due_at) where state = 'waiting';
create index effect_held on effect (holder) where state = 'doing';
create index effect_of_incident on effect (incident);
create index effect_done on effect (done_at) where state = 'done';

create table reading (
    probe      text primary key,
    service    text not null,
    state      text not null check (state in ('ok', 'bad', 'unknown')),
    detail     text not null,
    facts      jsonb not null,
    latency_ms double precision,
    at         timestamptz not null,
    since      timestamptz not null
);

-- A message that a reaction put on a timeline, so that its edits and deletion can be followed.
create table pinned_message (
    channel  text not null,
    ts       text not null,
    incident bigint not null references incident,
    text     text not null,
    primary key (channel, ts)
);

-- Who answers which rung, as PagerDuty last said: needed on the night when it does not answer.
create table roster (
    target  text primary key,                    -- a PagerDuty escalation policy or user
    people  jsonb not null,                      -- [{"name", "email", "slack"}]
    read_at timestamptz not null
);

create table replica (
    id      bigint generated always as identity primary key,
    beat_at timestamptz not null,
    name    text not null
);

-- Every statement of the store, by name. Parameters are %(named)s.

-- name: next_number
select coalesce(max(number), 0) + 1 as number from incident;

-- name: insert_incident
insert into incident (number, declaration, title, severity, scenario, status, private, services, seen, declared_by,
                      declared_at, started_at, room_name, room_state)
values (%(number)s, %(declaration)s, %(title)s, %(severity)s, %(scenario)s, %(status)s, %(private)s, %(services)s, %(seen)s,
        %(declared_by)s, %(declared_at)s, %(started_at)s, %(room_name)s, %(room_state)s);

-- name: update_incident
update incident set
    title = %(title)s, severity = %(severity)s, scenario = %(scenario)s, status = %(status)s, private = %(private)s,
    services = %(services)s, seen = %(seen)s, resolved_at = %(resolved_at)s, closed_at = %(closed_at)s, roles = %(roles)s,
    acks = %(acks)s, impact = %(impact)s, room_name = %(room_name)s, room_state = %(room_state)s, room = %(room)s,
    board_ts = %(board_ts)s, announced = %(announced)s, pages = %(pages)s, round = %(round)s, proofs = %(proofs)s,
    aware_at = %(aware_at)s, duties = %(duties)s,
    stopped_at = %(stopped_at)s, hold = %(hold)s, timeline_seq = %(timeline_seq)s, timeline_head = %(timeline_head)s
where number = %(number)s;

-- name: case
select incident.*,
       coalesce((select json_agg(json_build_object(
           'round', r.round, 'level', r.level, 'due_at', r.due_at, 'state', r.state, 'fired_at', r.fired_at,
           'late_by', extract(epoch from r.late_by), 'reason', r.reason) order by r.level)
           from rung r where r.incident = incident.number and r.round = incident.round), '[]') as rungs
from incident where number = any(%(numbers)s);

-- name: lock_incident
select number from incident where number = %(number)s for update;

-- name: case_of_room
select number from incident where room = %(room)s and room_state in ('open', 'archived') order by number desc limit 1;

-- name: case_of_page
select number from incident
where exists (select 1 from jsonb_each(pages) as page where page.value ->> 'id' = %(page)s)
order by number desc limit 1;

-- name: declared_as
select number from incident where declaration = %(declaration)s;

-- name: open_numbers
select number from incident where status in ('investigating', 'identified', 'monitoring') order by declared_at, number;

-- name: open_impacts
select number, impact from incident where status in ('investigating', 'identified', 'monitoring') order by declared_at, number;

-- name: recent_open
select number from incident
where status in ('investigating', 'identified', 'monitoring') and declared_at >= %(since)s order by declared_at desc limit 50;

-- name: newest
select number from incident order by number desc limit %(most)s;

-- name: count_open
select count(*) from incident where status in ('investigating', 'identified', 'monitoring');

-- name: declaring
-- Declarations are decided one after the other: the second of two in one second sees the first.
select pg_advisory_xact_lock(hashtextextended('declare', 0));

-- name: put_rung
insert into rung (incident, round, level, due_at, state, fired_at, late_by, reason)
values (%(incident)s, %(round)s, %(level)s, %(due_at)s, %(state)s, %(fired_at)s, %(late_by)s, %(reason)s)
on conflict (incident, round, level) do update
set due_at = excluded.due_at, state = excluded.state, fired_at = excluded.fired_at, late_by = excluded.late_by,
    reason = excluded.reason;

-- name: add_entry
insert into timeline (incident, seq, at, kind, actor, actor_name, text, data, prev, hash)
values (%(incident)s, %(seq)s, %(at)s, %(kind)s, %(actor)s, %(actor_name)s, %(text)s, %(data)s, %(prev)s, %(hash)s);

-- name: entries
select incident, seq, at, kind, actor, actor_name, text, data, prev, hash from timeline
where incident = %(incident)s order by seq;

-- name: owe
-- What was dropped and is asked for again is owed as it was, with the tries that it had; all else is owed once.
insert into effect (incident, kind, lane, key, args, due_at, created_at)
values (%(incident)s, %(kind)s, %(lane)s, %(key)s, %(args)s, %(due_at)s, %(now)s)
on conflict (key) do update set state = 'waiting', due_at = excluded.due_at, error = null, done_at = null
where effect.state = 'dropped'
returning due_at;

-- name: owe_standing
-- Asked for again: shown once more at the earliest one second after the last time; a retry that waits keeps its instant.
insert into effect (incident, kind, lane, key, args, due_at, created_at)
values (%(incident)s, %(kind)s, %(lane)s, %(key)s, %(args)s, %(due_at)s, %(now)s)
on conflict (key) do update set
    args = excluded.args,
    rearmed = effect.state = 'doing',
    state = case when effect.state = 'doing' then 'doing' else 'waiting' end,
    attempts = case when effect.state in ('done', 'failed', 'dropped') then 0 else effect.attempts end,
    error = case when effect.state = 'failed' then null else effect.error end,
    due_at = case
        when effect.kind = 'ladder' or effect.state = 'doing' then excluded.due_at
        when effect.state = 'waiting' and effect.attempts > 0 then effect.due_at
        when effect.state = 'waiting' then
            least(effect.due_at, greatest(excluded.due_at, coalesce(effect.done_at, excluded.due_at - interval '1 s') + interval '1 s'))
        else greatest(excluded.due_at, coalesce(effect.done_at, excluded.due_at - interval '1 s') + interval '1 s')
    end
returning due_at;

-- name: wake
select wake(%(queue)s, %(lane)s, %(at)s);

-- name: drop_kinds
update effect set state = 'dropped', done_at = %(now)s
where incident = %(incident)s and kind = any(%(kinds)s) and state in ('waiting', 'failed');

-- name: claim
with head as (
    select id from effect where lane = %(lane)s and state in ('waiting', 'doing') order by id limit 1
)
update effect set state = 'doing', holder = %(holder)s, attempts = attempts + 1, rearmed = false,
                  begun_at = case when attempts = 0 then %(now)s else begun_at end
from head
where effect.id = head.id and effect.state = 'waiting' and effect.due_at <= %(now)s
returning effect.*;

-- name: finish
update effect set
    state = case when %(dropped)s then 'dropped'
                 when rearmed or %(again_at)s::timestamptz is not null then 'waiting' else 'done' end,
    due_at = case when rearmed and kind = 'ladder' then due_at
                  when rearmed then %(now)s + interval '1 s'
                  else coalesce(%(again_at)s, due_at) end,
    args = case when %(forget)s then '{}'::jsonb else args end,
    attempts = case when %(dropped)s then attempts - 1 else 0 end,
    rearmed = false, holder = null, error = null, done_at = %(now)s, result = %(result)s
where id = %(id)s and state = 'doing' and holder = %(holder)s
returning state, due_at;

-- name: postpone
update effect set state = 'waiting', holder = null, due_at = %(due_at)s, error = %(error)s, rearmed = false,
                  attempts = attempts - %(untried)s
where id = %(id)s and state = 'doing' and holder = %(holder)s
returning due_at;

-- name: fail
update effect set state = 'failed', holder = null, error = %(error)s, done_at = %(now)s
where id = %(id)s and state = 'doing' and holder = %(holder)s
returning id;

-- name: settle
-- A click is done in the transaction of what it changed, so it can never be done twice.
update effect set state = 'done', holder = null, done_at = %(now)s, args = '{}'
where key = %(key)s and state = 'doing'
returning id;

-- name: retry
update effect set state = 'waiting', due_at = %(now)s, attempts = greatest(attempts, 1)
where incident = %(incident)s and (%(id)s::bigint is null or id = %(id)s) and (state = 'failed' or (state = 'waiting' and error is not null))
returning lane, kind;

-- name: unpark
update effect set due_at = %(now)s
where incident = %(incident)s and state = 'waiting' and due_at = %(never)s and kind = any(%(kinds)s)
returning lane, kind;

-- name: troubled
select * from effect where incident = %(incident)s and (state = 'failed' or (state = 'waiting' and error is not null))
order by id limit 20;

-- name: unfinished
select count(*) from effect where incident = %(incident)s and id <> %(but)s and state in ('waiting', 'doing') and due_at <= %(now)s;

-- name: touched_between
select exists (
    select 1 from effect where incident = %(incident)s and kind = any(%(kinds)s)
    and begun_at <= %(at)s + interval '5 s' and coalesce(done_at, now()) >= %(at)s - interval '5 s');

-- name: effect_by_key
select * from effect where key = %(key)s;

-- name: due_soon
select lane, kind, greatest(due_at, %(now)s) as due_at from effect
where state = 'waiting' and due_at <= %(until)s order by due_at limit 2000;

-- name: owed_counts
select kind, state, count(*) as n from effect where state in ('waiting', 'doing', 'failed') group by kind, state;

-- name: forget_done
delete from effect where state = 'done' and done_at < %(before)s and incident is null;

-- name: join_replicas
insert into replica (beat_at, name) values (now(), %(name)s) returning id;

-- name: beat
-- Of the others, only those that still count as alive; who beats on does so long before.
update replica set beat_at = now() where id = %(id)s
returning coalesce((
    select extract(epoch from min(other.beat_at) + %(stale)s::interval - now()) from replica as other
    where other.id <> %(id)s and other.beat_at > now() - %(stale)s::interval
), extract(epoch from %(stale)s::interval)) as next_stale;

-- name: leave_replicas
delete from replica where id = %(id)s;

-- name: take_over
-- Waits for nobody, so that two who take over many rows in different orders cannot deadlock; what is skipped is next time's.
with buried as (delete from replica where beat_at < now() - interval '1 hour'),
orphan as (
    select id from effect
    where state = 'doing' and holder is not null
      and not exists (select 1 from replica where replica.id = effect.holder and beat_at > now() - %(stale)s::interval)
    for update skip locked
)
update effect set state = 'waiting', holder = null, due_at = least(due_at, %(now)s)
from orphan where effect.id = orphan.id
returning lane, kind;

-- name: held_by
select id from effect where state = 'doing' and holder = %(holder)s;

-- name: release
update effect set state = 'waiting', holder = null, due_at = least(due_at, %(now)s)
where id = any(%(ids)s) and state = 'doing' and holder = %(holder)s
returning lane, kind;

-- name: put_reading
-- What a reading says that is `last_seen` stays until another one says it anew: a server that is gone says nothing.
insert into reading (probe, service, state, detail, facts, latency_ms, at, since)
values (%(probe)s, %(service)s, %(state)s, %(detail)s, %(facts)s, %(latency_ms)s, %(at)s, %(at)s)
on conflict (probe) do update set
    service = excluded.service, state = excluded.state, detail = excluded.detail,
    facts = case when reading.facts ? 'last_seen' and not excluded.facts ? 'last_seen'
                 then excluded.facts || jsonb_build_object('last_seen', reading.facts -> 'last_seen')
                 else excluded.facts end,
    latency_ms = excluded.latency_ms, at = excluded.at,
    since = case when reading.state = excluded.state then reading.since else excluded.at end
where reading.at <= excluded.at;

-- name: readings
select probe, service, state, detail, facts, latency_ms, at, since from reading order by probe;

-- name: pin_message
insert into pinned_message (channel, ts, incident, text) values (%(channel)s, %(ts)s, %(incident)s, %(text)s)
on conflict do nothing returning incident;

-- name: pinned
select incident, text from pinned_message where channel = %(channel)s and ts = %(ts)s for update;

-- name: pinned_changed
update pinned_message set text = %(text)s where channel = %(channel)s and ts = %(ts)s;

-- name: unpin_message
delete from pinned_message where channel = %(channel)s and ts = %(ts)s;

-- name: put_roster
insert into roster (target, people, read_at) values (%(target)s, %(people)s, %(now)s)
on conflict (target) do update set people = excluded.people, read_at = excluded.read_at;

-- name: roster
select people from roster where target = %(target)s;

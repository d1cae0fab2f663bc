-- Runs, their steps and their locks. Parameters are %(named)s.

-- name: requesting
-- Numbers are counted one after the other: a request that was cut off leaves no gap.
select pg_advisory_xact_lock(hashtextextended('run', 0));

-- name: next_run
select coalesce(max(number), 0) + 1 as number from run;

-- name: insert_run
insert into run (number, incident, action, title, parameters, words, risk, target, locks, requester, state, requested_at, key)
values (%(number)s, %(incident)s, %(action)s, %(title)s, %(parameters)s, %(words)s, %(risk)s, %(target)s, %(locks)s,
        %(requester)s, %(state)s, %(requested_at)s, %(key)s)
on conflict (key) do nothing
returning number;

-- name: update_run
update run set
    state = %(state)s, planned_at = %(planned_at)s, expires_at = %(expires_at)s, plan = %(plan)s, digest = %(digest)s,
    votes = %(votes)s, stop_by = %(stop_by)s, undo_by = %(undo_by)s, started_at = %(started_at)s, ended_at = %(ended_at)s,
    outcome = %(outcome)s
where number = %(number)s;

-- name: carded
update run set card_ts = coalesce(%(plan)s, card_ts), progress_ts = coalesce(%(progress)s, progress_ts) where number = %(number)s;

-- name: run
select run.*,
       coalesce((select json_agg(step order by step.number) from step where step.run = run.number), '[]') as steps
from run where run.number = any(%(numbers)s) order by run.number;

-- name: lock_run
select number from run where number = %(number)s for update;

-- name: runs_of
select number from run where incident = %(incident)s order by number;

-- name: put_step
insert into step (run, number, title, undoable, no_return, state, detail, begun_at, ended_at)
values (%(run)s, %(number)s, %(title)s, %(undoable)s, %(no_return)s, %(state)s, %(detail)s, %(begun_at)s, %(ended_at)s)
on conflict (run, number) do update
set title = excluded.title, undoable = excluded.undoable, no_return = excluded.no_return, state = excluded.state,
    detail = excluded.detail, begun_at = excluded.begun_at, ended_at = excluded.ended_at;

-- name: forget_steps
delete from step where run = %(run)s;

-- name: take_run
update run set epoch = epoch + 1 where number = %(number)s returning epoch;

-- name: run_epoch
select epoch from run where number = %(number)s for update;

-- name: take_lock
insert into run_lock (lock, run, since) values (%(lock)s, %(run)s, %(now)s)
on conflict (lock) do nothing
returning lock;

-- name: free_locks
delete from run_lock where run = %(run)s;

-- name: held_locks
select l.lock, l.since, r.number, r.action, r.requester, r.incident, i.room, i.private
from run_lock l join run r on r.number = l.run join incident i on i.number = r.incident
where l.lock = any(%(locks)s) and l.run <> %(run)s order by l.since limit 1;

-- name: usual_duration
select percentile_cont(0.5) within group (order by extract(epoch from ended_at - started_at)) as seconds, count(*) as n
from run where action = %(action)s and state = 'succeeded';

-- name: hold_lease
select pg_try_advisory_lock(hashtextextended(%(name)s, 1)) as held;

-- name: end_lease
-- A frozen process keeps its connection, and with it the lease: its backend is ended, so that it finds that out.
select pg_terminate_backend(pid, 2000) from pg_locks
where locktype = 'advisory' and objsubid = 1 and granted and pid <> pg_backend_pid()
  and (classid::bigint << 32) + objid::bigint = hashtextextended(%(name)s, 1);

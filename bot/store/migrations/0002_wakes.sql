-- A wake-up rides on procrastinate's job table, in the transaction that changed the row it points at.
-- One waiting wake-up for a lane and an instant is enough: a second is refused by the queueing lock, which is no error here.
create function wake(queue text, lane text, at timestamptz) returns void language plpgsql as $$
begin
    perform procrastinate_defer_jobs_v1(array[
        row(queue, 'look', 0, null, lane || '@' || to_char(at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS'),
            jsonb_build_object('lane', lane), at)::procrastinate_job_to_defer_v1
    ]);
exception when unique_violation then
    null;
end
$$;

-- Name: effect effect_incident_fkey; Type: FK CONSTRAINT
ALTER TABLE ONLY public.effect
    ADD CONSTRAINT effect_incident_fkey FOREIGN KEY (incident) REFERENCES public.incident(number);

-- Name: effect effect_key_key; Type: CONSTRAINT
ALTER TABLE ONLY public.effect
    ADD CONSTRAINT effect_key_key UNIQUE (key);

-- Name: effect effect_pkey; Type: CONSTRAINT
ALTER TABLE ONLY public.effect
    ADD CONSTRAINT effect_pkey PRIMARY KEY (id);

-- Name: effect; Type: TABLE
CREATE TABLE public.effect (
    id bigint NOT NULL,
    incident bigint,
    kind text NOT NULL,
    lane text NOT NULL,
    key text NOT NULL,
    args jsonb NOT NULL,
    state text DEFAULT 'waiting'::text NOT NULL,
    rearmed boolean DEFAULT false NOT NULL,
    attempts integer DEFAULT 0 NOT NULL,
    due_at timestamp with time zone NOT NULL,
    begun_at timestamp with time zone,
    holder bigint,
    error text,
    result jsonb,
    created_at timestamp with time zone NOT NULL,
    done_at timestamp with time zone,
    CONSTRAINT effect_state_check CHECK ((state = ANY (ARRAY['waiting'::text, 'doing'::text, 'done'::text, 'failed'::text, 'dropped'::text])))
);

-- Name: effect_done; Type: INDEX
CREATE INDEX effect_done ON public.effect USING btree (done_at) WHERE (state = 'done'::text);

-- Name: effect_due; Type: INDEX
CREATE INDEX effect_due ON public.effect USING btree (due_at) WHERE (state = 'waiting'::text);

-- Name: effect_held; Type: INDEX
CREATE INDEX effect_held ON public.effect USING btree (holder) WHERE (state = 'doing'::text);

-- Name: effect_id_seq; Type: SEQUENCE
ALTER TABLE public.effect ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.effect_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

-- Name: effect_lane; Type: INDEX
CREATE INDEX effect_lane ON public.effect USING btree (lane, id) WHERE (state = ANY (ARRAY['waiting'::text, 'doing'::text]));

-- Name: effect_of_incident; Type: INDEX
CREATE INDEX effect_of_incident ON public.effect USING btree (incident);

-- Name: incident incident_declaration_key; Type: CONSTRAINT
ALTER TABLE ONLY public.incident
    ADD CONSTRAINT incident_declaration_key UNIQUE (declaration);

-- Name: incident incident_pkey; Type: CONSTRAINT
ALTER TABLE ONLY public.incident
    ADD CONSTRAINT incident_pkey PRIMARY KEY (number);

-- Name: incident incident_room_name_key; Type: CONSTRAINT
ALTER TABLE ONLY public.incident
    ADD CONSTRAINT incident_room_name_key UNIQUE (room_name);

-- Name: incident; Type: TABLE
CREATE TABLE public.incident (
    number bigint NOT NULL,
    declaration text NOT NULL,
    title text NOT NULL,
    severity text NOT NULL,
    scenario text NOT NULL,
    status text NOT NULL,
    private boolean NOT NULL,
    services text[] NOT NULL,
    seen text NOT NULL,
    declared_by text NOT NULL,
    declared_at timestamp with time zone NOT NULL,
    started_at timestamp with time zone NOT NULL,
    resolved_at timestamp with time zone,
    closed_at timestamp with time zone,
    roles jsonb DEFAULT '{}'::jsonb NOT NULL,
    acks jsonb DEFAULT '[]'::jsonb NOT NULL,
    impact jsonb DEFAULT '{}'::jsonb NOT NULL,
    room_name text NOT NULL,
    room_state text NOT NULL,
    room text,
    board_ts text,
    announced jsonb,
    pages jsonb DEFAULT '{}'::jsonb NOT NULL,
    round integer DEFAULT 1 NOT NULL,
    stopped_at timestamp with time zone,
    hold jsonb,
    proofs jsonb DEFAULT '{}'::jsonb NOT NULL,
    timeline_seq integer DEFAULT 0 NOT NULL,
    timeline_head text DEFAULT repeat('0'::text, 64) NOT NULL,
    aware_at timestamp with time zone,
    duties jsonb DEFAULT '[]'::jsonb NOT NULL,
    CONSTRAINT incident_room_state_check CHECK ((room_state = ANY (ARRAY['wanted'::text, 'open'::text, 'fallback'::text, 'archived'::text]))),
    CONSTRAINT incident_scenario_check CHECK ((scenario = ANY (ARRAY['database'::text, 'llm'::text, 'redis'::text, 'kubernetes'::text, 'outage'::text, 'security'::text, 'other'::text]))),
    CONSTRAINT incident_severity_check CHECK ((severity = ANY (ARRAY['P0'::text, 'P1'::text, 'P2'::text, 'P3'::text]))),
    CONSTRAINT incident_status_check CHECK ((status = ANY (ARRAY['investigating'::text, 'identified'::text, 'monitoring'::text, 'resolved'::text, 'closed'::text])))
);

-- Name: incident_open; Type: INDEX
CREATE INDEX incident_open ON public.incident USING btree (declared_at) WHERE (status = ANY (ARRAY['investigating'::text, 'identified'::text, 'monitoring'::text]));

-- Name: migration migration_pkey; Type: CONSTRAINT
ALTER TABLE ONLY public.migration
    ADD CONSTRAINT migration_pkey PRIMARY KEY (number);

-- Name: migration; Type: TABLE
CREATE TABLE public.migration (
    number integer NOT NULL,
    name text NOT NULL,
    at timestamp with time zone DEFAULT now() NOT NULL
);

-- Name: pinned_message pinned_message_incident_fkey; Type: FK CONSTRAINT
ALTER TABLE ONLY public.pinned_message
    ADD CONSTRAINT pinned_message_incident_fkey FOREIGN KEY (incident) REFERENCES public.incident(number);

-- Name: pinned_message pinned_message_pkey; Type: CONSTRAINT
ALTER TABLE ONLY public.pinned_message
    ADD CONSTRAINT pinned_message_pkey PRIMARY KEY (channel, ts);

-- Name: pinned_message; Type: TABLE
CREATE TABLE public.pinned_message (
    channel text NOT NULL,
    ts text NOT NULL,
    incident bigint NOT NULL,
    text text NOT NULL
);

-- Name: reading reading_pkey; Type: CONSTRAINT
ALTER TABLE ONLY public.reading
    ADD CONSTRAINT reading_pkey PRIMARY KEY (probe);

-- Name: reading; Type: TABLE
CREATE TABLE public.reading (
    probe text NOT NULL,
    service text NOT NULL,
    state text NOT NULL,
    detail text NOT NULL,
    facts jsonb NOT NULL,
    latency_ms double precision,
    at timestamp with time zone NOT NULL,
    since timestamp with time zone NOT NULL,
    CONSTRAINT reading_state_check CHECK ((state = ANY (ARRAY['ok'::text, 'bad'::text, 'unknown'::text])))
);

-- Name: replica replica_pkey; Type: CONSTRAINT
ALTER TABLE ONLY public.replica
    ADD CONSTRAINT replica_pkey PRIMARY KEY (id);

-- Name: replica; Type: TABLE
CREATE TABLE public.replica (
    id bigint NOT NULL,
    beat_at timestamp with time zone NOT NULL,
    name text NOT NULL
);

-- Name: replica_id_seq; Type: SEQUENCE
ALTER TABLE public.replica ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.replica_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

-- Name: roster roster_pkey; Type: CONSTRAINT
ALTER TABLE ONLY public.roster
    ADD CONSTRAINT roster_pkey PRIMARY KEY (target);

-- Name: roster; Type: TABLE
CREATE TABLE public.roster (
    target text NOT NULL,
    people jsonb NOT NULL,
    read_at timestamp with time zone NOT NULL
);

-- Name: run run_incident_fkey; Type: FK CONSTRAINT
ALTER TABLE ONLY public.run
    ADD CONSTRAINT run_incident_fkey FOREIGN KEY (incident) REFERENCES public.incident(number);

-- Name: run run_key_key; Type: CONSTRAINT
ALTER TABLE ONLY public.run
    ADD CONSTRAINT run_key_key UNIQUE (key);

-- Name: run run_pkey; Type: CONSTRAINT
ALTER TABLE ONLY public.run
    ADD CONSTRAINT run_pkey PRIMARY KEY (number);

-- Name: run; Type: TABLE
CREATE TABLE public.run (
    number bigint NOT NULL,
    incident bigint NOT NULL,
    action text NOT NULL,
    title text NOT NULL,
    parameters jsonb NOT NULL,
    words jsonb NOT NULL,
    risk text NOT NULL,
    target text NOT NULL,
    locks text[] NOT NULL,
    requester jsonb NOT NULL,
    state text NOT NULL,
    requested_at timestamp with time zone NOT NULL,
    planned_at timestamp with time zone,
    expires_at timestamp with time zone,
    plan jsonb,
    digest text DEFAULT ''::text NOT NULL,
    votes jsonb DEFAULT '[]'::jsonb NOT NULL,
    stop_by jsonb,
    undo_by jsonb,
    epoch bigint DEFAULT 0 NOT NULL,
    started_at timestamp with time zone,
    ended_at timestamp with time zone,
    outcome text DEFAULT ''::text NOT NULL,
    card_ts text DEFAULT ''::text NOT NULL,
    progress_ts text DEFAULT ''::text NOT NULL,
    key text NOT NULL,
    CONSTRAINT run_risk_check CHECK ((risk = ANY (ARRAY['low'::text, 'high'::text, 'critical'::text]))),
    CONSTRAINT run_state_check CHECK ((state = ANY (ARRAY['planning'::text, 'proposed'::text, 'running'::text, 'waiting'::text, 'undoing'::text, 'succeeded'::text, 'unverified'::text, 'failed'::text, 'stopped'::text, 'undone'::text, 'unknown'::text, 'refused'::text, 'rejected'::text, 'expired'::text])))
);

-- Name: run_lock run_lock_pkey; Type: CONSTRAINT
ALTER TABLE ONLY public.run_lock
    ADD CONSTRAINT run_lock_pkey PRIMARY KEY (lock);

-- Name: run_lock run_lock_run_fkey; Type: FK CONSTRAINT
ALTER TABLE ONLY public.run_lock
    ADD CONSTRAINT run_lock_run_fkey FOREIGN KEY (run) REFERENCES public.run(number);

-- Name: run_lock; Type: TABLE
CREATE TABLE public.run_lock (
    lock text NOT NULL,
    run bigint NOT NULL,
    since timestamp with time zone NOT NULL
);

-- Name: run_of_action; Type: INDEX
CREATE INDEX run_of_action ON public.run USING btree (action, ended_at) WHERE (state = 'succeeded'::text);

-- Name: run_of_incident; Type: INDEX
CREATE INDEX run_of_incident ON public.run USING btree (incident, number);

-- Name: rung rung_incident_fkey; Type: FK CONSTRAINT
ALTER TABLE ONLY public.rung
    ADD CONSTRAINT rung_incident_fkey FOREIGN KEY (incident) REFERENCES public.incident(number) ON DELETE CASCADE;

-- Name: rung rung_pkey; Type: CONSTRAINT
ALTER TABLE ONLY public.rung
    ADD CONSTRAINT rung_pkey PRIMARY KEY (incident, round, level);

-- Name: rung; Type: TABLE
CREATE TABLE public.rung (
    incident bigint NOT NULL,
    round integer NOT NULL,
    level integer NOT NULL,
    due_at timestamp with time zone NOT NULL,
    state text NOT NULL,
    fired_at timestamp with time zone,
    late_by interval,
    reason text,
    CONSTRAINT rung_state_check CHECK ((state = ANY (ARRAY['waiting'::text, 'fired'::text, 'skipped'::text])))
);

-- Name: step step_pkey; Type: CONSTRAINT
ALTER TABLE ONLY public.step
    ADD CONSTRAINT step_pkey PRIMARY KEY (run, number);

-- Name: step step_run_fkey; Type: FK CONSTRAINT
ALTER TABLE ONLY public.step
    ADD CONSTRAINT step_run_fkey FOREIGN KEY (run) REFERENCES public.run(number);

-- Name: step; Type: TABLE
CREATE TABLE public.step (
    run bigint NOT NULL,
    number integer NOT NULL,
    title text NOT NULL,
    undoable boolean NOT NULL,
    no_return text NOT NULL,
    state text NOT NULL,
    detail text NOT NULL,
    begun_at timestamp with time zone,
    ended_at timestamp with time zone,
    CONSTRAINT step_state_check CHECK ((state = ANY (ARRAY['waiting'::text, 'begun'::text, 'done'::text, 'failed'::text, 'unknown'::text, 'undoing'::text, 'undone'::text])))
);

-- Name: timeline timeline_append_only; Type: TRIGGER
CREATE TRIGGER timeline_append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON public.timeline FOR EACH STATEMENT EXECUTE FUNCTION public.timeline_is_append_only();

-- Name: timeline timeline_incident_fkey; Type: FK CONSTRAINT
ALTER TABLE ONLY public.timeline
    ADD CONSTRAINT timeline_incident_fkey FOREIGN KEY (incident) REFERENCES public.incident(number);

-- Name: timeline timeline_pkey; Type: CONSTRAINT
ALTER TABLE ONLY public.timeline
    ADD CONSTRAINT timeline_pkey PRIMARY KEY (incident, seq);

-- Name: timeline; Type: TABLE
CREATE TABLE public.timeline (
    incident bigint NOT NULL,
    seq integer NOT NULL,
    at timestamp with time zone NOT NULL,
    kind text NOT NULL,
    actor text NOT NULL,
    actor_name text NOT NULL,
    text text NOT NULL,
    data jsonb NOT NULL,
    prev text NOT NULL,
    hash text NOT NULL
);

-- Name: timeline_is_append_only(); Type: FUNCTION
CREATE FUNCTION public.timeline_is_append_only() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
begin
    raise exception 'the timeline is append-only';
end
$$;

-- Name: wake(text, text, timestamp with time zone); Type: FUNCTION
CREATE FUNCTION public.wake(queue text, lane text, at timestamp with time zone) RETURNS void
    LANGUAGE plpgsql
    AS $$
begin
    perform procrastinate_defer_jobs_v1(array[
        row(queue, 'look', 0, null, lane || '@' || to_char(at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS'),
            jsonb_build_object('lane', lane), at)::procrastinate_job_to_defer_v1
    ]);
exception when unique_violation then
    null;
end
$$;

--
-- Name: forecast; Type: SCHEMA; Schema: -; Owner: -
--

CREATE SCHEMA forecast;


--
-- Name: SCHEMA forecast; Type: COMMENT; Schema: -; Owner: -
--

COMMENT ON SCHEMA forecast IS 'Forecasts beside the data. Read forecast.current, forecast.long, forecast.asof(), forecast.status and forecast.lineage; steer with forecast.run_now(), cancel(), retry(), pause() and resume().';


--
-- Name: admit_privacy_block_rule(); Type: FUNCTION; Schema: forecast; Owner: -
--

CREATE FUNCTION forecast.admit_privacy_block_rule() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
  PERFORM pg_advisory_xact_lock(hashtextextended('forecast.privacy:' || NEW.account, 0));
  IF EXISTS (SELECT FROM forecast.privacy_budget b WHERE b.account = NEW.account) THEN
    RAISE EXCEPTION 'account "%" has budgets already', NEW.account
      USING ERRCODE = 'check_violation', HINT = 'Open another account.';
  END IF;
  PERFORM now() AT TIME ZONE NEW.timezone; -- fails for what is no time zone
  NEW.created_at := clock_timestamp();
  NEW.created_by := session_user;
  RETURN NEW;
END
$$;


--
-- Name: FUNCTION admit_privacy_block_rule(); Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON FUNCTION forecast.admit_privacy_block_rule() IS 'Trigger that keeps budgets made by hand and budgets by block of time apart.';


--
-- Name: admit_privacy_budget(); Type: FUNCTION; Schema: forecast; Owner: -
--

CREATE FUNCTION forecast.admit_privacy_budget() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
  other forecast.privacy_budget;
  rule forecast.privacy_block_rule;
BEGIN
  IF NEW.block_from >= NEW.block_until THEN
    RETURN NEW; -- the table's own constraint refuses it
  END IF;
  PERFORM pg_advisory_xact_lock(hashtextextended('forecast.privacy:' || NEW.account, 0));
  SELECT r.* INTO rule FROM forecast.privacy_block_rule r WHERE r.account = NEW.account;
  IF FOUND AND ((NEW.unit, NEW.unit_steps, NEW.epsilon_limit, NEW.delta_limit, NEW.valid_until)
                  IS DISTINCT FROM (rule.unit, rule.unit_steps, rule.epsilon_limit, rule.delta_limit, NULL)
                OR NOT EXISTS (SELECT FROM forecast.privacy_blocks(rule.period, rule.timezone, 1, NEW.block_from) p
                               WHERE (p.block, p.block_from, p.block_until) = (NEW.block, NEW.block_from, NEW.block_until))) THEN
    RAISE EXCEPTION 'account "%" has a budget for each %: they appear by themselves', NEW.account, rule.period
      USING ERRCODE = 'check_violation', HINT = 'Open another account.';
  END IF;
  FOR other IN SELECT * FROM forecast.privacy_budget b WHERE b.account = NEW.account
    AND (rule.account IS NULL OR b.block_from < NEW.block_until AND b.block_until > NEW.block_from) ORDER BY b.budget_id LOOP
    IF (other.unit, other.unit_steps) IS DISTINCT FROM (NEW.unit, NEW.unit_steps) THEN
      RAISE EXCEPTION 'account "%" protects another unit: %', NEW.account, concat_ws(' of steps ', other.unit, other.unit_steps)
        USING ERRCODE = 'check_violation', HINT = 'Open another account.';
    ELSIF other.block <> NEW.block AND tstzrange(other.block_from, other.block_until) && tstzrange(NEW.block_from, NEW.block_until) THEN
      RAISE EXCEPTION 'block "%" overlaps block "%" of account "%"', NEW.block, other.block, NEW.account
        USING ERRCODE = 'exclusion_violation', HINT = 'Blocks of an account lie side by side in the time of the data.';
    END IF;
  END LOOP;
  NEW.created_at := clock_timestamp();
  NEW.created_by := session_user;
  RETURN NEW;
END
$$;


--
-- Name: FUNCTION admit_privacy_budget(); Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON FUNCTION forecast.admit_privacy_budget() IS 'Trigger that keeps the blocks of an account apart, of one unit and, where the account has a rule, as the rule says.';


--
-- Name: admit_privacy_charge(); Type: FUNCTION; Schema: forecast; Owner: -
--

CREATE FUNCTION forecast.admit_privacy_charge() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
  budget forecast.privacy_budget;
  previous forecast.privacy_charge;
BEGIN
  SELECT b.* INTO budget FROM forecast.privacy_budget b WHERE b.budget_id = NEW.budget_id FOR NO KEY UPDATE;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'there is no budget %', NEW.budget_id USING ERRCODE = 'foreign_key_violation';
  END IF;
  NEW.reserved_at := clock_timestamp();
  NEW.reserved_by := session_user;
  SELECT c.* INTO previous FROM forecast.privacy_charge c WHERE c.budget_id = NEW.budget_id ORDER BY c.number DESC LIMIT 1;
  IF NEW.number <> coalesce(previous.number, 0) + 1 THEN
    RAISE EXCEPTION 'the next charge of account "%" is number %, not %', budget.account, coalesce(previous.number, 0) + 1, NEW.number
      USING ERRCODE = 'restrict_violation', HINT = 'Lock the budget, then compose.';
  ELSIF NEW.composed_epsilon <= coalesce(previous.composed_epsilon, 0) THEN
    RAISE EXCEPTION 'account "%" has spent % already: no charge brings it to %', budget.account, previous.composed_epsilon, NEW.composed_epsilon
      USING ERRCODE = 'restrict_violation';
  ELSIF NEW.composed_epsilon > budget.epsilon_limit THEN
    RAISE EXCEPTION 'account "%" would be overdrawn: % of %', budget.account, NEW.composed_epsilon, budget.epsilon_limit
      USING ERRCODE = 'restrict_violation';
  ELSIF NEW.reserved_at < budget.valid_from OR NEW.reserved_at >= budget.valid_until THEN
    RAISE EXCEPTION 'account "%", block "%" is valid from % until %', budget.account, budget.block, budget.valid_from, coalesce(budget.valid_until, 'infinity')
      USING ERRCODE = 'restrict_violation';
  ELSIF NOT EXISTS (SELECT FROM forecast.attempt a JOIN forecast.task t ON t.task_id = a.task_id
                    WHERE a.token = NEW.attempt_token AND a.outcome = 'running' AND t.run_id = NEW.run_id) THEN
    RAISE EXCEPTION 'run % has no such running attempt', NEW.run_id USING ERRCODE = 'restrict_violation';
  END IF;
  NEW.digest := forecast.privacy_charge_digest(previous.digest, budget.budget_key, NEW);
  RETURN NEW;
END
$$;


--
-- Name: FUNCTION admit_privacy_charge(); Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON FUNCTION forecast.admit_privacy_charge() IS 'Trigger that keeps a budget from being overdrawn or lowered, whatever the program computed: charges are numbered, totals rise and stay within the limit.';


--
-- Name: admit_privacy_charge_state(); Type: FUNCTION; Schema: forecast; Owner: -
--

CREATE FUNCTION forecast.admit_privacy_charge_state() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
  holder uuid := forecast.privacy_charge_holder(NEW.charge_id); -- one attempt of a task runs at a time
BEGIN
  NEW.entered_at := clock_timestamp();
  IF NOT EXISTS (SELECT FROM forecast.privacy_charge c
                 JOIN forecast.task t ON t.run_id = c.run_id
                 JOIN forecast.attempt a ON a.task_id = t.task_id AND a.token = NEW.attempt_token AND a.outcome = 'running'
                 WHERE c.charge_id = NEW.charge_id) THEN
    RAISE EXCEPTION 'only a running attempt of the run of charge % may use it', NEW.charge_id
      USING ERRCODE = 'restrict_violation';
  END IF;
  IF NEW.state = 'begun' AND holder IS NOT NULL THEN
    RAISE EXCEPTION 'charge % was begun already', NEW.charge_id USING ERRCODE = 'restrict_violation';
  ELSIF NEW.state <> 'begun' AND holder IS DISTINCT FROM NEW.attempt_token THEN
    RAISE EXCEPTION 'charge % is not held by this attempt', NEW.charge_id USING ERRCODE = 'restrict_violation';
  ELSIF EXISTS (SELECT FROM forecast.privacy_charge_state s
                WHERE s.charge_id = NEW.charge_id AND s.state = 'committed') THEN
    RAISE EXCEPTION 'charge % is committed', NEW.charge_id USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN NEW;
END
$$;


--
-- Name: FUNCTION admit_privacy_charge_state(); Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON FUNCTION forecast.admit_privacy_charge_state() IS 'Trigger that lets only the attempt that holds a charge begin, leave and commit it.';


--
-- Name: asof(text, text, timestamp with time zone); Type: FUNCTION; Schema: forecast; Owner: -
--

CREATE FUNCTION forecast.asof(job text, series text, at timestamp with time zone) RETURNS TABLE(target_at timestamp with time zone, target_index bigint, step integer, mean double precision, levels double precision[], quantiles double precision[], origin_at timestamp with time zone, origin_index bigint, issued_at timestamp with time zone, run_id bigint)
    LANGUAGE sql STABLE SECURITY DEFINER PARALLEL SAFE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
  SELECT p.target_at, p.target_index, p.step, p.mean, g.levels, p.quantiles,
         u.origin_at, u.origin_index, u.issued_at, u.run_id
  FROM forecast.job j
  JOIN forecast.series s ON s.job_id = j.job_id AND s.series = asof.series
  CROSS JOIN LATERAL (
    SELECT u.* FROM forecast.publication u
    WHERE u.job_id = j.job_id AND u.issued_at <= asof.at
      AND EXISTS (SELECT FROM forecast.forecast_point f
                  WHERE f.run_id = u.run_id AND f.series_id = s.series_id AND f.issued_at = u.issued_at)
    ORDER BY u.origin_at DESC NULLS LAST, u.origin_index DESC NULLS LAST, u.issued_at DESC
    LIMIT 1) u
  JOIN forecast.quantile_grid g ON g.grid_id = u.grid_id
  JOIN forecast.forecast_point p ON p.run_id = u.run_id AND p.series_id = s.series_id AND p.issued_at = u.issued_at
  WHERE j.name = asof.job
  ORDER BY p.step
$$;


--
-- Name: FUNCTION asof(job text, series text, at timestamp with time zone); Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON FUNCTION forecast.asof(job text, series text, at timestamp with time zone) IS 'What forecast.current showed for one series at an earlier instant.';


--
-- Name: cancel(bigint); Type: FUNCTION; Schema: forecast; Owner: -
--

CREATE FUNCTION forecast.cancel(run bigint) RETURNS text
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
  found_state text;
BEGIN
  SELECT r.state INTO found_state FROM forecast.run r WHERE r.run_id = cancel.run FOR UPDATE;
  IF found_state IS NULL THEN
    RAISE EXCEPTION 'there is no run %', cancel.run USING ERRCODE = 'no_data_found';
  ELSIF found_state IN ('queued', 'retryable') THEN
    UPDATE forecast.task SET state = 'cancelled' WHERE run_id = cancel.run;
    UPDATE forecast.run SET state = 'cancelled', finished_at = now(), cancel_requested_at = now() WHERE run_id = cancel.run;
    INSERT INTO forecast.run_event (run_id, level, stage, message) VALUES (cancel.run, 'warning', 'queue', 'cancelled before it started');
    RETURN 'cancelled';
  ELSIF found_state = 'running' THEN
    UPDATE forecast.run SET cancel_requested_at = coalesce(cancel_requested_at, now()) WHERE run_id = cancel.run;
    PERFORM pg_notify('forecast_cancel', cancel.run::text);
    RETURN 'cancel requested';
  END IF;
  RETURN 'already ' || found_state;
END
$$;


--
-- Name: FUNCTION cancel(run bigint); Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON FUNCTION forecast.cancel(run bigint) IS 'Cancels a run: at once when it waits, at the worker''s next heartbeat when it runs. Returns what happened.';


--
-- Name: enqueue_run(bigint, text, timestamp with time zone, bigint); Type: FUNCTION; Schema: forecast; Owner: -
--

CREATE FUNCTION forecast.enqueue_run(job_id bigint, trigger_kind text, cutoff_at timestamp with time zone, cutoff_index bigint) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
  new_run bigint;
BEGIN
  INSERT INTO forecast.run (job_id, job_version, trigger_kind, cutoff_at, cutoff_index)
  SELECT j.job_id, j.current_version, enqueue_run.trigger_kind, enqueue_run.cutoff_at, enqueue_run.cutoff_index
  FROM forecast.job j WHERE j.job_id = enqueue_run.job_id
  RETURNING run_id INTO new_run;
  INSERT INTO forecast.task (run_id, kind) VALUES (new_run, 'forecast');
  INSERT INTO forecast.run_event (run_id, level, stage, message) VALUES (new_run, 'info', 'queue', 'queued by ' || trigger_kind);
  PERFORM pg_notify('forecast_work', new_run::text);
  RETURN new_run;
END
$$;


--
-- Name: FUNCTION enqueue_run(job_id bigint, trigger_kind text, cutoff_at timestamp with time zone, cutoff_index bigint); Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON FUNCTION forecast.enqueue_run(job_id bigint, trigger_kind text, cutoff_at timestamp with time zone, cutoff_index bigint) IS 'Makes a run of the current version of a job with its task, and wakes the workers (NOTIFY forecast_work).';


--
-- Name: ensure_partition(timestamp with time zone); Type: FUNCTION; Schema: forecast; Owner: -
--

CREATE FUNCTION forecast.ensure_partition(at timestamp with time zone) RETURNS text
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
  first_day timestamptz := date_trunc('month', ensure_partition.at, 'UTC');
  after_last timestamptz := (date_trunc('month', ensure_partition.at AT TIME ZONE 'UTC') + interval '1 month') AT TIME ZONE 'UTC';
  part text := 'forecast_point_' || to_char(ensure_partition.at AT TIME ZONE 'UTC', 'YYYYMM');
BEGIN
  IF EXISTS (SELECT FROM pg_class WHERE relnamespace = 'forecast'::regnamespace AND relname = part) THEN
    RETURN part;
  END IF;
  PERFORM pg_advisory_xact_lock(hashtextextended('forecast.ensure_partition', 0));
  -- Not to_regclass: it would remember from before the lock that there is none.
  IF NOT EXISTS (SELECT FROM pg_class WHERE relnamespace = 'forecast'::regnamespace AND relname = part) THEN
    EXECUTE format('CREATE TABLE forecast.%I (LIKE forecast.forecast_point INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING INDEXES INCLUDING COMMENTS)', part);
    EXECUTE format('ALTER TABLE forecast.forecast_point ATTACH PARTITION forecast.%I FOR VALUES FROM (%L) TO (%L)', part, first_day, after_last);
  END IF;
  RETURN part;
END
$$;


--
-- Name: FUNCTION ensure_partition(at timestamp with time zone); Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON FUNCTION forecast.ensure_partition(at timestamp with time zone) IS 'Makes sure that the monthly partition of forecast_point (UTC months) for an instant exists; returns its name.';


SET default_tablespace = '';

SET default_table_access_method = heap;

--
-- Name: privacy_budget; Type: TABLE; Schema: forecast; Owner: -
--

CREATE TABLE forecast.privacy_budget (
    budget_id bigint NOT NULL,
    budget_key uuid DEFAULT gen_random_uuid() NOT NULL,
    account text NOT NULL,
    unit text NOT NULL,
    unit_steps integer,
    block text DEFAULT 'all'::text NOT NULL,
    block_from timestamp with time zone,
    block_until timestamp with time zone,
    epsilon_limit numeric(30,12) NOT NULL,
    delta_limit double precision NOT NULL,
    valid_from timestamp with time zone DEFAULT now() NOT NULL,
    valid_until timestamp with time zone,
    note text,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    created_by text DEFAULT SESSION_USER NOT NULL,
    CONSTRAINT privacy_budget_account_check CHECK ((account ~ '^[a-z0-9][a-z0-9._-]{0,62}$'::text)),
    CONSTRAINT privacy_budget_block_check CHECK ((block ~ '^[a-z0-9][a-z0-9._-]{0,62}$'::text)),
    CONSTRAINT privacy_budget_block_has_length CHECK ((block_from < block_until)),
    CONSTRAINT privacy_budget_delta_limit_check CHECK (((delta_limit > (0)::double precision) AND (delta_limit < (1)::double precision))),
    CONSTRAINT privacy_budget_epsilon_limit_check CHECK (((epsilon_limit > (0)::numeric) AND (epsilon_limit < '1000000000000000'::numeric))),
    CONSTRAINT privacy_budget_note_check CHECK ((note <> ''::text)),
    CONSTRAINT privacy_budget_unit_check CHECK ((unit = ANY (ARRAY['series'::text, 'block'::text, 'window'::text, 'person'::text]))),
    CONSTRAINT privacy_budget_unit_has_steps CHECK (((unit = ANY (ARRAY['series'::text, 'person'::text])) = (unit_steps IS NULL))),
    CONSTRAINT privacy_budget_unit_steps_check CHECK ((unit_steps >= 2)),
    CONSTRAINT privacy_budget_valid_for_a_time CHECK ((valid_from < valid_until))
);


--
-- Name: TABLE privacy_budget; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON TABLE forecast.privacy_budget IS 'What may be spent: one row per account and block of time of the data. Rows are never changed or deleted: to give more is to open another account, and what two accounts over the same data allow adds up.';


--
-- Name: COLUMN privacy_budget.budget_id; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.privacy_budget.budget_id IS 'Surrogate key; budgets are locked in its order.';


--
-- Name: COLUMN privacy_budget.budget_key; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.privacy_budget.budget_key IS 'The same budget in every copy of the database: records kept outside of it name this.';


--
-- Name: COLUMN privacy_budget.account; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.privacy_budget.account IS 'Name that a job gives: one set of private data and one promise about it.';


--
-- Name: COLUMN privacy_budget.unit; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.privacy_budget.unit IS 'What is protected: all of a series, a stretch of time of a series (block), one window of context and horizon, or a person who adds to the values of each time slot no more than the sensitivity that the job declares (input perturbation). Equal in all blocks of an account; a run that samples another unit is refused.';


--
-- Name: COLUMN privacy_budget.unit_steps; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.privacy_budget.unit_steps IS 'Steps of the series that a block or a window is long; NULL for series and person. A run with another length is refused.';


--
-- Name: COLUMN privacy_budget.block; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.privacy_budget.block IS 'Name of the block of time. The promise holds for what a unit has within the block: who is in several blocks is covered by several budgets, which add up.';


--
-- Name: COLUMN privacy_budget.block_from; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.privacy_budget.block_from IS 'Time stamps of the data from here on belong to the block; NULL: from the beginning.';


--
-- Name: COLUMN privacy_budget.block_until; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.privacy_budget.block_until IS 'Time stamps of the data before this belong to the block; NULL: without an end. Blocks of an account do not overlap.';


--
-- Name: COLUMN privacy_budget.epsilon_limit; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.privacy_budget.epsilon_limit IS 'What all charges composed may come to.';


--
-- Name: COLUMN privacy_budget.delta_limit; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.privacy_budget.delta_limit IS 'The probability with which that may fail to hold: composed epsilon is taken at it.';


--
-- Name: COLUMN privacy_budget.valid_from; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.privacy_budget.valid_from IS 'No charge is admitted earlier.';


--
-- Name: COLUMN privacy_budget.valid_until; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.privacy_budget.valid_until IS 'No charge is admitted from here on; NULL: without an end. Nothing is refreshed at an end.';


--
-- Name: COLUMN privacy_budget.note; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.privacy_budget.note IS 'Why the budget is what it is, or who decided; NULL when nothing was said.';


--
-- Name: COLUMN privacy_budget.created_at; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.privacy_budget.created_at IS 'When it was made.';


--
-- Name: COLUMN privacy_budget.created_by; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.privacy_budget.created_by IS 'The database user who made it.';


--
-- Name: lock_privacy_blocks(text, integer, timestamp with time zone); Type: FUNCTION; Schema: forecast; Owner: -
--

CREATE FUNCTION forecast.lock_privacy_blocks(account text, history integer, cutoff timestamp with time zone) RETURNS SETOF forecast.privacy_budget
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
  rule forecast.privacy_block_rule;
BEGIN
  SELECT r.* INTO rule FROM forecast.privacy_block_rule r WHERE r.account = lock_privacy_blocks.account;
  IF NOT FOUND THEN
    RETURN;
  END IF;
  PERFORM pg_advisory_xact_lock(hashtextextended('forecast.privacy:' || rule.account, 0));
  INSERT INTO forecast.privacy_budget (account, unit, unit_steps, block, block_from, block_until, epsilon_limit, delta_limit, note)
  SELECT rule.account, rule.unit, rule.unit_steps, p.block, p.block_from, p.block_until, rule.epsilon_limit, rule.delta_limit, rule.note
  FROM forecast.privacy_blocks(rule.period, rule.timezone, lock_privacy_blocks.history, lock_privacy_blocks.cutoff) p
  WHERE NOT EXISTS (SELECT FROM forecast.privacy_budget b WHERE b.account = rule.account AND b.block = p.block)
  ORDER BY p.block_from;
  RETURN QUERY
  SELECT b.* FROM forecast.privacy_budget b
  WHERE b.account = rule.account
    AND b.block IN (SELECT p.block FROM forecast.privacy_blocks(rule.period, rule.timezone, lock_privacy_blocks.history, lock_privacy_blocks.cutoff) p)
  ORDER BY b.budget_id FOR NO KEY UPDATE;
END
$$;


--
-- Name: FUNCTION lock_privacy_blocks(account text, history integer, cutoff timestamp with time zone); Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON FUNCTION forecast.lock_privacy_blocks(account text, history integer, cutoff timestamp with time zone) IS 'The budgets of the blocks of time that a run trains on, made where they are new, locked to the end of the transaction in the order of their keys. No row where the account has no rule.';


--
-- Name: lock_privacy_budgets(text); Type: FUNCTION; Schema: forecast; Owner: -
--

CREATE FUNCTION forecast.lock_privacy_budgets(account text) RETURNS SETOF forecast.privacy_budget
    LANGUAGE sql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
  SELECT b.* FROM forecast.privacy_budget b WHERE b.account = lock_privacy_budgets.account
  ORDER BY b.budget_id FOR NO KEY UPDATE
$$;


--
-- Name: FUNCTION lock_privacy_budgets(account text); Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON FUNCTION forecast.lock_privacy_budgets(account text) IS 'The budgets of an account, locked to the end of the transaction: charges are admitted one after the other.';


--
-- Name: pause(text); Type: FUNCTION; Schema: forecast; Owner: -
--

CREATE FUNCTION forecast.pause(job text) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
  UPDATE forecast.job j SET paused_at = coalesce(j.paused_at, now()) WHERE j.name = pause.job;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'there is no job "%"', pause.job USING ERRCODE = 'no_data_found';
  END IF;
END
$$;


--
-- Name: FUNCTION pause(job text); Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON FUNCTION forecast.pause(job text) IS 'Stops the schedule of a job; due instants are recorded as skipped-paused. Runs asked for by hand still run.';


--
-- Name: privacy_blocks(text, text, integer, timestamp with time zone); Type: FUNCTION; Schema: forecast; Owner: -
--

CREATE FUNCTION forecast.privacy_blocks(period text, timezone text, history integer, cutoff timestamp with time zone) RETURNS TABLE(block text, block_from timestamp with time zone, block_until timestamp with time zone)
    LANGUAGE sql STABLE STRICT
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
  SELECT to_char(local, CASE $1 WHEN 'day' THEN 'YYYY-MM-DD' WHEN 'week' THEN 'IYYY"-w"IW' WHEN 'month' THEN 'YYYY-MM'
                                WHEN 'quarter' THEN 'YYYY"-q"Q' WHEN 'year' THEN 'YYYY' END),
         local AT TIME ZONE $2, (local + length) AT TIME ZONE $2
  FROM (SELECT CASE $1 WHEN 'quarter' THEN interval '3 months' ELSE ('1 ' || $1)::interval END) AS p (length),
       generate_series(0, $3 - 1) AS back,
       LATERAL (SELECT date_trunc($1, $4 AT TIME ZONE $2) - back * length) AS l (local)
  ORDER BY local
$_$;


--
-- Name: FUNCTION privacy_blocks(period text, timezone text, history integer, cutoff timestamp with time zone); Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON FUNCTION forecast.privacy_blocks(period text, timezone text, history integer, cutoff timestamp with time zone) IS 'The block of time that a cutoff lies in and those before it, so many in all, oldest first.';


--
-- Name: privacy_charge; Type: TABLE; Schema: forecast; Owner: -
--

CREATE TABLE forecast.privacy_charge (
    charge_id bigint NOT NULL,
    budget_id bigint NOT NULL,
    number integer NOT NULL,
    run_id bigint NOT NULL,
    attempt_token uuid NOT NULL,
    purpose text NOT NULL,
    mechanism text NOT NULL,
    sampling_rate double precision,
    noise_multiplier double precision,
    steps bigint,
    release_epsilon numeric(30,12),
    added_delta double precision NOT NULL,
    delta double precision NOT NULL,
    epsilon numeric(30,12) NOT NULL,
    composed_epsilon numeric(30,12) NOT NULL,
    reserved_at timestamp with time zone NOT NULL,
    reserved_by text NOT NULL,
    digest bytea NOT NULL,
    cycle integer,
    bands integer,
    CONSTRAINT privacy_charge_added_delta_check CHECK (((added_delta >= (0)::double precision) AND (added_delta < (1)::double precision))),
    CONSTRAINT privacy_charge_bands_check CHECK ((bands >= 1)),
    CONSTRAINT privacy_charge_composed_epsilon_check CHECK (((composed_epsilon > (0)::numeric) AND (composed_epsilon < '1000000000000000'::numeric))),
    CONSTRAINT privacy_charge_cycle_check CHECK ((cycle >= 1)),
    CONSTRAINT privacy_charge_delta_check CHECK (((delta > (0)::double precision) AND (delta < (1)::double precision))),
    CONSTRAINT privacy_charge_digest_check CHECK ((octet_length(digest) = 32)),
    CONSTRAINT privacy_charge_epsilon_check CHECK (((epsilon > (0)::numeric) AND (epsilon < '1000000000000000'::numeric))),
    CONSTRAINT privacy_charge_mechanism_known CHECK ((mechanism = ANY (ARRAY['subsampled-gaussian'::text, 'correlated-gaussian'::text, 'input-gaussian'::text, 'release'::text]))),
    CONSTRAINT privacy_charge_number_check CHECK ((number >= 1)),
    CONSTRAINT privacy_charge_parameters_fit CHECK (
CASE
    WHEN (mechanism = 'release'::text) THEN ((release_epsilon > (0)::numeric) AND (release_epsilon < '1000000000000000'::numeric) AND (num_nonnulls(sampling_rate, noise_multiplier, steps, cycle, bands) = 0))
    ELSE ((num_nulls(noise_multiplier, steps) = 0) AND (release_epsilon IS NULL) AND (noise_multiplier > (0)::double precision) AND (noise_multiplier < 'Infinity'::double precision) AND ((steps >= 1) AND (steps <= '1000000000000'::bigint)) AND ((mechanism = 'subsampled-gaussian'::text) = (sampling_rate IS NOT NULL)) AND ((sampling_rate IS NULL) OR ((sampling_rate > (0)::double precision) AND (sampling_rate <= (1)::double precision))) AND (num_nonnulls(cycle, bands) =
    CASE mechanism
        WHEN 'correlated-gaussian'::text THEN 2
        ELSE 0
    END))
END),
    CONSTRAINT privacy_charge_purpose_check CHECK ((purpose ~ '^[a-z0-9][a-z0-9._-]{0,62}$'::text))
);


--
-- Name: TABLE privacy_charge; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON TABLE forecast.privacy_charge IS 'What was spent: a row is a reservation, made before the first private read and never taken back. Append-only; what became of it is in privacy_charge_state.';


--
-- Name: COLUMN privacy_charge.charge_id; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.privacy_charge.charge_id IS 'Surrogate key.';


--
-- Name: COLUMN privacy_charge.budget_id; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.privacy_charge.budget_id IS 'The budget it is spent from.';


--
-- Name: COLUMN privacy_charge.number; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.privacy_charge.number IS '1, 2, 3, ... within the budget, without gaps.';


--
-- Name: COLUMN privacy_charge.run_id; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.privacy_charge.run_id IS 'The run that reserved it.';


--
-- Name: COLUMN privacy_charge.attempt_token; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.privacy_charge.attempt_token IS 'The attempt that reserved it.';


--
-- Name: COLUMN privacy_charge.purpose; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.privacy_charge.purpose IS 'What for, such as fit; one charge per attempt and purpose.';


--
-- Name: COLUMN privacy_charge.mechanism; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.privacy_charge.mechanism IS 'subsampled-gaussian: steps with Poisson sampling, contributions clipped, normal noise on their sum. correlated-gaussian: steps in which units take turns, noises of steps correlated (DP-FTRL). input-gaussian: normal noise on every value of so many time slots. release: anything else that is (release_epsilon, added_delta)-differentially private.';


--
-- Name: COLUMN privacy_charge.sampling_rate; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.privacy_charge.sampling_rate IS 'Probability that a unit takes part in a step; NULL unless units are sampled.';


--
-- Name: COLUMN privacy_charge.noise_multiplier; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.privacy_charge.noise_multiplier IS 'Standard deviation of the noise in clipping norms (of what is released, before it is mixed), or in sensitivities of the values; NULL for a release.';


--
-- Name: COLUMN privacy_charge.steps; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.privacy_charge.steps IS 'Steps that were asked for, or time slots of input-gaussian; all of them count, whether or not they were taken. NULL for a release.';


--
-- Name: COLUMN privacy_charge.release_epsilon; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.privacy_charge.release_epsilon IS 'Epsilon of a release; NULL for all else.';


--
-- Name: COLUMN privacy_charge.added_delta; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.privacy_charge.added_delta IS 'Probability that counts in full beside the mechanism: the delta of a release, or what a sampler''s rounding is worth.';


--
-- Name: COLUMN privacy_charge.delta; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.privacy_charge.delta IS 'The delta at which epsilon holds for this charge alone.';


--
-- Name: COLUMN privacy_charge.epsilon; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.privacy_charge.epsilon IS 'Epsilon of this charge alone, rounded up; for information, as totals are composed from the parameters and not added up.';


--
-- Name: COLUMN privacy_charge.composed_epsilon; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.privacy_charge.composed_epsilon IS 'Epsilon of all charges of the budget up to this one at the budget''s delta_limit, rounded up: the high-water mark. Always above that of the charge before, and never above the limit.';


--
-- Name: COLUMN privacy_charge.reserved_at; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.privacy_charge.reserved_at IS 'When it was admitted, by the database''s clock.';


--
-- Name: COLUMN privacy_charge.reserved_by; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.privacy_charge.reserved_by IS 'The database user.';


--
-- Name: COLUMN privacy_charge.digest; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.privacy_charge.digest IS 'SHA-256 over the digest of the charge before and this one''s number and parameters: a chain that shows a missing or altered row.';


--
-- Name: COLUMN privacy_charge.cycle; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.privacy_charge.cycle IS 'Of correlated-gaussian: steps from one turn of a unit to its next; NULL for all else.';


--
-- Name: COLUMN privacy_charge.bands; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.privacy_charge.bands IS 'Of correlated-gaussian: of how many steps the noise is mixed; NULL for all else.';


--
-- Name: privacy_charge_digest(bytea, uuid, forecast.privacy_charge); Type: FUNCTION; Schema: forecast; Owner: -
--

CREATE FUNCTION forecast.privacy_charge_digest(previous bytea, budget_key uuid, charge forecast.privacy_charge) RETURNS bytea
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET extra_float_digits TO '1'
    AS $$
  SELECT sha256(coalesce(previous, ''::bytea) || convert_to(concat_ws('|', budget_key::text, (charge).number::text,
    (charge).run_id::text, (charge).attempt_token::text, (charge).purpose, (charge).mechanism,
    coalesce((charge).sampling_rate::text, '-'), coalesce((charge).noise_multiplier::text, '-'),
    coalesce((charge).steps::text, '-'), coalesce((charge).release_epsilon::text, '-'), (charge).added_delta::text,
    (charge).delta::text, (charge).epsilon::text, (charge).composed_epsilon::text, (charge).cycle::text,
    (charge).bands::text), 'UTF8'))
$$;


--
-- Name: FUNCTION privacy_charge_digest(previous bytea, budget_key uuid, charge forecast.privacy_charge); Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON FUNCTION forecast.privacy_charge_digest(previous bytea, budget_key uuid, charge forecast.privacy_charge) IS 'The digest of a charge after the digest of the one before it (NULL for the first).';


--
-- Name: privacy_charge_holder(bigint); Type: FUNCTION; Schema: forecast; Owner: -
--

CREATE FUNCTION forecast.privacy_charge_holder(charge_id bigint) RETURNS uuid
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
  SELECT b.attempt_token FROM forecast.privacy_charge_state b
  WHERE b.charge_id = $1 AND b.state = 'begun'
    AND NOT EXISTS (SELECT FROM forecast.privacy_charge_state u
                    WHERE u.charge_id = b.charge_id AND u.attempt_token = b.attempt_token AND u.state = 'unused')
$_$;


--
-- Name: FUNCTION privacy_charge_holder(charge_id bigint); Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON FUNCTION forecast.privacy_charge_holder(charge_id bigint) IS 'The attempt that began a charge and did not say before its training that it would not use it; NULL where there is none.';


--
-- Name: quantile(double precision[], double precision[], double precision); Type: FUNCTION; Schema: forecast; Owner: -
--

CREATE FUNCTION forecast.quantile(levels double precision[], quantiles double precision[], p double precision) RETURNS double precision
    LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
  n integer := cardinality(levels);
BEGIN
  IF p <= 0 OR p >= 1 THEN
    RAISE EXCEPTION 'a quantile level lies between 0 and 1, found %', p USING ERRCODE = 'numeric_value_out_of_range';
  END IF;
  IF p < levels[1] OR p > levels[n] THEN
    RETURN NULL;
  END IF;
  FOR i IN 1..n LOOP
    IF levels[i] = p THEN
      RETURN quantiles[i];
    ELSIF levels[i] > p THEN
      RETURN quantiles[i - 1] + (quantiles[i] - quantiles[i - 1]) * (p - levels[i - 1]) / (levels[i] - levels[i - 1]);
    END IF;
  END LOOP;
  RETURN NULL;
END
$$;


--
-- Name: FUNCTION quantile(levels double precision[], quantiles double precision[], p double precision); Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON FUNCTION forecast.quantile(levels double precision[], quantiles double precision[], p double precision) IS 'The quantile at level p: the stored one, or linear interpolation between its neighbours; NULL outside the levels (nothing is extrapolated).';


--
-- Name: refuse_change(); Type: FUNCTION; Schema: forecast; Owner: -
--

CREATE FUNCTION forecast.refuse_change() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
  RAISE EXCEPTION 'rows of forecast.% are immutable once written', TG_TABLE_NAME
    USING ERRCODE = 'restrict_violation', HINT = 'Publish a new run instead.';
END
$$;


--
-- Name: FUNCTION refuse_change(); Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON FUNCTION forecast.refuse_change() IS 'Trigger that refuses UPDATE of what has been issued.';


--
-- Name: refuse_ledger_change(); Type: FUNCTION; Schema: forecast; Owner: -
--

CREATE FUNCTION forecast.refuse_ledger_change() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
  RAISE EXCEPTION 'the privacy ledger only grows: % of forecast.% is refused', TG_OP, TG_TABLE_NAME
    USING ERRCODE = 'restrict_violation', HINT = 'What was spent cannot be taken back; another promise is another account.';
END
$$;


--
-- Name: FUNCTION refuse_ledger_change(); Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON FUNCTION forecast.refuse_ledger_change() IS 'Trigger that refuses UPDATE, DELETE and TRUNCATE of the privacy ledger.';


--
-- Name: refuse_unpublished(); Type: FUNCTION; Schema: forecast; Owner: -
--

CREATE FUNCTION forecast.refuse_unpublished() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
  IF NOT EXISTS (SELECT FROM forecast.publication
                 WHERE run_id = nullif(current_setting('forecast.publishing_run', true), '')::bigint
                   AND xmin = pg_current_xact_id()::xid) THEN
    RAISE EXCEPTION 'points are written only by the transaction that makes their publication'
      USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN NULL;
END
$$;


--
-- Name: FUNCTION refuse_unpublished(); Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON FUNCTION forecast.refuse_unpublished() IS 'Trigger that lets points in only together with their publication.';


--
-- Name: resume(text); Type: FUNCTION; Schema: forecast; Owner: -
--

CREATE FUNCTION forecast.resume(job text) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
  UPDATE forecast.job j SET paused_at = NULL WHERE j.name = resume.job;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'there is no job "%"', resume.job USING ERRCODE = 'no_data_found';
  END IF;
END
$$;


--
-- Name: FUNCTION resume(job text); Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON FUNCTION forecast.resume(job text) IS 'Puts the schedule of a paused job in force again.';


--
-- Name: retry(bigint); Type: FUNCTION; Schema: forecast; Owner: -
--

CREATE FUNCTION forecast.retry(run bigint) RETURNS text
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
  found_state text;
BEGIN
  SELECT r.state INTO found_state FROM forecast.run r WHERE r.run_id = retry.run FOR UPDATE;
  IF found_state IS NULL THEN
    RAISE EXCEPTION 'there is no run %', retry.run USING ERRCODE = 'no_data_found';
  ELSIF found_state NOT IN ('failed', 'cancelled', 'retryable') THEN
    RAISE EXCEPTION 'run % is %, only a failed, cancelled or retryable run can be retried', retry.run, found_state
      USING ERRCODE = 'object_not_in_prerequisite_state';
  END IF;
  UPDATE forecast.task SET state = 'queued', not_before = now(), max_attempts = attempts + 3 WHERE run_id = retry.run;
  UPDATE forecast.run SET state = 'queued', finished_at = NULL, cancel_requested_at = NULL,
         error_code = NULL, error_text = NULL, progress = NULL, stage = NULL WHERE run_id = retry.run;
  INSERT INTO forecast.run_event (run_id, level, stage, message) VALUES (retry.run, 'info', 'queue', 'queued again by retry');
  PERFORM pg_notify('forecast_work', retry.run::text);
  RETURN 'queued';
END
$$;


--
-- Name: FUNCTION retry(run bigint); Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON FUNCTION forecast.retry(run bigint) IS 'Queues a failed or cancelled run again, with the same version and cutoff and three more attempts.';


--
-- Name: run_now(text, timestamp with time zone, bigint); Type: FUNCTION; Schema: forecast; Owner: -
--

CREATE FUNCTION forecast.run_now(job text, cutoff timestamp with time zone DEFAULT NULL::timestamp with time zone, cutoff_index bigint DEFAULT NULL::bigint) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
  found_job bigint;
  integer_steps boolean;
BEGIN
  SELECT j.job_id, v.definition #>> '{source,frequency}' = 'integer' INTO found_job, integer_steps
  FROM forecast.job j JOIN forecast.job_version v ON v.job_id = j.job_id AND v.version = j.current_version
  WHERE j.name = run_now.job;
  IF found_job IS NULL THEN
    RAISE EXCEPTION 'there is no job "%"', run_now.job USING ERRCODE = 'no_data_found', HINT = 'SELECT job FROM forecast.status;';
  END IF;
  IF integer_steps AND cutoff IS NOT NULL OR NOT integer_steps AND run_now.cutoff_index IS NOT NULL THEN
    RAISE EXCEPTION 'job "%" takes % as cutoff', run_now.job, CASE WHEN integer_steps THEN 'an integer step (cutoff_index)' ELSE 'a time (cutoff)' END
      USING ERRCODE = 'invalid_parameter_value';
  END IF;
  RETURN forecast.enqueue_run(found_job, 'sql',
    CASE WHEN NOT integer_steps THEN coalesce(cutoff, now()) END,
    CASE WHEN integer_steps THEN coalesce(run_now.cutoff_index, 9223372036854775807) END);
END
$$;


--
-- Name: FUNCTION run_now(job text, cutoff timestamp with time zone, cutoff_index bigint); Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON FUNCTION forecast.run_now(job text, cutoff timestamp with time zone, cutoff_index bigint) IS 'Queues a run of a job and returns its number. The cutoff defaults to now (all rows for integer steps); a running forecastd picks it up at once.';


--
-- Name: attempt; Type: TABLE; Schema: forecast; Owner: -
--

CREATE TABLE forecast.attempt (
    attempt_id bigint NOT NULL,
    task_id bigint NOT NULL,
    number integer NOT NULL,
    token uuid DEFAULT gen_random_uuid() NOT NULL,
    worker text NOT NULL,
    host text NOT NULL,
    pid integer NOT NULL,
    build text NOT NULL,
    started_at timestamp with time zone DEFAULT now() NOT NULL,
    heartbeat_at timestamp with time zone DEFAULT now() NOT NULL,
    lease_until timestamp with time zone NOT NULL,
    finished_at timestamp with time zone,
    outcome text DEFAULT 'running'::text NOT NULL,
    error_code text,
    error_text text,
    CONSTRAINT attempt_failed_says_why CHECK (((outcome <> 'failed'::text) OR ((error_code IS NOT NULL) AND (error_text IS NOT NULL)))),
    CONSTRAINT attempt_finished_when_ended CHECK (((outcome = 'running'::text) = (finished_at IS NULL))),
    CONSTRAINT attempt_number_check CHECK ((number >= 1)),
    CONSTRAINT attempt_outcome_check CHECK ((outcome = ANY (ARRAY['running'::text, 'succeeded'::text, 'failed'::text, 'lost'::text, 'cancelled'::text, 'released'::text])))
)
WITH (fillfactor='80');


--
-- Name: TABLE attempt; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON TABLE forecast.attempt IS 'One worker''s try at a task. Everything it writes carries its token; a stale token is refused.';


--
-- Name: COLUMN attempt.attempt_id; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.attempt.attempt_id IS 'Surrogate key.';


--
-- Name: COLUMN attempt.task_id; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.attempt.task_id IS 'The task; at most one attempt of it is running.';


--
-- Name: COLUMN attempt.number; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.attempt.number IS '1, 2, 3, ... within the task.';


--
-- Name: COLUMN attempt.token; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.attempt.token IS 'Proof of the lease; new for each attempt.';


--
-- Name: COLUMN attempt.worker; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.attempt.worker IS 'Name of the worker within its process.';


--
-- Name: COLUMN attempt.host; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.attempt.host IS 'Host name of the worker.';


--
-- Name: COLUMN attempt.pid; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.attempt.pid IS 'Process id of the worker on its host.';


--
-- Name: COLUMN attempt.build; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.attempt.build IS 'Version of the program.';


--
-- Name: COLUMN attempt.started_at; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.attempt.started_at IS 'When the task was claimed.';


--
-- Name: COLUMN attempt.heartbeat_at; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.attempt.heartbeat_at IS 'Last sign of life.';


--
-- Name: COLUMN attempt.lease_until; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.attempt.lease_until IS 'When the attempt counts as lost unless another heartbeat comes.';


--
-- Name: COLUMN attempt.finished_at; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.attempt.finished_at IS 'When it ended; NULL while running.';


--
-- Name: COLUMN attempt.outcome; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.attempt.outcome IS 'running, succeeded, failed, lost (lease ran out), cancelled, or released (the worker was told to stop).';


--
-- Name: COLUMN attempt.error_code; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.attempt.error_code IS 'Stable code of the failure; NULL unless failed.';


--
-- Name: COLUMN attempt.error_text; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.attempt.error_text IS 'One sentence on the failure; NULL unless failed.';


--
-- Name: attempt_attempt_id_seq; Type: SEQUENCE; Schema: forecast; Owner: -
--

ALTER TABLE forecast.attempt ALTER COLUMN attempt_id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME forecast.attempt_attempt_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);


--
-- Name: current_run; Type: TABLE; Schema: forecast; Owner: -
--

CREATE TABLE forecast.current_run (
    job_id bigint NOT NULL,
    series_id bigint NOT NULL,
    run_id bigint NOT NULL
)
WITH (fillfactor='80');


--
-- Name: TABLE current_run; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON TABLE forecast.current_run IS 'Which publication is in force for each series: the one of the latest cutoff and, among equals, the last. Switched in the publishing transaction.';


--
-- Name: COLUMN current_run.job_id; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.current_run.job_id IS 'The job.';


--
-- Name: COLUMN current_run.series_id; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.current_run.series_id IS 'The series.';


--
-- Name: COLUMN current_run.run_id; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.current_run.run_id IS 'The publication in force. A series that later runs could not forecast keeps its last one.';


--
-- Name: forecast_point; Type: TABLE; Schema: forecast; Owner: -
--

CREATE TABLE forecast.forecast_point (
    run_id bigint NOT NULL,
    series_id bigint NOT NULL,
    issued_at timestamp with time zone NOT NULL,
    target_at timestamp with time zone,
    target_index bigint,
    mean double precision NOT NULL,
    step integer NOT NULL,
    quantiles double precision[] NOT NULL,
    CONSTRAINT forecast_point_mean_check CHECK (((mean > '-Infinity'::double precision) AND (mean < 'Infinity'::double precision))),
    CONSTRAINT forecast_point_one_target CHECK ((num_nonnulls(target_at, target_index) = 1)),
    CONSTRAINT forecast_point_quantiles_check CHECK (((quantiles[1] <= quantiles[cardinality(quantiles)]) AND (quantiles[1] > '-Infinity'::double precision) AND (quantiles[cardinality(quantiles)] < 'Infinity'::double precision))),
    CONSTRAINT forecast_point_step_check CHECK ((step >= 1))
)
PARTITION BY RANGE (issued_at);


--
-- Name: TABLE forecast_point; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON TABLE forecast.forecast_point IS 'Every forecast ever issued, a row per series and step; immutable. Partitioned by month of issue: drop an old partition to forget it. Read it through forecast.current, forecast.long or forecast.asof().';


--
-- Name: COLUMN forecast_point.run_id; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.forecast_point.run_id IS 'The run, and so the publication, that issued it.';


--
-- Name: COLUMN forecast_point.series_id; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.forecast_point.series_id IS 'The series, as in forecast.series.';


--
-- Name: COLUMN forecast_point.issued_at; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.forecast_point.issued_at IS 'As publication.issued_at.';


--
-- Name: COLUMN forecast_point.target_at; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.forecast_point.target_at IS 'The time the forecast is for; NULL for integer steps.';


--
-- Name: COLUMN forecast_point.target_index; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.forecast_point.target_index IS 'The integer step it is for; NULL for calendar series.';


--
-- Name: COLUMN forecast_point.mean; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.forecast_point.mean IS 'Mean of the forecast distribution, in the units of the data.';


--
-- Name: COLUMN forecast_point.step; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.forecast_point.step IS 'Steps after the last observation of the series: 1 to the horizon and, for a series that ends before the others, counted from its own end.';


--
-- Name: COLUMN forecast_point.quantiles; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.forecast_point.quantiles IS 'Quantiles at the levels of the publication''s grid, never decreasing.';


--
-- Name: job; Type: TABLE; Schema: forecast; Owner: -
--

CREATE TABLE forecast.job (
    job_id bigint NOT NULL,
    name text NOT NULL,
    current_version integer NOT NULL,
    schedule text,
    timezone text NOT NULL,
    paused_at timestamp with time zone,
    next_due_at timestamp with time zone,
    scheduled_from timestamp with time zone,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT job_check CHECK (((schedule IS NOT NULL) OR (next_due_at IS NULL))),
    CONSTRAINT job_check1 CHECK (((schedule IS NULL) = (scheduled_from IS NULL))),
    CONSTRAINT job_current_version_check CHECK ((current_version >= 1)),
    CONSTRAINT job_name_check CHECK ((name ~ '^[a-z0-9][a-z0-9._-]{0,62}$'::text))
);


--
-- Name: TABLE job; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON TABLE forecast.job IS 'One row per job, by its unique name. What it does is in job_version.';


--
-- Name: COLUMN job.job_id; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.job.job_id IS 'Surrogate key; never reused.';


--
-- Name: COLUMN job.name; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.job.name IS 'The name in the job file (job:), lower case, unique.';


--
-- Name: COLUMN job.current_version; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.job.current_version IS 'The version new runs use: the highest in job_version. Changed by forecastctl apply.';


--
-- Name: COLUMN job.schedule; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.job.schedule IS 'Five-field cron expression or @daily and so on; NULL for a job that only runs when asked.';


--
-- Name: COLUMN job.timezone; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.job.timezone IS 'IANA time zone in which the schedule and the calendar of the series are understood.';


--
-- Name: COLUMN job.paused_at; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.job.paused_at IS 'Set by forecast.pause(), cleared by forecast.resume(); NULL while the schedule is in force.';


--
-- Name: COLUMN job.next_due_at; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.job.next_due_at IS 'The next instant at which the schedule is due, kept by the scheduler; NULL without a schedule, or before the scheduler first saw the job.';


--
-- Name: COLUMN job.scheduled_from; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.job.scheduled_from IS 'Instants up to and including this one are settled (each has its schedule_tick row). Set to the time of apply when a schedule appears or changes; NULL without a schedule.';


--
-- Name: COLUMN job.created_at; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.job.created_at IS 'When the job was first applied.';


--
-- Name: publication; Type: TABLE; Schema: forecast; Owner: -
--

CREATE TABLE forecast.publication (
    run_id bigint NOT NULL,
    job_id bigint NOT NULL,
    attempt_token uuid NOT NULL,
    model_id bigint NOT NULL,
    grid_id integer NOT NULL,
    issued_at timestamp with time zone NOT NULL,
    origin_at timestamp with time zone,
    origin_index bigint,
    series bigint,
    points bigint,
    content_digest bytea,
    CONSTRAINT publication_all_or_nothing CHECK ((num_nulls(series, points, content_digest) = ANY (ARRAY[0, 3]))),
    CONSTRAINT publication_check CHECK ((points >= series)),
    CONSTRAINT publication_check1 CHECK ((num_nonnulls(origin_at, origin_index) = 1)),
    CONSTRAINT publication_content_digest_check CHECK ((octet_length(content_digest) = 32)),
    CONSTRAINT publication_series_check CHECK ((series >= 1))
);


--
-- Name: TABLE publication; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON TABLE forecast.publication IS 'The one moment at which a run''s forecasts became visible. One per run: the key makes publishing exactly-once.';


--
-- Name: COLUMN publication.run_id; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.publication.run_id IS 'The run.';


--
-- Name: COLUMN publication.job_id; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.publication.job_id IS 'Its job.';


--
-- Name: COLUMN publication.attempt_token; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.publication.attempt_token IS 'The attempt that published.';


--
-- Name: COLUMN publication.model_id; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.publication.model_id IS 'The model that made the forecasts.';


--
-- Name: COLUMN publication.grid_id; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.publication.grid_id IS 'The quantile levels of the points.';


--
-- Name: COLUMN publication.issued_at; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.publication.issued_at IS 'When the forecasts were issued; also the partition key of the points.';


--
-- Name: COLUMN publication.origin_at; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.publication.origin_at IS 'The cutoff of the run: no observation after it was used. NULL for integer steps.';


--
-- Name: COLUMN publication.origin_index; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.publication.origin_index IS 'The same for integer steps; NULL for calendar series.';


--
-- Name: COLUMN publication.series; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.publication.series IS 'Series forecast; NULL for a private run, whose number of series is private.';


--
-- Name: COLUMN publication.points; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.publication.points IS 'Points written: series times horizon; NULL for a private run.';


--
-- Name: COLUMN publication.content_digest; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.publication.content_digest IS 'SHA-256 of the points in the order written: equal digests, equal forecasts. NULL for a private run: it is of all series together.';


--
-- Name: quantile_grid; Type: TABLE; Schema: forecast; Owner: -
--

CREATE TABLE forecast.quantile_grid (
    grid_id integer NOT NULL,
    levels double precision[] NOT NULL,
    i05 integer GENERATED ALWAYS AS (array_position(levels, (0.05)::double precision)) STORED,
    i10 integer GENERATED ALWAYS AS (array_position(levels, (0.1)::double precision)) STORED,
    i25 integer GENERATED ALWAYS AS (array_position(levels, (0.25)::double precision)) STORED,
    i50 integer GENERATED ALWAYS AS (array_position(levels, (0.5)::double precision)) STORED,
    i75 integer GENERATED ALWAYS AS (array_position(levels, (0.75)::double precision)) STORED,
    i90 integer GENERATED ALWAYS AS (array_position(levels, (0.9)::double precision)) STORED,
    i95 integer GENERATED ALWAYS AS (array_position(levels, (0.95)::double precision)) STORED,
    CONSTRAINT quantile_grid_levels_check CHECK ((((cardinality(levels) >= 1) AND (cardinality(levels) <= 99)) AND (array_ndims(levels) = 1) AND (array_position(levels, NULL::double precision) IS NULL) AND (levels[1] > (0)::double precision) AND (levels[cardinality(levels)] < (1)::double precision)))
);


--
-- Name: TABLE quantile_grid; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON TABLE forecast.quantile_grid IS 'The sets of quantile levels in use. A point stores only the values; its publication names the grid.';


--
-- Name: COLUMN quantile_grid.grid_id; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.quantile_grid.grid_id IS 'Surrogate key.';


--
-- Name: COLUMN quantile_grid.levels; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.quantile_grid.levels IS 'Increasing levels between 0 and 1, as in the job file (quantiles:).';


--
-- Name: COLUMN quantile_grid.i05; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.quantile_grid.i05 IS 'Position of level 0.05 in levels; NULL when it is not there (forecast.quantile interpolates).';


--
-- Name: COLUMN quantile_grid.i10; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.quantile_grid.i10 IS 'Position of level 0.1.';


--
-- Name: COLUMN quantile_grid.i25; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.quantile_grid.i25 IS 'Position of level 0.25.';


--
-- Name: COLUMN quantile_grid.i50; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.quantile_grid.i50 IS 'Position of level 0.5.';


--
-- Name: COLUMN quantile_grid.i75; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.quantile_grid.i75 IS 'Position of level 0.75.';


--
-- Name: COLUMN quantile_grid.i90; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.quantile_grid.i90 IS 'Position of level 0.9.';


--
-- Name: COLUMN quantile_grid.i95; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.quantile_grid.i95 IS 'Position of level 0.95.';


--
-- Name: series; Type: TABLE; Schema: forecast; Owner: -
--

CREATE TABLE forecast.series (
    series_id bigint NOT NULL,
    job_id bigint NOT NULL,
    series text NOT NULL,
    CONSTRAINT series_series_check CHECK ((series <> ''::text))
);


--
-- Name: TABLE series; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON TABLE forecast.series IS 'Dictionary of the series of each job, so that points carry a number and not a text.';


--
-- Name: COLUMN series.series_id; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.series.series_id IS 'Surrogate key.';


--
-- Name: COLUMN series.job_id; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.series.job_id IS 'The job.';


--
-- Name: COLUMN series.series; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.series.series IS 'The key from the source query.';


--
-- Name: current; Type: VIEW; Schema: forecast; Owner: -
--

CREATE VIEW forecast.current AS
 SELECT j.name AS job,
    s.series,
    p.target_at,
    p.target_index,
    p.step,
    p.mean,
        CASE
            WHEN (g.i05 IS NOT NULL) THEN p.quantiles[g.i05]
            ELSE forecast.quantile(g.levels, p.quantiles, (0.05)::double precision)
        END AS p05,
        CASE
            WHEN (g.i10 IS NOT NULL) THEN p.quantiles[g.i10]
            ELSE forecast.quantile(g.levels, p.quantiles, (0.10)::double precision)
        END AS p10,
        CASE
            WHEN (g.i25 IS NOT NULL) THEN p.quantiles[g.i25]
            ELSE forecast.quantile(g.levels, p.quantiles, (0.25)::double precision)
        END AS p25,
        CASE
            WHEN (g.i50 IS NOT NULL) THEN p.quantiles[g.i50]
            ELSE forecast.quantile(g.levels, p.quantiles, (0.50)::double precision)
        END AS p50,
        CASE
            WHEN (g.i75 IS NOT NULL) THEN p.quantiles[g.i75]
            ELSE forecast.quantile(g.levels, p.quantiles, (0.75)::double precision)
        END AS p75,
        CASE
            WHEN (g.i90 IS NOT NULL) THEN p.quantiles[g.i90]
            ELSE forecast.quantile(g.levels, p.quantiles, (0.90)::double precision)
        END AS p90,
        CASE
            WHEN (g.i95 IS NOT NULL) THEN p.quantiles[g.i95]
            ELSE forecast.quantile(g.levels, p.quantiles, (0.95)::double precision)
        END AS p95,
    u.origin_at,
    u.origin_index,
    u.issued_at,
    p.run_id
   FROM (((((forecast.current_run c
     JOIN forecast.job j ON ((j.job_id = c.job_id)))
     JOIN forecast.series s ON ((s.series_id = c.series_id)))
     JOIN forecast.publication u ON ((u.run_id = c.run_id)))
     JOIN forecast.quantile_grid g ON ((g.grid_id = u.grid_id)))
     JOIN forecast.forecast_point p ON (((p.run_id = c.run_id) AND (p.series_id = c.series_id) AND (p.issued_at = u.issued_at))));


--
-- Name: VIEW current; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON VIEW forecast.current IS 'The forecasts in force, a row per series and step, with the usual quantiles as columns. Exactly one row per job, series and target.';


--
-- Name: data_snapshot; Type: TABLE; Schema: forecast; Owner: -
--

CREATE TABLE forecast.data_snapshot (
    run_id bigint NOT NULL,
    query_digest bytea NOT NULL,
    value_digest bytea,
    rows_read bigint,
    series bigint,
    first_at timestamp with time zone,
    last_at timestamp with time zone,
    first_index bigint,
    last_index bigint,
    read_at timestamp with time zone NOT NULL,
    read_seconds double precision,
    CONSTRAINT data_snapshot_all_or_nothing CHECK (((num_nulls(value_digest, rows_read, series, read_seconds) = ANY (ARRAY[0, 4])) AND ((rows_read IS NOT NULL) OR (num_nonnulls(first_at, first_index) = 0)))),
    CONSTRAINT data_snapshot_check CHECK (((first_at IS NULL) = (last_at IS NULL))),
    CONSTRAINT data_snapshot_check1 CHECK (((first_index IS NULL) = (last_index IS NULL))),
    CONSTRAINT data_snapshot_check2 CHECK ((num_nonnulls(first_at, first_index) <= 1)),
    CONSTRAINT data_snapshot_query_digest_check CHECK ((octet_length(query_digest) = 32)),
    CONSTRAINT data_snapshot_read_seconds_check CHECK ((read_seconds >= (0)::double precision)),
    CONSTRAINT data_snapshot_rows_read_check CHECK ((rows_read >= 0)),
    CONSTRAINT data_snapshot_series_check CHECK ((series >= 0)),
    CONSTRAINT data_snapshot_value_digest_check CHECK ((octet_length(value_digest) = 32))
);


--
-- Name: TABLE data_snapshot; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON TABLE forecast.data_snapshot IS 'What the source query returned to a run. Two runs with equal digests saw the same data. Of a private run nothing is stored but which query ran and when: all the rest would tell of the data as a whole.';


--
-- Name: COLUMN data_snapshot.run_id; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.data_snapshot.run_id IS 'The run that read it.';


--
-- Name: COLUMN data_snapshot.query_digest; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.data_snapshot.query_digest IS 'SHA-256 of the query text of the job version.';


--
-- Name: COLUMN data_snapshot.value_digest; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.data_snapshot.value_digest IS 'SHA-256 of all series in key order, times and values; independent of the order of rows. NULL for a private run: who knows all but one series could try guesses.';


--
-- Name: COLUMN data_snapshot.rows_read; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.data_snapshot.rows_read IS 'Rows that the query returned; NULL for a private run.';


--
-- Name: COLUMN data_snapshot.series; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.data_snapshot.series IS 'Different series among them; NULL for a private run.';


--
-- Name: COLUMN data_snapshot.first_at; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.data_snapshot.first_at IS 'Earliest time stamp; NULL for integer steps, when no row came, and for a private run.';


--
-- Name: COLUMN data_snapshot.last_at; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.data_snapshot.last_at IS 'Latest time stamp; NULL for integer steps, when no row came, and for a private run.';


--
-- Name: COLUMN data_snapshot.first_index; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.data_snapshot.first_index IS 'Smallest integer step; NULL for calendar series, when no row came, and for a private run.';


--
-- Name: COLUMN data_snapshot.last_index; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.data_snapshot.last_index IS 'Largest integer step; NULL for calendar series, when no row came, and for a private run.';


--
-- Name: COLUMN data_snapshot.read_at; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.data_snapshot.read_at IS 'When reading began.';


--
-- Name: COLUMN data_snapshot.read_seconds; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.data_snapshot.read_seconds IS 'Seconds from sending the query to the last row; NULL for a private run, as it grows with the rows.';


--
-- Name: job_job_id_seq; Type: SEQUENCE; Schema: forecast; Owner: -
--

ALTER TABLE forecast.job ALTER COLUMN job_id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME forecast.job_job_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);


--
-- Name: job_version; Type: TABLE; Schema: forecast; Owner: -
--

CREATE TABLE forecast.job_version (
    job_id bigint NOT NULL,
    version integer NOT NULL,
    definition jsonb NOT NULL,
    source_text text NOT NULL,
    digest bytea NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    created_by text DEFAULT SESSION_USER NOT NULL,
    CONSTRAINT job_version_definition_check CHECK ((jsonb_typeof(definition) = 'object'::text)),
    CONSTRAINT job_version_digest_check CHECK ((octet_length(digest) = 32)),
    CONSTRAINT job_version_version_check CHECK ((version >= 1))
);


--
-- Name: TABLE job_version; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON TABLE forecast.job_version IS 'Every definition a job ever had; rows are never changed. A run names the version it used.';


--
-- Name: COLUMN job_version.job_id; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.job_version.job_id IS 'The job.';


--
-- Name: COLUMN job_version.version; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.job_version.version IS '1, 2, 3, ... in the order of apply; an unchanged file makes no new version.';


--
-- Name: COLUMN job_version.definition; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.job_version.definition IS 'The definition with all defaults filled in.';


--
-- Name: COLUMN job_version.source_text; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.job_version.source_text IS 'The job file as it was applied, comments included.';


--
-- Name: COLUMN job_version.digest; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.job_version.digest IS 'SHA-256 of the canonical definition: comments and the order of keys do not count.';


--
-- Name: COLUMN job_version.created_at; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.job_version.created_at IS 'When this version was applied.';


--
-- Name: COLUMN job_version.created_by; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.job_version.created_by IS 'The database user who applied it.';


--
-- Name: model_version; Type: TABLE; Schema: forecast; Owner: -
--

CREATE TABLE forecast.model_version (
    model_id bigint NOT NULL,
    job_id bigint NOT NULL,
    run_id bigint NOT NULL,
    kind text NOT NULL,
    configuration jsonb NOT NULL,
    training jsonb NOT NULL,
    weights bytea NOT NULL,
    weights_digest bytea NOT NULL,
    parameters bigint NOT NULL,
    fit_mode text NOT NULL,
    parent_model_id bigint,
    seed bigint NOT NULL,
    threads integer NOT NULL,
    build text NOT NULL,
    steps integer NOT NULL,
    validation_loss double precision,
    fit_seconds double precision,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT model_version_check CHECK (((fit_mode = 'fresh'::text) = (parent_model_id IS NULL))),
    CONSTRAINT model_version_configuration_check CHECK ((jsonb_typeof(configuration) = 'object'::text)),
    CONSTRAINT model_version_fit_mode_check CHECK ((fit_mode = ANY (ARRAY['fresh'::text, 'warm'::text, 'state-only'::text]))),
    CONSTRAINT model_version_fit_seconds_check CHECK ((fit_seconds >= (0)::double precision)),
    CONSTRAINT model_version_parameters_check CHECK ((parameters >= 0)),
    CONSTRAINT model_version_steps_check CHECK ((steps >= 0)),
    CONSTRAINT model_version_threads_check CHECK ((threads >= 1)),
    CONSTRAINT model_version_training_check CHECK ((jsonb_typeof(training) = 'object'::text)),
    CONSTRAINT model_version_weights_digest_check CHECK ((octet_length(weights_digest) = 32))
);


--
-- Name: TABLE model_version; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON TABLE forecast.model_version IS 'A fitted model with everything needed to make it again or to use it without refitting.';


--
-- Name: COLUMN model_version.model_id; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.model_version.model_id IS 'Surrogate key.';


--
-- Name: COLUMN model_version.job_id; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.model_version.job_id IS 'The job.';


--
-- Name: COLUMN model_version.run_id; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.model_version.run_id IS 'The run that fitted it.';


--
-- Name: COLUMN model_version.kind; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.model_version.kind IS 'Registered name of the architecture, as in the job file.';


--
-- Name: COLUMN model_version.configuration; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.model_version.configuration IS 'Hyper-parameters of the forecaster.';


--
-- Name: COLUMN model_version.training; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.model_version.training IS 'Settings of the training and what came of them: best step, retries.';


--
-- Name: COLUMN model_version.weights; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.model_version.weights IS 'The weights in safetensors format.';


--
-- Name: COLUMN model_version.weights_digest; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.model_version.weights_digest IS 'SHA-256 of weights: equal for equal data, job, seed, build and thread count.';


--
-- Name: COLUMN model_version.parameters; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.model_version.parameters IS 'Number of trained parameters.';


--
-- Name: COLUMN model_version.fit_mode; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.model_version.fit_mode IS 'fresh: from random weights.';


--
-- Name: COLUMN model_version.parent_model_id; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.model_version.parent_model_id IS 'The model it started from; NULL when fresh.';


--
-- Name: COLUMN model_version.seed; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.model_version.seed IS 'Seed of all random streams of the fit.';


--
-- Name: COLUMN model_version.threads; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.model_version.threads IS 'Threads of the fit: results are reproducible for a given number.';


--
-- Name: COLUMN model_version.build; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.model_version.build IS 'Version of the program.';


--
-- Name: COLUMN model_version.steps; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.model_version.steps IS 'Optimiser steps of the weights that were kept.';


--
-- Name: COLUMN model_version.validation_loss; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.model_version.validation_loss IS 'Mean quantile loss on the validation windows, in scaled units; NULL when there were too few windows to hold any out, and for a private model, of which no loss is ever stored.';


--
-- Name: COLUMN model_version.fit_seconds; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.model_version.fit_seconds IS 'Wall-clock seconds of the fit; NULL for a private one, as it grows with the units that were drawn.';


--
-- Name: COLUMN model_version.created_at; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.model_version.created_at IS 'When it was stored.';


--
-- Name: run; Type: TABLE; Schema: forecast; Owner: -
--

CREATE TABLE forecast.run (
    run_id bigint NOT NULL,
    job_id bigint NOT NULL,
    job_version integer NOT NULL,
    trigger_kind text NOT NULL,
    cutoff_at timestamp with time zone,
    cutoff_index bigint,
    state text DEFAULT 'queued'::text NOT NULL,
    queued_at timestamp with time zone DEFAULT now() NOT NULL,
    started_at timestamp with time zone,
    finished_at timestamp with time zone,
    cancel_requested_at timestamp with time zone,
    stage text,
    progress double precision,
    series_total bigint,
    series_ok bigint,
    series_failed bigint,
    error_code text,
    error_text text,
    notice_code text,
    notice_text text,
    CONSTRAINT run_counts_add_up CHECK (((series_ok IS NULL) OR (series_failed IS NULL) OR (series_total = (series_ok + series_failed)))),
    CONSTRAINT run_failed_says_why CHECK (((state <> ALL (ARRAY['failed'::text, 'retryable'::text])) OR ((error_code IS NOT NULL) AND (error_text IS NOT NULL)))),
    CONSTRAINT run_finished_when_ended CHECK (((state = ANY (ARRAY['succeeded'::text, 'failed'::text, 'cancelled'::text])) = (finished_at IS NOT NULL))),
    CONSTRAINT run_notice_says_why CHECK (((notice_code IS NULL) = (notice_text IS NULL))),
    CONSTRAINT run_one_cutoff CHECK ((num_nonnulls(cutoff_at, cutoff_index) = 1)),
    CONSTRAINT run_progress_check CHECK (((progress >= (0)::double precision) AND (progress <= (1)::double precision))),
    CONSTRAINT run_series_failed_check CHECK ((series_failed >= 0)),
    CONSTRAINT run_series_ok_check CHECK ((series_ok >= 0)),
    CONSTRAINT run_series_total_check CHECK ((series_total >= 0)),
    CONSTRAINT run_started_when_running CHECK (((state <> ALL (ARRAY['running'::text, 'retryable'::text, 'succeeded'::text])) OR (started_at IS NOT NULL))),
    CONSTRAINT run_state_check CHECK ((state = ANY (ARRAY['queued'::text, 'running'::text, 'retryable'::text, 'succeeded'::text, 'failed'::text, 'cancelled'::text]))),
    CONSTRAINT run_trigger_kind_check CHECK ((trigger_kind = ANY (ARRAY['schedule'::text, 'manual'::text, 'sql'::text])))
)
WITH (fillfactor='80');


--
-- Name: TABLE run; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON TABLE forecast.run IS 'One execution of one version of a job for one cutoff.';


--
-- Name: COLUMN run.run_id; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.run.run_id IS 'The number that forecastctl shows and takes.';


--
-- Name: COLUMN run.job_id; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.run.job_id IS 'The job.';


--
-- Name: COLUMN run.job_version; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.run.job_version IS 'The version of the job''s definition that this run uses.';


--
-- Name: COLUMN run.trigger_kind; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.run.trigger_kind IS 'Who asked: schedule, manual (forecastctl run) or sql (forecast.run_now()).';


--
-- Name: COLUMN run.cutoff_at; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.run.cutoff_at IS 'Value bound to :cutoff, the last instant whose observations are used; NULL for series without a calendar.';


--
-- Name: COLUMN run.cutoff_index; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.run.cutoff_index IS 'The same for integer steps; NULL for calendar series. The largest bigint means no cutoff.';


--
-- Name: COLUMN run.state; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.run.state IS 'queued, running, retryable (an attempt failed or was lost and another will follow), succeeded, failed or cancelled.';


--
-- Name: COLUMN run.queued_at; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.run.queued_at IS 'When the run was asked for.';


--
-- Name: COLUMN run.started_at; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.run.started_at IS 'When a worker first claimed it; NULL before.';


--
-- Name: COLUMN run.finished_at; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.run.finished_at IS 'When it succeeded, failed for good or was cancelled; NULL until then.';


--
-- Name: COLUMN run.cancel_requested_at; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.run.cancel_requested_at IS 'When forecast.cancel() was called on a running run; the worker stops at its next heartbeat.';


--
-- Name: COLUMN run.stage; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.run.stage IS 'What the worker is doing now: read, fit, predict or publish; the last one reached once finished.';


--
-- Name: COLUMN run.progress; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.run.progress IS 'Fraction of the work done, 0 to 1; NULL before the first report.';


--
-- Name: COLUMN run.series_total; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.run.series_total IS 'Series that the source query returned; NULL until it was read, and for a private run.';


--
-- Name: COLUMN run.series_ok; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.run.series_ok IS 'Series that got a forecast; NULL until published, and for a private run.';


--
-- Name: COLUMN run.series_failed; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.run.series_failed IS 'Series that got none; why is in series_verdict. NULL until published, and for a private run.';


--
-- Name: COLUMN run.error_code; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.run.error_code IS 'Code of the last failed attempt, stable for programs; NULL when none failed.';


--
-- Name: COLUMN run.error_text; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.run.error_text IS 'One sentence on the last failure and what to do; NULL when none failed.';


--
-- Name: COLUMN run.notice_code; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.run.notice_code IS 'What an operator should know of a run although it goes well, stable for programs: privacy-budget, where the account was empty and an earlier model forecast. NULL when there is nothing.';


--
-- Name: COLUMN run.notice_text; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.run.notice_text IS 'One sentence on it; NULL when there is nothing.';


--
-- Name: lineage; Type: VIEW; Schema: forecast; Owner: -
--

CREATE VIEW forecast.lineage AS
 SELECT j.name AS job,
    r.run_id,
    r.job_version,
    r.trigger_kind,
    u.issued_at,
    u.origin_at,
    u.origin_index,
    d.rows_read,
    d.series AS series_read,
    u.series AS series_forecast,
    u.points,
    encode(d.query_digest, 'hex'::text) AS query_digest,
    encode(d.value_digest, 'hex'::text) AS value_digest,
    encode(u.content_digest, 'hex'::text) AS content_digest,
    m.model_id,
    m.kind,
    m.parameters,
    m.fit_mode,
    m.seed,
    m.threads,
    m.steps,
    m.validation_loss,
    m.fit_seconds,
    encode(m.weights_digest, 'hex'::text) AS weights_digest,
    m.build,
    a.host,
    a.worker
   FROM (((((forecast.publication u
     JOIN forecast.run r ON ((r.run_id = u.run_id)))
     JOIN forecast.job j ON ((j.job_id = u.job_id)))
     JOIN forecast.data_snapshot d ON ((d.run_id = u.run_id)))
     JOIN forecast.model_version m ON ((m.model_id = u.model_id)))
     JOIN forecast.attempt a ON ((a.token = u.attempt_token)));


--
-- Name: VIEW lineage; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON VIEW forecast.lineage IS 'Where every publication came from: data, job version, model, seed, build and machine.';


--
-- Name: long; Type: VIEW; Schema: forecast; Owner: -
--

CREATE VIEW forecast.long AS
 SELECT j.name AS job,
    s.series,
    p.target_at,
    p.target_index,
    p.step,
    q.level AS quantile,
    q.value,
    u.origin_at,
    u.origin_index,
    u.issued_at,
    p.run_id
   FROM ((((((forecast.current_run c
     JOIN forecast.job j ON ((j.job_id = c.job_id)))
     JOIN forecast.series s ON ((s.series_id = c.series_id)))
     JOIN forecast.publication u ON ((u.run_id = c.run_id)))
     JOIN forecast.quantile_grid g ON ((g.grid_id = u.grid_id)))
     JOIN forecast.forecast_point p ON (((p.run_id = c.run_id) AND (p.series_id = c.series_id) AND (p.issued_at = u.issued_at))))
     CROSS JOIN LATERAL UNNEST(g.levels, p.quantiles) q(level, value));


--
-- Name: VIEW long; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON VIEW forecast.long IS 'The forecasts in force, a row per series, step and quantile level.';


--
-- Name: model_version_model_id_seq; Type: SEQUENCE; Schema: forecast; Owner: -
--

ALTER TABLE forecast.model_version ALTER COLUMN model_id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME forecast.model_version_model_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);


--
-- Name: privacy_charge_state; Type: TABLE; Schema: forecast; Owner: -
--

CREATE TABLE forecast.privacy_charge_state (
    charge_id bigint NOT NULL,
    state text NOT NULL,
    attempt_token uuid NOT NULL,
    steps_taken bigint,
    entered_at timestamp with time zone NOT NULL,
    CONSTRAINT privacy_charge_state_counts_steps CHECK (((steps_taken IS NULL) OR (state = 'committed'::text))),
    CONSTRAINT privacy_charge_state_known CHECK ((state = ANY (ARRAY['begun'::text, 'unused'::text, 'committed'::text]))),
    CONSTRAINT privacy_charge_state_steps_taken_check CHECK ((steps_taken >= 0))
);


--
-- Name: TABLE privacy_charge_state; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON TABLE forecast.privacy_charge_state IS 'What became of a charge: begun when an attempt was about to read private data, unused when that attempt ended before its training began, committed when its result was published. Append-only; without a row here a charge is reserved. All states count alike: nothing is given back.';


--
-- Name: COLUMN privacy_charge_state.charge_id; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.privacy_charge_state.charge_id IS 'The charge.';


--
-- Name: COLUMN privacy_charge_state.state; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.privacy_charge_state.state IS 'begun, unused or committed; each at most once for an attempt. After unused the next attempt at the run may begin the charge; after begun nobody else may.';


--
-- Name: COLUMN privacy_charge_state.attempt_token; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.privacy_charge_state.attempt_token IS 'The attempt that says so.';


--
-- Name: COLUMN privacy_charge_state.steps_taken; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.privacy_charge_state.steps_taken IS 'Steps that were really taken, for information; NULL unless committed, and for a release.';


--
-- Name: COLUMN privacy_charge_state.entered_at; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.privacy_charge_state.entered_at IS 'When, by the database''s clock.';


--
-- Name: privacy; Type: VIEW; Schema: forecast; Owner: -
--

CREATE VIEW forecast.privacy AS
 SELECT b.account,
    b.unit,
    b.unit_steps,
    b.block,
    b.block_from,
    b.block_until,
    b.epsilon_limit,
    COALESCE(c.composed_epsilon, (0)::numeric) AS epsilon_spent,
    (b.epsilon_limit - COALESCE(c.composed_epsilon, (0)::numeric)) AS epsilon_left,
    b.delta_limit AS delta,
    COALESCE(n.runs, (0)::bigint) AS runs,
    COALESCE(n.charges, (0)::bigint) AS charges,
    COALESCE(n.uncommitted, (0)::bigint) AS uncommitted,
    c.reserved_at AS last_charge_at,
    b.valid_from,
    b.valid_until,
    ((now() >= b.valid_from) AND ((b.valid_until IS NULL) OR (now() < b.valid_until))) AS valid,
    b.note,
    b.created_at,
    b.created_by,
    b.budget_key
   FROM ((forecast.privacy_budget b
     LEFT JOIN LATERAL ( SELECT privacy_charge.charge_id,
            privacy_charge.budget_id,
            privacy_charge.number,
            privacy_charge.run_id,
            privacy_charge.attempt_token,
            privacy_charge.purpose,
            privacy_charge.mechanism,
            privacy_charge.sampling_rate,
            privacy_charge.noise_multiplier,
            privacy_charge.steps,
            privacy_charge.release_epsilon,
            privacy_charge.added_delta,
            privacy_charge.delta,
            privacy_charge.epsilon,
            privacy_charge.composed_epsilon,
            privacy_charge.reserved_at,
            privacy_charge.reserved_by,
            privacy_charge.digest
           FROM forecast.privacy_charge
          WHERE (privacy_charge.budget_id = b.budget_id)
          ORDER BY privacy_charge.number DESC
         LIMIT 1) c ON (true))
     LEFT JOIN LATERAL ( SELECT count(DISTINCT p.run_id) AS runs,
            count(*) AS charges,
            count(*) FILTER (WHERE (s.charge_id IS NULL)) AS uncommitted
           FROM (forecast.privacy_charge p
             LEFT JOIN forecast.privacy_charge_state s ON (((s.charge_id = p.charge_id) AND (s.state = 'committed'::text))))
          WHERE (p.budget_id = b.budget_id)) n ON (true));


--
-- Name: VIEW privacy; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON VIEW forecast.privacy IS 'One row per budget: what may be spent, what was, what is left. It covers the models that were fitted under the account, everything derived from them, and all that is stored of their runs beside rows that name a series: whoever sees all of that learns about one unit''s data within the block no more than (epsilon_spent, delta)-differential privacy allows, neighbours differing by one unit more or less. Where an account has blocks of time, the unit is what one series (or stretch, or window) has in one block. It does not cover: rows that name a series (its forecasts, verdicts and key, functions of the private model and of that series alone), in which that series'' own data show: they hide a unit from the readers of other series, not from its own; that a run failed, with its code, and how long it took; jobs and queries that do not charge the account, such as models fitted without private training; another account over the same data, whose epsilon adds up; units larger than the one named. Reserved charges count as spent, also when the run failed.';


--
-- Name: privacy_block_rule; Type: TABLE; Schema: forecast; Owner: -
--

CREATE TABLE forecast.privacy_block_rule (
    account text NOT NULL,
    unit text NOT NULL,
    unit_steps integer,
    period text NOT NULL,
    timezone text NOT NULL,
    epsilon_limit numeric(30,12) NOT NULL,
    delta_limit double precision NOT NULL,
    note text,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    created_by text DEFAULT SESSION_USER NOT NULL,
    CONSTRAINT privacy_block_rule_account_check CHECK ((account ~ '^[a-z0-9][a-z0-9._-]{0,62}$'::text)),
    CONSTRAINT privacy_block_rule_delta_limit_check CHECK (((delta_limit > (0)::double precision) AND (delta_limit < (1)::double precision))),
    CONSTRAINT privacy_block_rule_epsilon_limit_check CHECK (((epsilon_limit > (0)::numeric) AND (epsilon_limit < '1000000000000000'::numeric))),
    CONSTRAINT privacy_block_rule_note_check CHECK ((note <> ''::text)),
    CONSTRAINT privacy_block_rule_period_check CHECK ((period = ANY (ARRAY['day'::text, 'week'::text, 'month'::text, 'quarter'::text, 'year'::text]))),
    CONSTRAINT privacy_block_rule_unit_check CHECK ((unit = ANY (ARRAY['series'::text, 'block'::text, 'window'::text, 'person'::text]))),
    CONSTRAINT privacy_block_rule_unit_has_steps CHECK (((unit = ANY (ARRAY['series'::text, 'person'::text])) = (unit_steps IS NULL))),
    CONSTRAINT privacy_block_rule_unit_steps_check CHECK ((unit_steps >= 2))
);


--
-- Name: TABLE privacy_block_rule; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON TABLE forecast.privacy_block_rule IS 'Accounts whose budgets are by block of time of the data: every day, week, month, quarter or year has a budget of its own, which appears when a run first trains on its data. Rows are never changed or deleted.';


--
-- Name: COLUMN privacy_block_rule.account; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.privacy_block_rule.account IS 'Name that a job gives.';


--
-- Name: COLUMN privacy_block_rule.unit; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.privacy_block_rule.unit IS 'What is protected within a block: all that a series has in it, a stretch of time, or a window. Windows of a training never cross a border of blocks.';


--
-- Name: COLUMN privacy_block_rule.unit_steps; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.privacy_block_rule.unit_steps IS 'Steps of the series that a stretch of time or a window is long; NULL for series.';


--
-- Name: COLUMN privacy_block_rule.period; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.privacy_block_rule.period IS 'Length of a block: a calendar day, week (from Monday), month, quarter or year.';


--
-- Name: COLUMN privacy_block_rule.timezone; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.privacy_block_rule.timezone IS 'IANA time zone in which blocks begin at midnight.';


--
-- Name: COLUMN privacy_block_rule.epsilon_limit; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.privacy_block_rule.epsilon_limit IS 'What all charges of one block composed may come to.';


--
-- Name: COLUMN privacy_block_rule.delta_limit; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.privacy_block_rule.delta_limit IS 'The delta of every block.';


--
-- Name: COLUMN privacy_block_rule.note; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.privacy_block_rule.note IS 'Why, or who decided; NULL when nothing was said.';


--
-- Name: COLUMN privacy_block_rule.created_at; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.privacy_block_rule.created_at IS 'When it was made.';


--
-- Name: COLUMN privacy_block_rule.created_by; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.privacy_block_rule.created_by IS 'The database user who made it.';


--
-- Name: privacy_accounts; Type: VIEW; Schema: forecast; Owner: -
--

CREATE VIEW forecast.privacy_accounts AS
 SELECT a.account,
    a.unit,
    a.unit_steps,
    r.period AS block_period,
    r.timezone,
    COALESCE(n.budgets, (0)::bigint) AS budgets,
    w.block AS worst_block,
    COALESCE(w.epsilon_limit, r.epsilon_limit) AS epsilon_limit,
    COALESCE(w.epsilon_spent, (0)::numeric) AS epsilon_spent,
    COALESCE(w.epsilon_left, r.epsilon_limit) AS epsilon_left,
    COALESCE(w.delta, r.delta_limit) AS delta,
    COALESCE(n.runs, (0)::bigint) AS runs,
    n.last_charge_at,
    COALESCE(r.note, w.note) AS note
   FROM (((( SELECT DISTINCT privacy_budget.account,
            privacy_budget.unit,
            privacy_budget.unit_steps
           FROM forecast.privacy_budget
        UNION
         SELECT privacy_block_rule.account,
            privacy_block_rule.unit,
            privacy_block_rule.unit_steps
           FROM forecast.privacy_block_rule) a
     LEFT JOIN forecast.privacy_block_rule r ON ((r.account = a.account)))
     LEFT JOIN LATERAL ( SELECT count(*) AS budgets,
            max(p.last_charge_at) AS last_charge_at,
            ( SELECT count(DISTINCT c.run_id) AS count
                   FROM (forecast.privacy_charge c
                     JOIN forecast.privacy_budget b ON ((b.budget_id = c.budget_id)))
                  WHERE (b.account = a.account)) AS runs
           FROM forecast.privacy p
          WHERE (p.account = a.account)) n ON (true))
     LEFT JOIN LATERAL ( SELECT p.account,
            p.unit,
            p.unit_steps,
            p.block,
            p.block_from,
            p.block_until,
            p.epsilon_limit,
            p.epsilon_spent,
            p.epsilon_left,
            p.delta,
            p.runs,
            p.charges,
            p.uncommitted,
            p.last_charge_at,
            p.valid_from,
            p.valid_until,
            p.valid,
            p.note,
            p.created_at,
            p.created_by,
            p.budget_key
           FROM forecast.privacy p
          WHERE (p.account = a.account)
          ORDER BY p.epsilon_left, p.block_from DESC NULLS LAST
         LIMIT 1) w ON (true));


--
-- Name: VIEW privacy_accounts; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON VIEW forecast.privacy_accounts IS 'One row per account: its unit, its blocks of time if any, and the budget that has least left. Who is in one block is covered by that block''s budget alone, so the worst block is what the account promises; who is in several is covered by theirs together.';


--
-- Name: privacy_budget_budget_id_seq; Type: SEQUENCE; Schema: forecast; Owner: -
--

ALTER TABLE forecast.privacy_budget ALTER COLUMN budget_id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME forecast.privacy_budget_budget_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);


--
-- Name: privacy_charge_charge_id_seq; Type: SEQUENCE; Schema: forecast; Owner: -
--

ALTER TABLE forecast.privacy_charge ALTER COLUMN charge_id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME forecast.privacy_charge_charge_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);


--
-- Name: privacy_charges; Type: VIEW; Schema: forecast; Owner: -
--

CREATE VIEW forecast.privacy_charges AS
 SELECT b.account,
    b.unit,
    b.block,
    c.number,
    j.name AS job,
    c.run_id,
    c.purpose,
    COALESCE(s.state, 'reserved'::text) AS state,
    c.mechanism,
    c.sampling_rate,
    c.noise_multiplier,
    c.steps,
    s.steps_taken,
    c.release_epsilon,
    c.added_delta,
    c.epsilon,
    c.delta,
    c.composed_epsilon,
    b.delta_limit AS composed_delta,
    c.reserved_at,
    s.entered_at AS state_since,
    c.reserved_by,
    encode(c.digest, 'hex'::text) AS digest,
    (c.digest = forecast.privacy_charge_digest(lag(c.digest) OVER (PARTITION BY c.budget_id ORDER BY c.number), b.budget_key, c.*)) AS intact,
    c.cycle,
    c.bands
   FROM ((((forecast.privacy_charge c
     JOIN forecast.privacy_budget b ON ((b.budget_id = c.budget_id)))
     JOIN forecast.run r ON ((r.run_id = c.run_id)))
     JOIN forecast.job j ON ((j.job_id = r.job_id)))
     LEFT JOIN LATERAL ( SELECT t.charge_id,
            t.state,
            t.attempt_token,
            t.steps_taken,
            t.entered_at
           FROM forecast.privacy_charge_state t
          WHERE (t.charge_id = c.charge_id)
          ORDER BY (t.state = 'committed'::text) DESC, t.entered_at DESC, t.state DESC
         LIMIT 1) s ON (true));


--
-- Name: VIEW privacy_charges; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON VIEW forecast.privacy_charges IS 'Every charge with its run and job, in the order of number: by whom, when, with which parameters, and to what the budget''s total rose. state: reserved (nothing was read under it), begun (private data may have been read), unused (its attempt ended before the training began: the next attempt at the run may use it), committed (published); all of them count. intact is false where a row was altered or one before it is missing.';


--
-- Name: private_input; Type: TABLE; Schema: forecast; Owner: -
--

CREATE TABLE forecast.private_input (
    input_id bigint NOT NULL,
    job_id bigint NOT NULL,
    account text NOT NULL,
    source_digest bytea NOT NULL,
    sensitivity double precision NOT NULL,
    deviation double precision NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT private_input_deviation_check CHECK (((deviation > (0)::double precision) AND (deviation < 'Infinity'::double precision))),
    CONSTRAINT private_input_sensitivity_check CHECK (((sensitivity > (0)::double precision) AND (sensitivity < 'Infinity'::double precision))),
    CONSTRAINT private_input_source_digest_check CHECK ((octet_length(source_digest) = 32))
);


--
-- Name: TABLE private_input; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON TABLE forecast.private_input IS 'A source whose values are released with noise, each once. Another query, frequency, time zone, account, sensitivity or noise is another input, which releases all over again and pays for it.';


--
-- Name: COLUMN private_input.input_id; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.private_input.input_id IS 'Surrogate key.';


--
-- Name: COLUMN private_input.job_id; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.private_input.job_id IS 'The job whose source it is.';


--
-- Name: COLUMN private_input.account; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.private_input.account IS 'The account that pays.';


--
-- Name: COLUMN private_input.source_digest; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.private_input.source_digest IS 'SHA-256 of query, frequency and time zone.';


--
-- Name: COLUMN private_input.sensitivity; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.private_input.sensitivity IS 'Most that one person changes the values of a time slot by, in the Euclidean norm, as the job declares.';


--
-- Name: COLUMN private_input.deviation; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.private_input.deviation IS 'Standard deviation of the noise on each value, in the unit of the values.';


--
-- Name: COLUMN private_input.created_at; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.private_input.created_at IS 'When a run first released of it.';


--
-- Name: private_input_input_id_seq; Type: SEQUENCE; Schema: forecast; Owner: -
--

ALTER TABLE forecast.private_input ALTER COLUMN input_id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME forecast.private_input_input_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);


--
-- Name: private_release; Type: TABLE; Schema: forecast; Owner: -
--

CREATE TABLE forecast.private_release (
    release_id bigint NOT NULL,
    input_id bigint NOT NULL,
    run_id bigint NOT NULL,
    first_slot bigint NOT NULL,
    paid_through bigint NOT NULL,
    released_through bigint NOT NULL,
    released_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT private_release_pays_ahead CHECK (((first_slot <= paid_through) AND (released_through <= paid_through)))
);


--
-- Name: TABLE private_release; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON TABLE forecast.private_release IS 'What runs released of an input: written with the values, in the transaction that commits the charge. Append-only.';


--
-- Name: COLUMN private_release.release_id; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.private_release.release_id IS 'Surrogate key.';


--
-- Name: COLUMN private_release.input_id; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.private_release.input_id IS 'The input.';


--
-- Name: COLUMN private_release.run_id; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.private_release.run_id IS 'The run.';


--
-- Name: COLUMN private_release.first_slot; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.private_release.first_slot IS 'The first slot that the run paid for, as a number of the job''s grid: the one after those paid for before.';


--
-- Name: COLUMN private_release.paid_through; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.private_release.paid_through IS 'The last slot that is paid for: the one of the run''s cutoff.';


--
-- Name: COLUMN private_release.released_through; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.private_release.released_through IS 'The last slot that had a value. Slots up to here are closed: what is missing in them stays missing. Those after it, paid for and empty so far, are released by the next run that pays.';


--
-- Name: COLUMN private_release.released_at; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.private_release.released_at IS 'When.';


--
-- Name: private_release_release_id_seq; Type: SEQUENCE; Schema: forecast; Owner: -
--

ALTER TABLE forecast.private_release ALTER COLUMN release_id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME forecast.private_release_release_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);


--
-- Name: private_value; Type: TABLE; Schema: forecast; Owner: -
--

CREATE TABLE forecast.private_value (
    input_id bigint NOT NULL,
    series text NOT NULL,
    slot bigint NOT NULL,
    stamp bigint NOT NULL,
    value double precision NOT NULL,
    CONSTRAINT private_value_value_check CHECK ((abs(value) < 'Infinity'::double precision))
);


--
-- Name: TABLE private_value; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON TABLE forecast.private_value IS 'Values of an input with their noise: all that training and prediction ever see of them. Append-only; a value that is corrected in the source stays as it was released.';


--
-- Name: COLUMN private_value.input_id; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.private_value.input_id IS 'The input.';


--
-- Name: COLUMN private_value.series; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.private_value.series IS 'The key from the source query.';


--
-- Name: COLUMN private_value.slot; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.private_value.slot IS 'Number of the step on the job''s grid.';


--
-- Name: COLUMN private_value.stamp; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.private_value.stamp IS 'The row''s time stamp in microseconds since 1970 UTC, or its integer step.';


--
-- Name: COLUMN private_value.value; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.private_value.value IS 'The value plus normal noise of the input''s deviation.';


--
-- Name: quantile_grid_grid_id_seq; Type: SEQUENCE; Schema: forecast; Owner: -
--

ALTER TABLE forecast.quantile_grid ALTER COLUMN grid_id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME forecast.quantile_grid_grid_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);


--
-- Name: run_event; Type: TABLE; Schema: forecast; Owner: -
--

CREATE TABLE forecast.run_event (
    run_id bigint NOT NULL,
    number bigint NOT NULL,
    at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    level text NOT NULL,
    stage text NOT NULL,
    message text NOT NULL,
    CONSTRAINT run_event_level_check CHECK ((level = ANY (ARRAY['info'::text, 'warning'::text, 'error'::text])))
);


--
-- Name: TABLE run_event; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON TABLE forecast.run_event IS 'What happened during a run, in order: forecastctl logs RUN prints it. Holds no values of the data and no secret.';


--
-- Name: COLUMN run_event.run_id; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.run_event.run_id IS 'The run.';


--
-- Name: COLUMN run_event.number; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.run_event.number IS 'Grows with time; ties the order.';


--
-- Name: COLUMN run_event.at; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.run_event.at IS 'When it happened, by the database''s clock.';


--
-- Name: COLUMN run_event.level; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.run_event.level IS 'info, warning or error.';


--
-- Name: COLUMN run_event.stage; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.run_event.stage IS 'queue, read, fit, predict or publish.';


--
-- Name: COLUMN run_event.message; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.run_event.message IS 'One sentence.';


--
-- Name: run_event_number_seq; Type: SEQUENCE; Schema: forecast; Owner: -
--

ALTER TABLE forecast.run_event ALTER COLUMN number ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME forecast.run_event_number_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);


--
-- Name: run_run_id_seq; Type: SEQUENCE; Schema: forecast; Owner: -
--

ALTER TABLE forecast.run ALTER COLUMN run_id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME forecast.run_run_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);


--
-- Name: schedule_tick; Type: TABLE; Schema: forecast; Owner: -
--

CREATE TABLE forecast.schedule_tick (
    job_id bigint NOT NULL,
    due_at timestamp with time zone NOT NULL,
    outcome text NOT NULL,
    dst_shifted boolean DEFAULT false NOT NULL,
    run_id bigint,
    decided_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT schedule_tick_check CHECK (((run_id IS NULL) OR (outcome = ANY (ARRAY['ran'::text, 'late'::text, 'caught-up'::text])))),
    CONSTRAINT schedule_tick_outcome_check CHECK ((outcome = ANY (ARRAY['ran'::text, 'late'::text, 'caught-up'::text, 'skipped-overlap'::text, 'skipped-missed'::text, 'skipped-paused'::text])))
);


--
-- Name: TABLE schedule_tick; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON TABLE forecast.schedule_tick IS 'One row for every instant at which a schedule was due, with what became of it.';


--
-- Name: COLUMN schedule_tick.job_id; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.schedule_tick.job_id IS 'The job.';


--
-- Name: COLUMN schedule_tick.due_at; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.schedule_tick.due_at IS 'The due instant; with the job the key, so no instant is decided twice.';


--
-- Name: COLUMN schedule_tick.outcome; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.schedule_tick.outcome IS 'ran (on time), late (more than a minute), caught-up (missed while no daemon ran), or why it was skipped: overlap with an unfinished run, missed (catchUp policy), paused.';


--
-- Name: COLUMN schedule_tick.dst_shifted; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.schedule_tick.dst_shifted IS 'True when the local time did not exist that day and the run moved to the end of the gap.';


--
-- Name: COLUMN schedule_tick.run_id; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.schedule_tick.run_id IS 'The run it made; NULL when skipped.';


--
-- Name: COLUMN schedule_tick.decided_at; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.schedule_tick.decided_at IS 'When the scheduler decided.';


--
-- Name: schema_migration; Type: TABLE; Schema: forecast; Owner: -
--

CREATE TABLE forecast.schema_migration (
    number integer NOT NULL,
    name text NOT NULL,
    sha256 text NOT NULL,
    applied_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    build text NOT NULL,
    CONSTRAINT schema_migration_number_check CHECK ((number > 0)),
    CONSTRAINT schema_migration_sha256_check CHECK ((sha256 ~ '^[0-9a-f]{64}$'::text))
);


--
-- Name: TABLE schema_migration; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON TABLE forecast.schema_migration IS 'Migrations applied to this database, one row each; written by the migration runner alone.';


--
-- Name: COLUMN schema_migration.number; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.schema_migration.number IS 'Number at the start of the file name, from 1 without gaps.';


--
-- Name: COLUMN schema_migration.name; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.schema_migration.name IS 'File name without .sql.';


--
-- Name: COLUMN schema_migration.sha256; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.schema_migration.sha256 IS 'SHA-256 of the file as it was applied, in hexadecimal; an edited file is refused.';


--
-- Name: COLUMN schema_migration.applied_at; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.schema_migration.applied_at IS 'When the migration was applied.';


--
-- Name: COLUMN schema_migration.build; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.schema_migration.build IS 'Build of the program that applied it.';


--
-- Name: series_series_id_seq; Type: SEQUENCE; Schema: forecast; Owner: -
--

ALTER TABLE forecast.series ALTER COLUMN series_id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME forecast.series_series_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);


--
-- Name: series_verdict; Type: TABLE; Schema: forecast; Owner: -
--

CREATE TABLE forecast.series_verdict (
    run_id bigint NOT NULL,
    series text NOT NULL,
    verdict text NOT NULL,
    forecasted boolean NOT NULL,
    detail text,
    observations bigint NOT NULL,
    gaps bigint NOT NULL,
    duplicates bigint NOT NULL,
    non_finite bigint NOT NULL,
    nulls bigint NOT NULL,
    CONSTRAINT series_verdict_duplicates_check CHECK ((duplicates >= 0)),
    CONSTRAINT series_verdict_gaps_check CHECK ((gaps >= 0)),
    CONSTRAINT series_verdict_non_finite_check CHECK ((non_finite >= 0)),
    CONSTRAINT series_verdict_nulls_check CHECK ((nulls >= 0)),
    CONSTRAINT series_verdict_observations_check CHECK ((observations >= 0)),
    CONSTRAINT series_verdict_verdict_check CHECK ((verdict ~ '^[a-z]+(-[a-z]+)*$'::text))
);


--
-- Name: TABLE series_verdict; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON TABLE forecast.series_verdict IS 'The quality of every series that a run read, and whether it could be forecast. A bad series never stops the others. Every row is a function of its own series alone, in private runs too: it is for whoever may see the forecasts of that series, and hides nothing from them. Rows without a series key have none in a private run, as they belong to no series.';


--
-- Name: COLUMN series_verdict.run_id; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.series_verdict.run_id IS 'The run.';


--
-- Name: COLUMN series_verdict.series; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.series_verdict.series IS 'The key from the source query.';


--
-- Name: COLUMN series_verdict.verdict; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.series_verdict.verdict IS 'ok, or the first thing that is wrong with it; docs/verdicts.md lists them.';


--
-- Name: COLUMN series_verdict.forecasted; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.series_verdict.forecasted IS 'Whether the run forecasts it.';


--
-- Name: COLUMN series_verdict.detail; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.series_verdict.detail IS 'One sentence when there is something to say; NULL when not.';


--
-- Name: COLUMN series_verdict.observations; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.series_verdict.observations IS 'Finite values on different steps.';


--
-- Name: COLUMN series_verdict.gaps; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.series_verdict.gaps IS 'Steps between the first and the last observation that have none.';


--
-- Name: COLUMN series_verdict.duplicates; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.series_verdict.duplicates IS 'Rows beyond the first for a step.';


--
-- Name: COLUMN series_verdict.non_finite; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.series_verdict.non_finite IS 'NaN and infinite values, treated as missing.';


--
-- Name: COLUMN series_verdict.nulls; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.series_verdict.nulls IS 'NULL values, treated as missing.';


--
-- Name: status; Type: VIEW; Schema: forecast; Owner: -
--

CREATE VIEW forecast.status AS
 SELECT j.name AS job,
    j.current_version AS version,
    j.schedule,
    j.timezone,
    (j.paused_at IS NOT NULL) AS paused,
    j.next_due_at,
    r.run_id,
    r.state,
    r.stage,
    r.progress,
    r.queued_at,
    r.started_at,
    r.finished_at,
    (COALESCE(r.finished_at, now()) - r.started_at) AS duration,
    r.series_total,
    r.series_ok,
    r.series_failed,
    r.error_code,
    r.error_text,
    u.run_id AS published_run_id,
    u.issued_at AS published_at,
    u.origin_at,
    u.origin_index,
    m.kind AS model,
    m.parameters,
    m.validation_loss,
    m.run_id AS model_run_id,
    m.created_at AS model_fitted_at,
    r.notice_code,
    r.notice_text,
    (v.definition #>> '{privacy,budget}'::text[]) AS privacy_account,
    p.epsilon_limit,
    p.epsilon_left
   FROM (((((forecast.job j
     JOIN forecast.job_version v ON (((v.job_id = j.job_id) AND (v.version = j.current_version))))
     LEFT JOIN LATERAL ( SELECT run.run_id,
            run.job_id,
            run.job_version,
            run.trigger_kind,
            run.cutoff_at,
            run.cutoff_index,
            run.state,
            run.queued_at,
            run.started_at,
            run.finished_at,
            run.cancel_requested_at,
            run.stage,
            run.progress,
            run.series_total,
            run.series_ok,
            run.series_failed,
            run.error_code,
            run.error_text,
            run.notice_code,
            run.notice_text
           FROM forecast.run
          WHERE (run.job_id = j.job_id)
          ORDER BY run.run_id DESC
         LIMIT 1) r ON (true))
     LEFT JOIN LATERAL ( SELECT publication.run_id,
            publication.job_id,
            publication.attempt_token,
            publication.model_id,
            publication.grid_id,
            publication.issued_at,
            publication.origin_at,
            publication.origin_index,
            publication.series,
            publication.points,
            publication.content_digest
           FROM forecast.publication
          WHERE (publication.job_id = j.job_id)
          ORDER BY publication.issued_at DESC
         LIMIT 1) u ON (true))
     LEFT JOIN forecast.model_version m ON ((m.model_id = u.model_id)))
     LEFT JOIN LATERAL ( SELECT COALESCE(min(b.epsilon_limit), k.epsilon_limit) AS epsilon_limit,
            COALESCE(min(b.epsilon_left), k.epsilon_limit) AS epsilon_left
           FROM ((( VALUES ((v.definition #>> '{privacy,budget}'::text[]))) wanted(account)
             LEFT JOIN forecast.privacy_block_rule k ON ((k.account = wanted.account)))
             LEFT JOIN forecast.privacy b ON (((b.account = wanted.account) AND ((k.account IS NULL) OR (b.block IN ( SELECT t.block
                   FROM forecast.privacy_blocks(k.period, k.timezone, ((v.definition #>> '{privacy,history}'::text[]))::integer, COALESCE(j.next_due_at, now())) t(block, block_from, block_until)))))))
          GROUP BY k.epsilon_limit) p ON (((v.definition #>> '{privacy,budget}'::text[]) IS NOT NULL)));


--
-- Name: VIEW status; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON VIEW forecast.status IS 'One row per job: its schedule, its last run and its last publication. forecastctl status prints it. Private jobs: what their account has left for the next run (where budgets are by block of time, in the worst of the blocks it would train on), and notice_code privacy-budget while an earlier model forecasts because the account is empty.';


--
-- Name: task; Type: TABLE; Schema: forecast; Owner: -
--

CREATE TABLE forecast.task (
    task_id bigint NOT NULL,
    run_id bigint NOT NULL,
    kind text NOT NULL,
    state text DEFAULT 'queued'::text NOT NULL,
    not_before timestamp with time zone DEFAULT now() NOT NULL,
    attempts integer DEFAULT 0 NOT NULL,
    max_attempts integer DEFAULT 3 NOT NULL,
    CONSTRAINT task_attempts_check CHECK ((attempts >= 0)),
    CONSTRAINT task_kind_check CHECK ((kind = 'forecast'::text)),
    CONSTRAINT task_max_attempts_check CHECK ((max_attempts >= 1)),
    CONSTRAINT task_state_check CHECK ((state = ANY (ARRAY['queued'::text, 'running'::text, 'retryable'::text, 'succeeded'::text, 'failed'::text, 'cancelled'::text])))
)
WITH (fillfactor='80');


--
-- Name: TABLE task; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON TABLE forecast.task IS 'A unit of work that one worker claims. A run has one task of kind forecast: read, fit, predict and publish.';


--
-- Name: COLUMN task.task_id; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.task.task_id IS 'Surrogate key; claims go in its order.';


--
-- Name: COLUMN task.run_id; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.task.run_id IS 'The run it belongs to.';


--
-- Name: COLUMN task.kind; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.task.kind IS 'What is to be done.';


--
-- Name: COLUMN task.state; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.task.state IS 'As run.state.';


--
-- Name: COLUMN task.not_before; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.task.not_before IS 'Not claimed earlier than this: the back-off after a failed attempt.';


--
-- Name: COLUMN task.attempts; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.task.attempts IS 'Attempts made so far.';


--
-- Name: COLUMN task.max_attempts; Type: COMMENT; Schema: forecast; Owner: -
--

COMMENT ON COLUMN forecast.task.max_attempts IS 'After this many the task fails; forecast.retry() allows three more.';


--
-- Name: task_task_id_seq; Type: SEQUENCE; Schema: forecast; Owner: -
--

ALTER TABLE forecast.task ALTER COLUMN task_id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME forecast.task_task_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);


--
-- Name: attempt attempt_pkey; Type: CONSTRAINT; Schema: forecast; Owner: -
--

ALTER TABLE ONLY forecast.attempt
    ADD CONSTRAINT attempt_pkey PRIMARY KEY (attempt_id);


--
-- Name: attempt attempt_task_id_number_key; Type: CONSTRAINT; Schema: forecast; Owner: -
--

ALTER TABLE ONLY forecast.attempt
    ADD CONSTRAINT attempt_task_id_number_key UNIQUE (task_id, number);


--
-- Name: attempt attempt_token_key; Type: CONSTRAINT; Schema: forecast; Owner: -
--

ALTER TABLE ONLY forecast.attempt
    ADD CONSTRAINT attempt_token_key UNIQUE (token);


--
-- Name: current_run current_run_pkey; Type: CONSTRAINT; Schema: forecast; Owner: -
--

ALTER TABLE ONLY forecast.current_run
    ADD CONSTRAINT current_run_pkey PRIMARY KEY (job_id, series_id);


--
-- Name: data_snapshot data_snapshot_pkey; Type: CONSTRAINT; Schema: forecast; Owner: -
--

ALTER TABLE ONLY forecast.data_snapshot
    ADD CONSTRAINT data_snapshot_pkey PRIMARY KEY (run_id);


--
-- Name: forecast_point forecast_point_pkey; Type: CONSTRAINT; Schema: forecast; Owner: -
--

ALTER TABLE ONLY forecast.forecast_point
    ADD CONSTRAINT forecast_point_pkey PRIMARY KEY (run_id, series_id, step, issued_at);


--
-- Name: job job_name_key; Type: CONSTRAINT; Schema: forecast; Owner: -
--

ALTER TABLE ONLY forecast.job
    ADD CONSTRAINT job_name_key UNIQUE (name);


--
-- Name: job job_pkey; Type: CONSTRAINT; Schema: forecast; Owner: -
--

ALTER TABLE ONLY forecast.job
    ADD CONSTRAINT job_pkey PRIMARY KEY (job_id);


--
-- Name: job_version job_version_pkey; Type: CONSTRAINT; Schema: forecast; Owner: -
--

ALTER TABLE ONLY forecast.job_version
    ADD CONSTRAINT job_version_pkey PRIMARY KEY (job_id, version);


--
-- Name: model_version model_version_pkey; Type: CONSTRAINT; Schema: forecast; Owner: -
--

ALTER TABLE ONLY forecast.model_version
    ADD CONSTRAINT model_version_pkey PRIMARY KEY (model_id);


--
-- Name: model_version model_version_run_id_key; Type: CONSTRAINT; Schema: forecast; Owner: -
--

ALTER TABLE ONLY forecast.model_version
    ADD CONSTRAINT model_version_run_id_key UNIQUE (run_id);


--
-- Name: privacy_block_rule privacy_block_rule_pkey; Type: CONSTRAINT; Schema: forecast; Owner: -
--

ALTER TABLE ONLY forecast.privacy_block_rule
    ADD CONSTRAINT privacy_block_rule_pkey PRIMARY KEY (account);


--
-- Name: privacy_budget privacy_budget_account_block_key; Type: CONSTRAINT; Schema: forecast; Owner: -
--

ALTER TABLE ONLY forecast.privacy_budget
    ADD CONSTRAINT privacy_budget_account_block_key UNIQUE (account, block);


--
-- Name: privacy_budget privacy_budget_budget_key_key; Type: CONSTRAINT; Schema: forecast; Owner: -
--

ALTER TABLE ONLY forecast.privacy_budget
    ADD CONSTRAINT privacy_budget_budget_key_key UNIQUE (budget_key);


--
-- Name: privacy_budget privacy_budget_pkey; Type: CONSTRAINT; Schema: forecast; Owner: -
--

ALTER TABLE ONLY forecast.privacy_budget
    ADD CONSTRAINT privacy_budget_pkey PRIMARY KEY (budget_id);


--
-- Name: privacy_charge privacy_charge_budget_id_attempt_token_purpose_key; Type: CONSTRAINT; Schema: forecast; Owner: -
--

ALTER TABLE ONLY forecast.privacy_charge
    ADD CONSTRAINT privacy_charge_budget_id_attempt_token_purpose_key UNIQUE (budget_id, attempt_token, purpose);


--
-- Name: privacy_charge privacy_charge_budget_id_number_key; Type: CONSTRAINT; Schema: forecast; Owner: -
--

ALTER TABLE ONLY forecast.privacy_charge
    ADD CONSTRAINT privacy_charge_budget_id_number_key UNIQUE (budget_id, number);


--
-- Name: privacy_charge privacy_charge_pkey; Type: CONSTRAINT; Schema: forecast; Owner: -
--

ALTER TABLE ONLY forecast.privacy_charge
    ADD CONSTRAINT privacy_charge_pkey PRIMARY KEY (charge_id);


--
-- Name: privacy_charge_state privacy_charge_state_pkey; Type: CONSTRAINT; Schema: forecast; Owner: -
--

ALTER TABLE ONLY forecast.privacy_charge_state
    ADD CONSTRAINT privacy_charge_state_pkey PRIMARY KEY (charge_id, attempt_token, state);


--
-- Name: private_input private_input_job_id_account_source_digest_sensitivity_devi_key; Type: CONSTRAINT; Schema: forecast; Owner: -
--

ALTER TABLE ONLY forecast.private_input
    ADD CONSTRAINT private_input_job_id_account_source_digest_sensitivity_devi_key UNIQUE (job_id, account, source_digest, sensitivity, deviation);


--
-- Name: private_input private_input_pkey; Type: CONSTRAINT; Schema: forecast; Owner: -
--

ALTER TABLE ONLY forecast.private_input
    ADD CONSTRAINT private_input_pkey PRIMARY KEY (input_id);


--
-- Name: private_release private_release_input_id_first_slot_key; Type: CONSTRAINT; Schema: forecast; Owner: -
--

ALTER TABLE ONLY forecast.private_release
    ADD CONSTRAINT private_release_input_id_first_slot_key UNIQUE (input_id, first_slot);


--
-- Name: private_release private_release_input_id_paid_through_key; Type: CONSTRAINT; Schema: forecast; Owner: -
--

ALTER TABLE ONLY forecast.private_release
    ADD CONSTRAINT private_release_input_id_paid_through_key UNIQUE (input_id, paid_through);


--
-- Name: private_release private_release_pkey; Type: CONSTRAINT; Schema: forecast; Owner: -
--

ALTER TABLE ONLY forecast.private_release
    ADD CONSTRAINT private_release_pkey PRIMARY KEY (release_id);


--
-- Name: private_value private_value_pkey; Type: CONSTRAINT; Schema: forecast; Owner: -
--

ALTER TABLE ONLY forecast.private_value
    ADD CONSTRAINT private_value_pkey PRIMARY KEY (input_id, series, slot);


--
-- Name: publication publication_attempt_token_key; Type: CONSTRAINT; Schema: forecast; Owner: -
--

ALTER TABLE ONLY forecast.publication
    ADD CONSTRAINT publication_attempt_token_key UNIQUE (attempt_token);


--
-- Name: publication publication_job_id_run_id_key; Type: CONSTRAINT; Schema: forecast; Owner: -
--

ALTER TABLE ONLY forecast.publication
    ADD CONSTRAINT publication_job_id_run_id_key UNIQUE (job_id, run_id);


--
-- Name: publication publication_pkey; Type: CONSTRAINT; Schema: forecast; Owner: -
--

ALTER TABLE ONLY forecast.publication
    ADD CONSTRAINT publication_pkey PRIMARY KEY (run_id);


--
-- Name: quantile_grid quantile_grid_levels_key; Type: CONSTRAINT; Schema: forecast; Owner: -
--

ALTER TABLE ONLY forecast.quantile_grid
    ADD CONSTRAINT quantile_grid_levels_key UNIQUE (levels);


--
-- Name: quantile_grid quantile_grid_pkey; Type: CONSTRAINT; Schema: forecast; Owner: -
--

ALTER TABLE ONLY forecast.quantile_grid
    ADD CONSTRAINT quantile_grid_pkey PRIMARY KEY (grid_id);


--
-- Name: run_event run_event_pkey; Type: CONSTRAINT; Schema: forecast; Owner: -
--

ALTER TABLE ONLY forecast.run_event
    ADD CONSTRAINT run_event_pkey PRIMARY KEY (run_id, number);


--
-- Name: run run_pkey; Type: CONSTRAINT; Schema: forecast; Owner: -
--

ALTER TABLE ONLY forecast.run
    ADD CONSTRAINT run_pkey PRIMARY KEY (run_id);


--
-- Name: schedule_tick schedule_tick_pkey; Type: CONSTRAINT; Schema: forecast; Owner: -
--

ALTER TABLE ONLY forecast.schedule_tick
    ADD CONSTRAINT schedule_tick_pkey PRIMARY KEY (job_id, due_at);


--
-- Name: schema_migration schema_migration_name_key; Type: CONSTRAINT; Schema: forecast; Owner: -
--

ALTER TABLE ONLY forecast.schema_migration
    ADD CONSTRAINT schema_migration_name_key UNIQUE (name);


--
-- Name: schema_migration schema_migration_pkey; Type: CONSTRAINT; Schema: forecast; Owner: -
--

ALTER TABLE ONLY forecast.schema_migration
    ADD CONSTRAINT schema_migration_pkey PRIMARY KEY (number);


--
-- Name: series series_job_id_series_id_key; Type: CONSTRAINT; Schema: forecast; Owner: -
--

ALTER TABLE ONLY forecast.series
    ADD CONSTRAINT series_job_id_series_id_key UNIQUE (job_id, series_id);


--
-- Name: series series_job_id_series_key; Type: CONSTRAINT; Schema: forecast; Owner: -
--

ALTER TABLE ONLY forecast.series
    ADD CONSTRAINT series_job_id_series_key UNIQUE (job_id, series);


--
-- Name: series series_pkey; Type: CONSTRAINT; Schema: forecast; Owner: -
--

ALTER TABLE ONLY forecast.series
    ADD CONSTRAINT series_pkey PRIMARY KEY (series_id);


--
-- Name: series_verdict series_verdict_pkey; Type: CONSTRAINT; Schema: forecast; Owner: -
--

ALTER TABLE ONLY forecast.series_verdict
    ADD CONSTRAINT series_verdict_pkey PRIMARY KEY (run_id, series);


--
-- Name: task task_pkey; Type: CONSTRAINT; Schema: forecast; Owner: -
--

ALTER TABLE ONLY forecast.task
    ADD CONSTRAINT task_pkey PRIMARY KEY (task_id);


--
-- Name: task task_run_id_kind_key; Type: CONSTRAINT; Schema: forecast; Owner: -
--

ALTER TABLE ONLY forecast.task
    ADD CONSTRAINT task_run_id_kind_key UNIQUE (run_id, kind);


--
-- Name: attempt_leases; Type: INDEX; Schema: forecast; Owner: -
--

CREATE INDEX attempt_leases ON forecast.attempt USING btree (lease_until) WHERE (outcome = 'running'::text);


--
-- Name: attempt_one_running_per_task; Type: INDEX; Schema: forecast; Owner: -
--

CREATE UNIQUE INDEX attempt_one_running_per_task ON forecast.attempt USING btree (task_id) WHERE (outcome = 'running'::text);


--
-- Name: model_version_by_job; Type: INDEX; Schema: forecast; Owner: -
--

CREATE INDEX model_version_by_job ON forecast.model_version USING btree (job_id, model_id DESC);


--
-- Name: privacy_charge_by_run; Type: INDEX; Schema: forecast; Owner: -
--

CREATE INDEX privacy_charge_by_run ON forecast.privacy_charge USING btree (run_id);


--
-- Name: privacy_charge_committed_once; Type: INDEX; Schema: forecast; Owner: -
--

CREATE UNIQUE INDEX privacy_charge_committed_once ON forecast.privacy_charge_state USING btree (charge_id) WHERE (state = 'committed'::text);


--
-- Name: publication_by_job; Type: INDEX; Schema: forecast; Owner: -
--

CREATE INDEX publication_by_job ON forecast.publication USING btree (job_id, issued_at DESC);


--
-- Name: run_by_job; Type: INDEX; Schema: forecast; Owner: -
--

CREATE INDEX run_by_job ON forecast.run USING btree (job_id, run_id DESC);


--
-- Name: run_one_running_per_job; Type: INDEX; Schema: forecast; Owner: -
--

CREATE UNIQUE INDEX run_one_running_per_job ON forecast.run USING btree (job_id) WHERE (state = 'running'::text);


--
-- Name: run_unfinished; Type: INDEX; Schema: forecast; Owner: -
--

CREATE INDEX run_unfinished ON forecast.run USING btree (job_id) WHERE (finished_at IS NULL);


--
-- Name: task_claimable; Type: INDEX; Schema: forecast; Owner: -
--

CREATE INDEX task_claimable ON forecast.task USING btree (not_before, task_id) WHERE (state = ANY (ARRAY['queued'::text, 'retryable'::text]));


--
-- Name: privacy_block_rule admission; Type: TRIGGER; Schema: forecast; Owner: -
--

CREATE TRIGGER admission BEFORE INSERT ON forecast.privacy_block_rule FOR EACH ROW EXECUTE FUNCTION forecast.admit_privacy_block_rule();


--
-- Name: privacy_budget admission; Type: TRIGGER; Schema: forecast; Owner: -
--

CREATE TRIGGER admission BEFORE INSERT ON forecast.privacy_budget FOR EACH ROW EXECUTE FUNCTION forecast.admit_privacy_budget();


--
-- Name: privacy_charge admission; Type: TRIGGER; Schema: forecast; Owner: -
--

CREATE TRIGGER admission BEFORE INSERT ON forecast.privacy_charge FOR EACH ROW EXECUTE FUNCTION forecast.admit_privacy_charge();


--
-- Name: privacy_charge_state admission; Type: TRIGGER; Schema: forecast; Owner: -
--

CREATE TRIGGER admission BEFORE INSERT ON forecast.privacy_charge_state FOR EACH ROW EXECUTE FUNCTION forecast.admit_privacy_charge_state();


--
-- Name: privacy_block_rule append_only; Type: TRIGGER; Schema: forecast; Owner: -
--

CREATE TRIGGER append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON forecast.privacy_block_rule FOR EACH STATEMENT EXECUTE FUNCTION forecast.refuse_ledger_change();


--
-- Name: privacy_budget append_only; Type: TRIGGER; Schema: forecast; Owner: -
--

CREATE TRIGGER append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON forecast.privacy_budget FOR EACH STATEMENT EXECUTE FUNCTION forecast.refuse_ledger_change();


--
-- Name: privacy_charge append_only; Type: TRIGGER; Schema: forecast; Owner: -
--

CREATE TRIGGER append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON forecast.privacy_charge FOR EACH STATEMENT EXECUTE FUNCTION forecast.refuse_ledger_change();


--
-- Name: privacy_charge_state append_only; Type: TRIGGER; Schema: forecast; Owner: -
--

CREATE TRIGGER append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON forecast.privacy_charge_state FOR EACH STATEMENT EXECUTE FUNCTION forecast.refuse_ledger_change();


--
-- Name: private_input append_only; Type: TRIGGER; Schema: forecast; Owner: -
--

CREATE TRIGGER append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON forecast.private_input FOR EACH STATEMENT EXECUTE FUNCTION forecast.refuse_ledger_change();


--
-- Name: private_release append_only; Type: TRIGGER; Schema: forecast; Owner: -
--

CREATE TRIGGER append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON forecast.private_release FOR EACH STATEMENT EXECUTE FUNCTION forecast.refuse_ledger_change();


--
-- Name: private_value append_only; Type: TRIGGER; Schema: forecast; Owner: -
--

CREATE TRIGGER append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON forecast.private_value FOR EACH STATEMENT EXECUTE FUNCTION forecast.refuse_ledger_change();


--
-- Name: forecast_point immutable; Type: TRIGGER; Schema: forecast; Owner: -
--

CREATE TRIGGER immutable BEFORE UPDATE ON forecast.forecast_point FOR EACH ROW EXECUTE FUNCTION forecast.refuse_change();


--
-- Name: job_version immutable; Type: TRIGGER; Schema: forecast; Owner: -
--

CREATE TRIGGER immutable BEFORE UPDATE ON forecast.job_version FOR EACH ROW EXECUTE FUNCTION forecast.refuse_change();


--
-- Name: publication immutable; Type: TRIGGER; Schema: forecast; Owner: -
--

CREATE TRIGGER immutable BEFORE UPDATE ON forecast.publication FOR EACH ROW EXECUTE FUNCTION forecast.refuse_change();


--
-- Name: forecast_point published_together; Type: TRIGGER; Schema: forecast; Owner: -
--

CREATE TRIGGER published_together BEFORE INSERT ON forecast.forecast_point FOR EACH STATEMENT EXECUTE FUNCTION forecast.refuse_unpublished();


--
-- Name: attempt attempt_task_id_fkey; Type: FK CONSTRAINT; Schema: forecast; Owner: -
--

ALTER TABLE ONLY forecast.attempt
    ADD CONSTRAINT attempt_task_id_fkey FOREIGN KEY (task_id) REFERENCES forecast.task(task_id) ON DELETE CASCADE;


--
-- Name: current_run current_run_job_id_run_id_fkey; Type: FK CONSTRAINT; Schema: forecast; Owner: -
--

ALTER TABLE ONLY forecast.current_run
    ADD CONSTRAINT current_run_job_id_run_id_fkey FOREIGN KEY (job_id, run_id) REFERENCES forecast.publication(job_id, run_id);


--
-- Name: current_run current_run_job_id_series_id_fkey; Type: FK CONSTRAINT; Schema: forecast; Owner: -
--

ALTER TABLE ONLY forecast.current_run
    ADD CONSTRAINT current_run_job_id_series_id_fkey FOREIGN KEY (job_id, series_id) REFERENCES forecast.series(job_id, series_id) ON DELETE CASCADE;


--
-- Name: data_snapshot data_snapshot_run_id_fkey; Type: FK CONSTRAINT; Schema: forecast; Owner: -
--

ALTER TABLE ONLY forecast.data_snapshot
    ADD CONSTRAINT data_snapshot_run_id_fkey FOREIGN KEY (run_id) REFERENCES forecast.run(run_id) ON DELETE CASCADE;


--
-- Name: job job_current_version_fkey; Type: FK CONSTRAINT; Schema: forecast; Owner: -
--

ALTER TABLE ONLY forecast.job
    ADD CONSTRAINT job_current_version_fkey FOREIGN KEY (job_id, current_version) REFERENCES forecast.job_version(job_id, version) DEFERRABLE INITIALLY DEFERRED;


--
-- Name: job_version job_version_job_id_fkey; Type: FK CONSTRAINT; Schema: forecast; Owner: -
--

ALTER TABLE ONLY forecast.job_version
    ADD CONSTRAINT job_version_job_id_fkey FOREIGN KEY (job_id) REFERENCES forecast.job(job_id) ON DELETE CASCADE;


--
-- Name: model_version model_version_job_id_fkey; Type: FK CONSTRAINT; Schema: forecast; Owner: -
--

ALTER TABLE ONLY forecast.model_version
    ADD CONSTRAINT model_version_job_id_fkey FOREIGN KEY (job_id) REFERENCES forecast.job(job_id) ON DELETE CASCADE;


--
-- Name: model_version model_version_parent_model_id_fkey; Type: FK CONSTRAINT; Schema: forecast; Owner: -
--

ALTER TABLE ONLY forecast.model_version
    ADD CONSTRAINT model_version_parent_model_id_fkey FOREIGN KEY (parent_model_id) REFERENCES forecast.model_version(model_id);


--
-- Name: model_version model_version_run_id_fkey; Type: FK CONSTRAINT; Schema: forecast; Owner: -
--

ALTER TABLE ONLY forecast.model_version
    ADD CONSTRAINT model_version_run_id_fkey FOREIGN KEY (run_id) REFERENCES forecast.run(run_id) ON DELETE CASCADE;


--
-- Name: privacy_charge privacy_charge_attempt_token_fkey; Type: FK CONSTRAINT; Schema: forecast; Owner: -
--

ALTER TABLE ONLY forecast.privacy_charge
    ADD CONSTRAINT privacy_charge_attempt_token_fkey FOREIGN KEY (attempt_token) REFERENCES forecast.attempt(token) ON DELETE RESTRICT;


--
-- Name: privacy_charge privacy_charge_budget_id_fkey; Type: FK CONSTRAINT; Schema: forecast; Owner: -
--

ALTER TABLE ONLY forecast.privacy_charge
    ADD CONSTRAINT privacy_charge_budget_id_fkey FOREIGN KEY (budget_id) REFERENCES forecast.privacy_budget(budget_id) ON DELETE RESTRICT;


--
-- Name: privacy_charge privacy_charge_run_id_fkey; Type: FK CONSTRAINT; Schema: forecast; Owner: -
--

ALTER TABLE ONLY forecast.privacy_charge
    ADD CONSTRAINT privacy_charge_run_id_fkey FOREIGN KEY (run_id) REFERENCES forecast.run(run_id) ON DELETE RESTRICT;


--
-- Name: privacy_charge_state privacy_charge_state_attempt_token_fkey; Type: FK CONSTRAINT; Schema: forecast; Owner: -
--

ALTER TABLE ONLY forecast.privacy_charge_state
    ADD CONSTRAINT privacy_charge_state_attempt_token_fkey FOREIGN KEY (attempt_token) REFERENCES forecast.attempt(token) ON DELETE RESTRICT;


--
-- Name: privacy_charge_state privacy_charge_state_charge_id_fkey; Type: FK CONSTRAINT; Schema: forecast; Owner: -
--

ALTER TABLE ONLY forecast.privacy_charge_state
    ADD CONSTRAINT privacy_charge_state_charge_id_fkey FOREIGN KEY (charge_id) REFERENCES forecast.privacy_charge(charge_id) ON DELETE RESTRICT;


--
-- Name: private_input private_input_job_id_fkey; Type: FK CONSTRAINT; Schema: forecast; Owner: -
--

ALTER TABLE ONLY forecast.private_input
    ADD CONSTRAINT private_input_job_id_fkey FOREIGN KEY (job_id) REFERENCES forecast.job(job_id) ON DELETE RESTRICT;


--
-- Name: private_release private_release_input_id_fkey; Type: FK CONSTRAINT; Schema: forecast; Owner: -
--

ALTER TABLE ONLY forecast.private_release
    ADD CONSTRAINT private_release_input_id_fkey FOREIGN KEY (input_id) REFERENCES forecast.private_input(input_id) ON DELETE RESTRICT;


--
-- Name: private_release private_release_run_id_fkey; Type: FK CONSTRAINT; Schema: forecast; Owner: -
--

ALTER TABLE ONLY forecast.private_release
    ADD CONSTRAINT private_release_run_id_fkey FOREIGN KEY (run_id) REFERENCES forecast.run(run_id) ON DELETE RESTRICT;


--
-- Name: private_value private_value_input_id_fkey; Type: FK CONSTRAINT; Schema: forecast; Owner: -
--

ALTER TABLE ONLY forecast.private_value
    ADD CONSTRAINT private_value_input_id_fkey FOREIGN KEY (input_id) REFERENCES forecast.private_input(input_id) ON DELETE RESTRICT;


--
-- Name: publication publication_attempt_token_fkey; Type: FK CONSTRAINT; Schema: forecast; Owner: -
--

ALTER TABLE ONLY forecast.publication
    ADD CONSTRAINT publication_attempt_token_fkey FOREIGN KEY (attempt_token) REFERENCES forecast.attempt(token);


--
-- Name: publication publication_grid_id_fkey; Type: FK CONSTRAINT; Schema: forecast; Owner: -
--

ALTER TABLE ONLY forecast.publication
    ADD CONSTRAINT publication_grid_id_fkey FOREIGN KEY (grid_id) REFERENCES forecast.quantile_grid(grid_id);


--
-- Name: publication publication_job_id_fkey; Type: FK CONSTRAINT; Schema: forecast; Owner: -
--

ALTER TABLE ONLY forecast.publication
    ADD CONSTRAINT publication_job_id_fkey FOREIGN KEY (job_id) REFERENCES forecast.job(job_id) ON DELETE RESTRICT;


--
-- Name: publication publication_model_id_fkey; Type: FK CONSTRAINT; Schema: forecast; Owner: -
--

ALTER TABLE ONLY forecast.publication
    ADD CONSTRAINT publication_model_id_fkey FOREIGN KEY (model_id) REFERENCES forecast.model_version(model_id);


--
-- Name: publication publication_run_id_fkey; Type: FK CONSTRAINT; Schema: forecast; Owner: -
--

ALTER TABLE ONLY forecast.publication
    ADD CONSTRAINT publication_run_id_fkey FOREIGN KEY (run_id) REFERENCES forecast.run(run_id) ON DELETE RESTRICT;


--
-- Name: run_event run_event_run_id_fkey; Type: FK CONSTRAINT; Schema: forecast; Owner: -
--

ALTER TABLE ONLY forecast.run_event
    ADD CONSTRAINT run_event_run_id_fkey FOREIGN KEY (run_id) REFERENCES forecast.run(run_id) ON DELETE CASCADE;


--
-- Name: run run_job_id_fkey; Type: FK CONSTRAINT; Schema: forecast; Owner: -
--

ALTER TABLE ONLY forecast.run
    ADD CONSTRAINT run_job_id_fkey FOREIGN KEY (job_id) REFERENCES forecast.job(job_id) ON DELETE RESTRICT;


--
-- Name: run run_job_id_job_version_fkey; Type: FK CONSTRAINT; Schema: forecast; Owner: -
--

ALTER TABLE ONLY forecast.run
    ADD CONSTRAINT run_job_id_job_version_fkey FOREIGN KEY (job_id, job_version) REFERENCES forecast.job_version(job_id, version);


--
-- Name: schedule_tick schedule_tick_job_id_fkey; Type: FK CONSTRAINT; Schema: forecast; Owner: -
--

ALTER TABLE ONLY forecast.schedule_tick
    ADD CONSTRAINT schedule_tick_job_id_fkey FOREIGN KEY (job_id) REFERENCES forecast.job(job_id) ON DELETE CASCADE;


--
-- Name: schedule_tick schedule_tick_run_id_fkey; Type: FK CONSTRAINT; Schema: forecast; Owner: -
--

ALTER TABLE ONLY forecast.schedule_tick
    ADD CONSTRAINT schedule_tick_run_id_fkey FOREIGN KEY (run_id) REFERENCES forecast.run(run_id) ON DELETE SET NULL;


--
-- Name: series series_job_id_fkey; Type: FK CONSTRAINT; Schema: forecast; Owner: -
--

ALTER TABLE ONLY forecast.series
    ADD CONSTRAINT series_job_id_fkey FOREIGN KEY (job_id) REFERENCES forecast.job(job_id) ON DELETE CASCADE;


--
-- Name: series_verdict series_verdict_run_id_fkey; Type: FK CONSTRAINT; Schema: forecast; Owner: -
--

ALTER TABLE ONLY forecast.series_verdict
    ADD CONSTRAINT series_verdict_run_id_fkey FOREIGN KEY (run_id) REFERENCES forecast.run(run_id) ON DELETE CASCADE;


--
-- Name: task task_run_id_fkey; Type: FK CONSTRAINT; Schema: forecast; Owner: -
--

ALTER TABLE ONLY forecast.task
    ADD CONSTRAINT task_run_id_fkey FOREIGN KEY (run_id) REFERENCES forecast.run(run_id) ON DELETE CASCADE;


--
-- Name: SCHEMA forecast; Type: ACL; Schema: -; Owner: -
--

GRANT USAGE ON SCHEMA forecast TO forecast_reader;
GRANT USAGE ON SCHEMA forecast TO forecast_operator;
GRANT USAGE ON SCHEMA forecast TO forecast_worker;


--
-- Name: FUNCTION admit_privacy_block_rule(); Type: ACL; Schema: forecast; Owner: -
--

REVOKE ALL ON FUNCTION forecast.admit_privacy_block_rule() FROM PUBLIC;


--
-- Name: FUNCTION admit_privacy_budget(); Type: ACL; Schema: forecast; Owner: -
--

REVOKE ALL ON FUNCTION forecast.admit_privacy_budget() FROM PUBLIC;


--
-- Name: FUNCTION admit_privacy_charge(); Type: ACL; Schema: forecast; Owner: -
--

REVOKE ALL ON FUNCTION forecast.admit_privacy_charge() FROM PUBLIC;


--
-- Name: FUNCTION admit_privacy_charge_state(); Type: ACL; Schema: forecast; Owner: -
--

REVOKE ALL ON FUNCTION forecast.admit_privacy_charge_state() FROM PUBLIC;


--
-- Name: FUNCTION asof(job text, series text, at timestamp with time zone); Type: ACL; Schema: forecast; Owner: -
--

REVOKE ALL ON FUNCTION forecast.asof(job text, series text, at timestamp with time zone) FROM PUBLIC;
GRANT ALL ON FUNCTION forecast.asof(job text, series text, at timestamp with time zone) TO forecast_reader;


--
-- Name: FUNCTION cancel(run bigint); Type: ACL; Schema: forecast; Owner: -
--

REVOKE ALL ON FUNCTION forecast.cancel(run bigint) FROM PUBLIC;
GRANT ALL ON FUNCTION forecast.cancel(run bigint) TO forecast_operator;


--
-- Name: FUNCTION enqueue_run(job_id bigint, trigger_kind text, cutoff_at timestamp with time zone, cutoff_index bigint); Type: ACL; Schema: forecast; Owner: -
--

REVOKE ALL ON FUNCTION forecast.enqueue_run(job_id bigint, trigger_kind text, cutoff_at timestamp with time zone, cutoff_index bigint) FROM PUBLIC;
GRANT ALL ON FUNCTION forecast.enqueue_run(job_id bigint, trigger_kind text, cutoff_at timestamp with time zone, cutoff_index bigint) TO forecast_operator;


--
-- Name: FUNCTION ensure_partition(at timestamp with time zone); Type: ACL; Schema: forecast; Owner: -
--

REVOKE ALL ON FUNCTION forecast.ensure_partition(at timestamp with time zone) FROM PUBLIC;
GRANT ALL ON FUNCTION forecast.ensure_partition(at timestamp with time zone) TO forecast_worker;


--
-- Name: TABLE privacy_budget; Type: ACL; Schema: forecast; Owner: -
--

GRANT SELECT,INSERT ON TABLE forecast.privacy_budget TO forecast_operator;


--
-- Name: FUNCTION lock_privacy_blocks(account text, history integer, cutoff timestamp with time zone); Type: ACL; Schema: forecast; Owner: -
--

REVOKE ALL ON FUNCTION forecast.lock_privacy_blocks(account text, history integer, cutoff timestamp with time zone) FROM PUBLIC;
GRANT ALL ON FUNCTION forecast.lock_privacy_blocks(account text, history integer, cutoff timestamp with time zone) TO forecast_worker;


--
-- Name: FUNCTION lock_privacy_budgets(account text); Type: ACL; Schema: forecast; Owner: -
--

REVOKE ALL ON FUNCTION forecast.lock_privacy_budgets(account text) FROM PUBLIC;
GRANT ALL ON FUNCTION forecast.lock_privacy_budgets(account text) TO forecast_worker;


--
-- Name: FUNCTION pause(job text); Type: ACL; Schema: forecast; Owner: -
--

REVOKE ALL ON FUNCTION forecast.pause(job text) FROM PUBLIC;
GRANT ALL ON FUNCTION forecast.pause(job text) TO forecast_operator;


--
-- Name: FUNCTION privacy_blocks(period text, timezone text, history integer, cutoff timestamp with time zone); Type: ACL; Schema: forecast; Owner: -
--

REVOKE ALL ON FUNCTION forecast.privacy_blocks(period text, timezone text, history integer, cutoff timestamp with time zone) FROM PUBLIC;
GRANT ALL ON FUNCTION forecast.privacy_blocks(period text, timezone text, history integer, cutoff timestamp with time zone) TO forecast_reader;


--
-- Name: TABLE privacy_charge; Type: ACL; Schema: forecast; Owner: -
--

GRANT SELECT ON TABLE forecast.privacy_charge TO forecast_operator;
GRANT INSERT ON TABLE forecast.privacy_charge TO forecast_worker;


--
-- Name: FUNCTION privacy_charge_digest(previous bytea, budget_key uuid, charge forecast.privacy_charge); Type: ACL; Schema: forecast; Owner: -
--

REVOKE ALL ON FUNCTION forecast.privacy_charge_digest(previous bytea, budget_key uuid, charge forecast.privacy_charge) FROM PUBLIC;
GRANT ALL ON FUNCTION forecast.privacy_charge_digest(previous bytea, budget_key uuid, charge forecast.privacy_charge) TO forecast_reader;


--
-- Name: FUNCTION privacy_charge_holder(charge_id bigint); Type: ACL; Schema: forecast; Owner: -
--

REVOKE ALL ON FUNCTION forecast.privacy_charge_holder(charge_id bigint) FROM PUBLIC;
GRANT ALL ON FUNCTION forecast.privacy_charge_holder(charge_id bigint) TO forecast_operator;


--
-- Name: FUNCTION quantile(levels double precision[], quantiles double precision[], p double precision); Type: ACL; Schema: forecast; Owner: -
--

REVOKE ALL ON FUNCTION forecast.quantile(levels double precision[], quantiles double precision[], p double precision) FROM PUBLIC;
GRANT ALL ON FUNCTION forecast.quantile(levels double precision[], quantiles double precision[], p double precision) TO forecast_reader;


--
-- Name: FUNCTION refuse_change(); Type: ACL; Schema: forecast; Owner: -
--

REVOKE ALL ON FUNCTION forecast.refuse_change() FROM PUBLIC;


--
-- Name: FUNCTION refuse_ledger_change(); Type: ACL; Schema: forecast; Owner: -
--

REVOKE ALL ON FUNCTION forecast.refuse_ledger_change() FROM PUBLIC;


--
-- Name: FUNCTION refuse_unpublished(); Type: ACL; Schema: forecast; Owner: -
--

REVOKE ALL ON FUNCTION forecast.refuse_unpublished() FROM PUBLIC;


--
-- Name: FUNCTION resume(job text); Type: ACL; Schema: forecast; Owner: -
--

REVOKE ALL ON FUNCTION forecast.resume(job text) FROM PUBLIC;
GRANT ALL ON FUNCTION forecast.resume(job text) TO forecast_operator;


--
-- Name: FUNCTION retry(run bigint); Type: ACL; Schema: forecast; Owner: -
--

REVOKE ALL ON FUNCTION forecast.retry(run bigint) FROM PUBLIC;
GRANT ALL ON FUNCTION forecast.retry(run bigint) TO forecast_operator;


--
-- Name: FUNCTION run_now(job text, cutoff timestamp with time zone, cutoff_index bigint); Type: ACL; Schema: forecast; Owner: -
--

REVOKE ALL ON FUNCTION forecast.run_now(job text, cutoff timestamp with time zone, cutoff_index bigint) FROM PUBLIC;
GRANT ALL ON FUNCTION forecast.run_now(job text, cutoff timestamp with time zone, cutoff_index bigint) TO forecast_operator;


--
-- Name: TABLE attempt; Type: ACL; Schema: forecast; Owner: -
--

GRANT SELECT ON TABLE forecast.attempt TO forecast_operator;
GRANT SELECT,INSERT,UPDATE ON TABLE forecast.attempt TO forecast_worker;


--
-- Name: TABLE current_run; Type: ACL; Schema: forecast; Owner: -
--

GRANT SELECT ON TABLE forecast.current_run TO forecast_operator;
GRANT SELECT,INSERT,UPDATE ON TABLE forecast.current_run TO forecast_worker;


--
-- Name: TABLE forecast_point; Type: ACL; Schema: forecast; Owner: -
--

GRANT SELECT ON TABLE forecast.forecast_point TO forecast_operator;
GRANT SELECT,INSERT ON TABLE forecast.forecast_point TO forecast_worker;


--
-- Name: TABLE job; Type: ACL; Schema: forecast; Owner: -
--

GRANT SELECT,INSERT,UPDATE ON TABLE forecast.job TO forecast_operator;


--
-- Name: TABLE publication; Type: ACL; Schema: forecast; Owner: -
--

GRANT SELECT ON TABLE forecast.publication TO forecast_operator;
GRANT SELECT,INSERT ON TABLE forecast.publication TO forecast_worker;


--
-- Name: TABLE quantile_grid; Type: ACL; Schema: forecast; Owner: -
--

GRANT SELECT ON TABLE forecast.quantile_grid TO forecast_operator;
GRANT SELECT,INSERT ON TABLE forecast.quantile_grid TO forecast_worker;


--
-- Name: TABLE series; Type: ACL; Schema: forecast; Owner: -
--

GRANT SELECT ON TABLE forecast.series TO forecast_operator;
GRANT SELECT,INSERT ON TABLE forecast.series TO forecast_worker;


--
-- Name: TABLE current; Type: ACL; Schema: forecast; Owner: -
--

GRANT SELECT ON TABLE forecast.current TO forecast_reader;


--
-- Name: TABLE data_snapshot; Type: ACL; Schema: forecast; Owner: -
--

GRANT SELECT ON TABLE forecast.data_snapshot TO forecast_operator;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE forecast.data_snapshot TO forecast_worker;


--
-- Name: TABLE job_version; Type: ACL; Schema: forecast; Owner: -
--

GRANT SELECT,INSERT ON TABLE forecast.job_version TO forecast_operator;


--
-- Name: TABLE model_version; Type: ACL; Schema: forecast; Owner: -
--

GRANT SELECT,INSERT ON TABLE forecast.model_version TO forecast_worker;


--
-- Name: TABLE run; Type: ACL; Schema: forecast; Owner: -
--

GRANT SELECT ON TABLE forecast.run TO forecast_operator;
GRANT SELECT,INSERT,UPDATE ON TABLE forecast.run TO forecast_worker;


--
-- Name: TABLE lineage; Type: ACL; Schema: forecast; Owner: -
--

GRANT SELECT ON TABLE forecast.lineage TO forecast_reader;


--
-- Name: TABLE long; Type: ACL; Schema: forecast; Owner: -
--

GRANT SELECT ON TABLE forecast.long TO forecast_reader;


--
-- Name: TABLE privacy_charge_state; Type: ACL; Schema: forecast; Owner: -
--

GRANT SELECT ON TABLE forecast.privacy_charge_state TO forecast_operator;
GRANT INSERT ON TABLE forecast.privacy_charge_state TO forecast_worker;


--
-- Name: TABLE privacy; Type: ACL; Schema: forecast; Owner: -
--

GRANT SELECT ON TABLE forecast.privacy TO forecast_reader;


--
-- Name: TABLE privacy_block_rule; Type: ACL; Schema: forecast; Owner: -
--

GRANT SELECT,INSERT ON TABLE forecast.privacy_block_rule TO forecast_operator;


--
-- Name: TABLE privacy_accounts; Type: ACL; Schema: forecast; Owner: -
--

GRANT SELECT ON TABLE forecast.privacy_accounts TO forecast_reader;


--
-- Name: TABLE privacy_charges; Type: ACL; Schema: forecast; Owner: -
--

GRANT SELECT ON TABLE forecast.privacy_charges TO forecast_reader;


--
-- Name: TABLE private_input; Type: ACL; Schema: forecast; Owner: -
--

GRANT SELECT ON TABLE forecast.private_input TO forecast_operator;
GRANT INSERT ON TABLE forecast.private_input TO forecast_worker;


--
-- Name: TABLE private_release; Type: ACL; Schema: forecast; Owner: -
--

GRANT SELECT ON TABLE forecast.private_release TO forecast_operator;
GRANT INSERT ON TABLE forecast.private_release TO forecast_worker;


--
-- Name: TABLE private_value; Type: ACL; Schema: forecast; Owner: -
--

GRANT SELECT ON TABLE forecast.private_value TO forecast_operator;
GRANT INSERT ON TABLE forecast.private_value TO forecast_worker;


--
-- Name: TABLE run_event; Type: ACL; Schema: forecast; Owner: -
--

GRANT SELECT ON TABLE forecast.run_event TO forecast_operator;
GRANT SELECT,INSERT ON TABLE forecast.run_event TO forecast_worker;


--
-- Name: TABLE schedule_tick; Type: ACL; Schema: forecast; Owner: -
--

GRANT SELECT ON TABLE forecast.schedule_tick TO forecast_operator;
GRANT SELECT,INSERT,UPDATE ON TABLE forecast.schedule_tick TO forecast_worker;


--
-- Name: TABLE schema_migration; Type: ACL; Schema: forecast; Owner: -
--

GRANT SELECT ON TABLE forecast.schema_migration TO forecast_operator;


--
-- Name: TABLE series_verdict; Type: ACL; Schema: forecast; Owner: -
--

GRANT SELECT ON TABLE forecast.series_verdict TO forecast_operator;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE forecast.series_verdict TO forecast_worker;


--
-- Name: TABLE status; Type: ACL; Schema: forecast; Owner: -
--

GRANT SELECT ON TABLE forecast.status TO forecast_reader;


--
-- Name: TABLE task; Type: ACL; Schema: forecast; Owner: -
--

GRANT SELECT ON TABLE forecast.task TO forecast_operator;
GRANT SELECT,INSERT,UPDATE ON TABLE forecast.task TO forecast_worker;


--
-- Name: DEFAULT PRIVILEGES FOR FUNCTIONS; Type: DEFAULT ACL; Schema: -; Owner: -
--

ALTER DEFAULT PRIVILEGES FOR ROLE forecast_owner REVOKE ALL ON FUNCTIONS  FROM PUBLIC;


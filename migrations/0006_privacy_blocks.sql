-- Private runs leave nothing about their data beside the model and what belongs to one series; budgets by block of
-- time that appear as time goes on; charges of attempts that ended before their training.
-- Why: counts, digests and seconds of a run are releases like any other; a run is to pay only the blocks of time it
-- trains on; a retry after a lost connection is not to pay twice.
-- Locks: ACCESS EXCLUSIVE on data_snapshot, publication, model_version, run and privacy_charge_state, each for an
-- instant: no table is rewritten. The new checks are validated by a scan.

SET ROLE forecast_owner;

-- What a private run does not store.

ALTER TABLE forecast.data_snapshot
  ALTER COLUMN value_digest DROP NOT NULL, ALTER COLUMN rows_read DROP NOT NULL,
  ALTER COLUMN series DROP NOT NULL, ALTER COLUMN read_seconds DROP NOT NULL,
  ADD CONSTRAINT data_snapshot_all_or_nothing
    CHECK (num_nulls(value_digest, rows_read, series, read_seconds) IN (0, 4)
           AND (rows_read IS NOT NULL OR num_nonnulls(first_at, first_index) = 0));
COMMENT ON TABLE forecast.data_snapshot IS 'What the source query returned to a run. Two runs with equal digests saw the same data. Of a private run nothing is stored but which query ran and when: all the rest would tell of the data as a whole.';
COMMENT ON COLUMN forecast.data_snapshot.value_digest IS 'SHA-256 of all series in key order, times and values; independent of the order of rows. NULL for a private run: who knows all but one series could try guesses.';
COMMENT ON COLUMN forecast.data_snapshot.rows_read IS 'Rows that the query returned; NULL for a private run.';
COMMENT ON COLUMN forecast.data_snapshot.series IS 'Different series among them; NULL for a private run.';
COMMENT ON COLUMN forecast.data_snapshot.first_at IS 'Earliest time stamp; NULL for integer steps, when no row came, and for a private run.';
COMMENT ON COLUMN forecast.data_snapshot.last_at IS 'Latest time stamp; NULL for integer steps, when no row came, and for a private run.';
COMMENT ON COLUMN forecast.data_snapshot.first_index IS 'Smallest integer step; NULL for calendar series, when no row came, and for a private run.';
COMMENT ON COLUMN forecast.data_snapshot.last_index IS 'Largest integer step; NULL for calendar series, when no row came, and for a private run.';
COMMENT ON COLUMN forecast.data_snapshot.read_seconds IS 'Seconds from sending the query to the last row; NULL for a private run, as it grows with the rows.';

ALTER TABLE forecast.publication
  ALTER COLUMN series DROP NOT NULL, ALTER COLUMN points DROP NOT NULL, ALTER COLUMN content_digest DROP NOT NULL,
  ADD CONSTRAINT publication_all_or_nothing CHECK (num_nulls(series, points, content_digest) IN (0, 3));
COMMENT ON COLUMN forecast.publication.series IS 'Series forecast; NULL for a private run, whose number of series is private.';
COMMENT ON COLUMN forecast.publication.points IS 'Points written: series times horizon; NULL for a private run.';
COMMENT ON COLUMN forecast.publication.content_digest IS 'SHA-256 of the points in the order written: equal digests, equal forecasts. NULL for a private run: it is of all series together.';

ALTER TABLE forecast.model_version ALTER COLUMN fit_seconds DROP NOT NULL;
COMMENT ON COLUMN forecast.model_version.fit_seconds IS 'Wall-clock seconds of the fit; NULL for a private one, as it grows with the units that were drawn.';
COMMENT ON COLUMN forecast.model_version.validation_loss IS 'Mean quantile loss on the validation windows, in scaled units; NULL when there were too few windows to hold any out, and for a private model, of which no loss is ever stored.';

COMMENT ON TABLE forecast.series_verdict IS 'The quality of every series that a run read, and whether it could be forecast. A bad series never stops the others. Every row is a function of its own series alone, in private runs too: it is for whoever may see the forecasts of that series, and hides nothing from them. Rows without a series key have none in a private run, as they belong to no series.';

ALTER TABLE forecast.run
  ADD COLUMN notice_code text,
  ADD COLUMN notice_text text,
  ADD CONSTRAINT run_notice_says_why CHECK ((notice_code IS NULL) = (notice_text IS NULL));
COMMENT ON COLUMN forecast.run.notice_code IS 'What an operator should know of a run although it goes well, stable for programs: privacy-budget, where the account was empty and an earlier model forecast. NULL when there is nothing.';
COMMENT ON COLUMN forecast.run.notice_text IS 'One sentence on it; NULL when there is nothing.';
COMMENT ON COLUMN forecast.run.series_total IS 'Series that the source query returned; NULL until it was read, and for a private run.';
COMMENT ON COLUMN forecast.run.series_ok IS 'Series that got a forecast; NULL until published, and for a private run.';
COMMENT ON COLUMN forecast.run.series_failed IS 'Series that got none; why is in series_verdict. NULL until published, and for a private run.';

-- Charges of attempts that ended before their training: nothing was computed under them.

ALTER TABLE forecast.privacy_charge_state
  DROP CONSTRAINT privacy_charge_state_pkey,
  DROP CONSTRAINT privacy_charge_state_state_check,
  ADD CONSTRAINT privacy_charge_state_known CHECK (state IN ('begun', 'unused', 'committed')),
  ADD CONSTRAINT privacy_charge_state_pkey PRIMARY KEY (charge_id, attempt_token, state);
CREATE UNIQUE INDEX privacy_charge_committed_once ON forecast.privacy_charge_state (charge_id) WHERE state = 'committed';
COMMENT ON TABLE forecast.privacy_charge_state IS 'What became of a charge: begun when an attempt was about to read private data, unused when that attempt ended before its training began, committed when its result was published. Append-only; without a row here a charge is reserved. All states count alike: nothing is given back.';
COMMENT ON COLUMN forecast.privacy_charge_state.state IS 'begun, unused or committed; each at most once for an attempt. After unused the next attempt at the run may begin the charge; after begun nobody else may.';
COMMENT ON COLUMN forecast.privacy_charge_state.attempt_token IS 'The attempt that says so.';
COMMENT ON COLUMN forecast.privacy_charge_state.steps_taken IS 'Steps that were really taken, for information; NULL unless committed, and for a release.';

CREATE FUNCTION forecast.privacy_charge_holder(charge_id bigint) RETURNS uuid
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT b.attempt_token FROM forecast.privacy_charge_state b
  WHERE b.charge_id = $1 AND b.state = 'begun'
    AND NOT EXISTS (SELECT FROM forecast.privacy_charge_state u
                    WHERE u.charge_id = b.charge_id AND u.attempt_token = b.attempt_token AND u.state = 'unused')
$$;
COMMENT ON FUNCTION forecast.privacy_charge_holder(bigint) IS 'The attempt that began a charge and did not say before its training that it would not use it; NULL where there is none.';

CREATE OR REPLACE FUNCTION forecast.admit_privacy_charge_state() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
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
COMMENT ON FUNCTION forecast.admit_privacy_charge_state() IS 'Trigger that lets only the attempt that holds a charge begin, leave and commit it.';

-- Budgets by block of time.

CREATE TABLE forecast.privacy_block_rule (
  account       text PRIMARY KEY CHECK (account ~ '^[a-z0-9][a-z0-9._-]{0,62}$'),
  unit          text NOT NULL CHECK (unit IN ('series', 'block', 'window')),
  unit_steps    integer CHECK (unit_steps >= 2),
  period        text NOT NULL CHECK (period IN ('day', 'week', 'month', 'quarter', 'year')),
  timezone      text NOT NULL,
  epsilon_limit numeric(30, 12) NOT NULL CHECK (epsilon_limit > 0 AND epsilon_limit < 1e15),
  delta_limit   double precision NOT NULL CHECK (delta_limit > 0 AND delta_limit < 1),
  note          text CHECK (note <> ''),
  created_at    timestamptz NOT NULL DEFAULT now(),
  created_by    text NOT NULL DEFAULT session_user,
  CONSTRAINT privacy_block_rule_unit_has_steps CHECK ((unit = 'series') = (unit_steps IS NULL))
);
COMMENT ON TABLE forecast.privacy_block_rule IS 'Accounts whose budgets are by block of time of the data: every day, week, month, quarter or year has a budget of its own, which appears when a run first trains on its data. Rows are never changed or deleted.';
COMMENT ON COLUMN forecast.privacy_block_rule.account IS 'Name that a job gives.';
COMMENT ON COLUMN forecast.privacy_block_rule.unit IS 'What is protected within a block: all that a series has in it, a stretch of time, or a window. Windows of a training never cross a border of blocks.';
COMMENT ON COLUMN forecast.privacy_block_rule.unit_steps IS 'Steps of the series that a stretch of time or a window is long; NULL for series.';
COMMENT ON COLUMN forecast.privacy_block_rule.period IS 'Length of a block: a calendar day, week (from Monday), month, quarter or year.';
COMMENT ON COLUMN forecast.privacy_block_rule.timezone IS 'IANA time zone in which blocks begin at midnight.';
COMMENT ON COLUMN forecast.privacy_block_rule.epsilon_limit IS 'What all charges of one block composed may come to.';
COMMENT ON COLUMN forecast.privacy_block_rule.delta_limit IS 'The delta of every block.';
COMMENT ON COLUMN forecast.privacy_block_rule.note IS 'Why, or who decided; NULL when nothing was said.';
COMMENT ON COLUMN forecast.privacy_block_rule.created_at IS 'When it was made.';
COMMENT ON COLUMN forecast.privacy_block_rule.created_by IS 'The database user who made it.';
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON forecast.privacy_block_rule
  FOR EACH STATEMENT EXECUTE FUNCTION forecast.refuse_ledger_change();

CREATE FUNCTION forecast.privacy_blocks(period text, timezone text, history integer, cutoff timestamptz)
RETURNS TABLE (block text, block_from timestamptz, block_until timestamptz)
LANGUAGE sql STABLE STRICT SET search_path = pg_catalog, pg_temp AS $$
  SELECT to_char(local, CASE $1 WHEN 'day' THEN 'YYYY-MM-DD' WHEN 'week' THEN 'IYYY"-w"IW' WHEN 'month' THEN 'YYYY-MM'
                                WHEN 'quarter' THEN 'YYYY"-q"Q' WHEN 'year' THEN 'YYYY' END),
         local AT TIME ZONE $2, (local + length) AT TIME ZONE $2
  FROM (SELECT CASE $1 WHEN 'quarter' THEN interval '3 months' ELSE ('1 ' || $1)::interval END) AS p (length),
       generate_series(0, $3 - 1) AS back,
       LATERAL (SELECT date_trunc($1, $4 AT TIME ZONE $2) - back * length) AS l (local)
  ORDER BY local
$$;
COMMENT ON FUNCTION forecast.privacy_blocks(text, text, integer, timestamptz) IS 'The block of time that a cutoff lies in and those before it, so many in all, oldest first.';

CREATE FUNCTION forecast.admit_privacy_block_rule() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
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
COMMENT ON FUNCTION forecast.admit_privacy_block_rule() IS 'Trigger that keeps budgets made by hand and budgets by block of time apart.';
CREATE TRIGGER admission BEFORE INSERT ON forecast.privacy_block_rule
  FOR EACH ROW EXECUTE FUNCTION forecast.admit_privacy_block_rule();

CREATE OR REPLACE FUNCTION forecast.admit_privacy_budget() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
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
COMMENT ON FUNCTION forecast.admit_privacy_budget() IS 'Trigger that keeps the blocks of an account apart, of one unit and, where the account has a rule, as the rule says.';

-- The only way in which a worker makes budgets: exactly those of the rule.
CREATE FUNCTION forecast.lock_privacy_blocks(account text, history integer, cutoff timestamptz) RETURNS SETOF forecast.privacy_budget
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
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
COMMENT ON FUNCTION forecast.lock_privacy_blocks(text, integer, timestamptz) IS 'The budgets of the blocks of time that a run trains on, made where they are new, locked to the end of the transaction in the order of their keys. No row where the account has no rule.';

-- What is shown.

CREATE OR REPLACE VIEW forecast.privacy_charges AS
SELECT b.account, b.unit, b.block, c.number, j.name AS job, c.run_id, c.purpose,
       coalesce(s.state, 'reserved') AS state, c.mechanism, c.sampling_rate, c.noise_multiplier, c.steps, s.steps_taken,
       c.release_epsilon, c.added_delta, c.epsilon, c.delta, c.composed_epsilon, b.delta_limit AS composed_delta,
       c.reserved_at, s.entered_at AS state_since, c.reserved_by, encode(c.digest, 'hex') AS digest,
       c.digest = forecast.privacy_charge_digest(
         lag(c.digest) OVER (PARTITION BY c.budget_id ORDER BY c.number), b.budget_key, c) AS intact
FROM forecast.privacy_charge c
JOIN forecast.privacy_budget b ON b.budget_id = c.budget_id
JOIN forecast.run r ON r.run_id = c.run_id
JOIN forecast.job j ON j.job_id = r.job_id
LEFT JOIN LATERAL (SELECT * FROM forecast.privacy_charge_state t WHERE t.charge_id = c.charge_id
                   ORDER BY t.state = 'committed' DESC, t.entered_at DESC, t.state DESC LIMIT 1) s ON true;
COMMENT ON VIEW forecast.privacy_charges IS
  'Every charge with its run and job, in the order of number: by whom, when, with which parameters, and to what the budget''s total rose. state: reserved (nothing was read under it), begun (private data may have been read), unused (its attempt ended before the training began: the next attempt at the run may use it), committed (published); all of them count. intact is false where a row was altered or one before it is missing.';

COMMENT ON VIEW forecast.privacy IS
  'One row per budget: what may be spent, what was, what is left. It covers the models that were fitted under the account, everything derived from them, and all that is stored of their runs beside rows that name a series: whoever sees all of that learns about one unit''s data within the block no more than (epsilon_spent, delta)-differential privacy allows, neighbours differing by one unit more or less. Where an account has blocks of time, the unit is what one series (or stretch, or window) has in one block. It does not cover: rows that name a series (its forecasts, verdicts and key, functions of the private model and of that series alone), in which that series'' own data show: they hide a unit from the readers of other series, not from its own; that a run failed, with its code, and how long it took; jobs and queries that do not charge the account, such as models fitted without private training; another account over the same data, whose epsilon adds up; units larger than the one named. Reserved charges count as spent, also when the run failed.';

CREATE VIEW forecast.privacy_accounts AS
SELECT a.account, a.unit, a.unit_steps, r.period AS block_period, r.timezone, coalesce(n.budgets, 0) AS budgets,
       w.block AS worst_block, coalesce(w.epsilon_limit, r.epsilon_limit) AS epsilon_limit,
       coalesce(w.epsilon_spent, 0) AS epsilon_spent, coalesce(w.epsilon_left, r.epsilon_limit) AS epsilon_left,
       coalesce(w.delta, r.delta_limit) AS delta, coalesce(n.runs, 0) AS runs, n.last_charge_at, coalesce(r.note, w.note) AS note
FROM (SELECT DISTINCT account, unit, unit_steps FROM forecast.privacy_budget
      UNION SELECT account, unit, unit_steps FROM forecast.privacy_block_rule) a
LEFT JOIN forecast.privacy_block_rule r ON r.account = a.account
LEFT JOIN LATERAL (SELECT count(*) AS budgets, max(p.last_charge_at) AS last_charge_at,
                          (SELECT count(DISTINCT c.run_id) FROM forecast.privacy_charge c
                           JOIN forecast.privacy_budget b ON b.budget_id = c.budget_id WHERE b.account = a.account) AS runs
                   FROM forecast.privacy p WHERE p.account = a.account) n ON true
LEFT JOIN LATERAL (SELECT * FROM forecast.privacy p WHERE p.account = a.account
                   ORDER BY p.epsilon_left, p.block_from DESC NULLS LAST LIMIT 1) w ON true;
COMMENT ON VIEW forecast.privacy_accounts IS
  'One row per account: its unit, its blocks of time if any, and the budget that has least left. Who is in one block is covered by that block''s budget alone, so the worst block is what the account promises; who is in several is covered by theirs together.';

CREATE OR REPLACE VIEW forecast.status AS
SELECT j.name AS job, j.current_version AS version, j.schedule, j.timezone,
       j.paused_at IS NOT NULL AS paused, j.next_due_at,
       r.run_id, r.state, r.stage, r.progress, r.queued_at, r.started_at, r.finished_at,
       coalesce(r.finished_at, now()) - r.started_at AS duration,
       r.series_total, r.series_ok, r.series_failed, r.error_code, r.error_text,
       u.run_id AS published_run_id, u.issued_at AS published_at, u.origin_at, u.origin_index,
       m.kind AS model, m.parameters, m.validation_loss,
       m.run_id AS model_run_id, m.created_at AS model_fitted_at, r.notice_code, r.notice_text,
       v.definition #>> '{privacy,budget}' AS privacy_account, p.epsilon_limit, p.epsilon_left
FROM forecast.job j
JOIN forecast.job_version v ON v.job_id = j.job_id AND v.version = j.current_version
LEFT JOIN LATERAL (SELECT * FROM forecast.run WHERE run.job_id = j.job_id ORDER BY run_id DESC LIMIT 1) r ON true
LEFT JOIN LATERAL (SELECT * FROM forecast.publication WHERE publication.job_id = j.job_id
                   ORDER BY issued_at DESC LIMIT 1) u ON true
LEFT JOIN forecast.model_version m ON m.model_id = u.model_id
LEFT JOIN LATERAL (
  SELECT coalesce(min(b.epsilon_limit), k.epsilon_limit) AS epsilon_limit, coalesce(min(b.epsilon_left), k.epsilon_limit) AS epsilon_left
  FROM (VALUES (v.definition #>> '{privacy,budget}')) AS wanted (account)
  LEFT JOIN forecast.privacy_block_rule k ON k.account = wanted.account
  LEFT JOIN forecast.privacy b ON b.account = wanted.account
    AND (k.account IS NULL OR b.block IN (
      SELECT t.block FROM forecast.privacy_blocks(k.period, k.timezone, (v.definition #>> '{privacy,history}')::integer,
                                                  coalesce(j.next_due_at, now())) t))
  GROUP BY k.epsilon_limit) p ON v.definition #>> '{privacy,budget}' IS NOT NULL;
COMMENT ON VIEW forecast.status IS 'One row per job: its schedule, its last run and its last publication. forecastctl status prints it. Private jobs: what their account has left for the next run (where budgets are by block of time, in the worst of the blocks it would train on), and notice_code privacy-budget while an earlier model forecasts because the account is empty.';

GRANT EXECUTE ON FUNCTION forecast.privacy_charge_holder(bigint) TO forecast_operator;
GRANT SELECT ON forecast.privacy_accounts TO forecast_reader;
GRANT EXECUTE ON FUNCTION forecast.privacy_blocks(text, text, integer, timestamptz) TO forecast_reader;
GRANT SELECT, INSERT ON forecast.privacy_block_rule TO forecast_operator;
GRANT EXECUTE ON FUNCTION forecast.lock_privacy_blocks(text, integer, timestamptz) TO forecast_worker;

RESET ROLE;

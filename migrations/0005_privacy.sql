-- The privacy ledger: what may be learned from private data in all, and what every run has spent of it.
-- Why: guarantees add up over runs. A run is admitted under a lock on its budget before it reads anything, and
-- what was spent never comes back. The arithmetic is the program's (privacy loss distributions need
-- more than SQL); that totals rise, stay within the limit and are never changed is the database's.
-- Locks: only new objects.

SET ROLE forecast_owner;

CREATE TABLE forecast.privacy_budget (
  budget_id     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  budget_key    uuid NOT NULL UNIQUE DEFAULT gen_random_uuid(),
  account       text NOT NULL CHECK (account ~ '^[a-z0-9][a-z0-9._-]{0,62}$'),
  unit          text NOT NULL CHECK (unit IN ('series', 'block', 'window')),
  unit_steps    integer CHECK (unit_steps >= 2),
  block         text NOT NULL DEFAULT 'all' CHECK (block ~ '^[a-z0-9][a-z0-9._-]{0,62}$'),
  block_from    timestamptz,
  block_until   timestamptz,
  epsilon_limit numeric(30, 12) NOT NULL
                CHECK (epsilon_limit > 0 AND epsilon_limit < 1e15),
  delta_limit   double precision NOT NULL CHECK (delta_limit > 0 AND delta_limit < 1),
  valid_from    timestamptz NOT NULL DEFAULT now(),
  valid_until   timestamptz,
  note          text CHECK (note <> ''),
  created_at    timestamptz NOT NULL DEFAULT now(),
  created_by    text NOT NULL DEFAULT session_user,
  UNIQUE (account, block),
  CONSTRAINT privacy_budget_unit_has_steps CHECK ((unit = 'series') = (unit_steps IS NULL)),
  CONSTRAINT privacy_budget_block_has_length CHECK (block_from < block_until),
  CONSTRAINT privacy_budget_valid_for_a_time CHECK (valid_from < valid_until)
);
COMMENT ON TABLE forecast.privacy_budget IS 'What may be spent: one row per account and block of time of the data. Rows are never changed or deleted: to give more is to open another account, and what two accounts over the same data allow adds up.';
COMMENT ON COLUMN forecast.privacy_budget.budget_id IS 'Surrogate key; budgets are locked in its order.';
COMMENT ON COLUMN forecast.privacy_budget.budget_key IS 'The same budget in every copy of the database: records kept outside of it name this.';
COMMENT ON COLUMN forecast.privacy_budget.account IS 'Name that a job gives: one set of private data and one promise about it.';
COMMENT ON COLUMN forecast.privacy_budget.unit IS 'What is protected: all of a series, a stretch of time of a series (block), or one window of context and horizon. Equal in all blocks of an account; a run that samples another unit is refused.';
COMMENT ON COLUMN forecast.privacy_budget.unit_steps IS 'Steps of the series that a block or a window is long; NULL for series. A run with another length is refused.';
COMMENT ON COLUMN forecast.privacy_budget.block IS 'Name of the block of time. The promise holds for what a unit has within the block: who is in several blocks is covered by several budgets, which add up.';
COMMENT ON COLUMN forecast.privacy_budget.block_from IS 'Time stamps of the data from here on belong to the block; NULL: from the beginning.';
COMMENT ON COLUMN forecast.privacy_budget.block_until IS 'Time stamps of the data before this belong to the block; NULL: without an end. Blocks of an account do not overlap.';
COMMENT ON COLUMN forecast.privacy_budget.epsilon_limit IS 'What all charges composed may come to.';
COMMENT ON COLUMN forecast.privacy_budget.delta_limit IS 'The probability with which that may fail to hold: composed epsilon is taken at it.';
COMMENT ON COLUMN forecast.privacy_budget.valid_from IS 'No charge is admitted earlier.';
COMMENT ON COLUMN forecast.privacy_budget.valid_until IS 'No charge is admitted from here on; NULL: without an end. Nothing is refreshed at an end.';
COMMENT ON COLUMN forecast.privacy_budget.note IS 'Why the budget is what it is, or who decided; NULL when nothing was said.';
COMMENT ON COLUMN forecast.privacy_budget.created_at IS 'When it was made.';
COMMENT ON COLUMN forecast.privacy_budget.created_by IS 'The database user who made it.';

CREATE TABLE forecast.privacy_charge (
  charge_id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  budget_id        bigint NOT NULL REFERENCES forecast.privacy_budget ON DELETE RESTRICT,
  number           integer NOT NULL CHECK (number >= 1),
  run_id           bigint NOT NULL REFERENCES forecast.run ON DELETE RESTRICT,
  attempt_token    uuid NOT NULL REFERENCES forecast.attempt (token) ON DELETE RESTRICT,
  purpose          text NOT NULL CHECK (purpose ~ '^[a-z0-9][a-z0-9._-]{0,62}$'),
  mechanism        text NOT NULL,
  sampling_rate    double precision,
  noise_multiplier double precision,
  steps            bigint,
  release_epsilon  numeric(30, 12),
  added_delta      double precision NOT NULL CHECK (added_delta >= 0 AND added_delta < 1),
  delta            double precision NOT NULL CHECK (delta > 0 AND delta < 1),
  epsilon          numeric(30, 12) NOT NULL CHECK (epsilon > 0 AND epsilon < 1e15),
  composed_epsilon numeric(30, 12) NOT NULL CHECK (composed_epsilon > 0 AND composed_epsilon < 1e15),
  reserved_at      timestamptz NOT NULL,
  reserved_by      text NOT NULL,
  digest           bytea NOT NULL CHECK (octet_length(digest) = 32),
  UNIQUE (budget_id, number),
  UNIQUE (budget_id, attempt_token, purpose),
  CONSTRAINT privacy_charge_mechanism_known CHECK (mechanism IN ('subsampled-gaussian', 'release')),
  CONSTRAINT privacy_charge_parameters_fit CHECK (CASE mechanism
    WHEN 'subsampled-gaussian' THEN num_nulls(sampling_rate, noise_multiplier, steps) = 0
      AND release_epsilon IS NULL
      AND sampling_rate > 0 AND sampling_rate <= 1
      AND noise_multiplier > 0 AND noise_multiplier < 'Infinity'
      AND steps BETWEEN 1 AND 1000000000000
    ELSE release_epsilon > 0 AND release_epsilon < 1e15
      AND num_nonnulls(sampling_rate, noise_multiplier, steps) = 0 END)
);
CREATE INDEX privacy_charge_by_run ON forecast.privacy_charge (run_id);
COMMENT ON TABLE forecast.privacy_charge IS 'What was spent: a row is a reservation, made before the first private read and never taken back. Append-only; what became of it is in privacy_charge_state.';
COMMENT ON COLUMN forecast.privacy_charge.charge_id IS 'Surrogate key.';
COMMENT ON COLUMN forecast.privacy_charge.budget_id IS 'The budget it is spent from.';
COMMENT ON COLUMN forecast.privacy_charge.number IS '1, 2, 3, ... within the budget, without gaps.';
COMMENT ON COLUMN forecast.privacy_charge.run_id IS 'The run that reserved it.';
COMMENT ON COLUMN forecast.privacy_charge.attempt_token IS 'The attempt that reserved it.';
COMMENT ON COLUMN forecast.privacy_charge.purpose IS 'What for, such as fit; one charge per attempt and purpose.';
COMMENT ON COLUMN forecast.privacy_charge.mechanism IS 'subsampled-gaussian: steps with Poisson sampling, contributions clipped, normal noise on their sum. release: anything else that is (release_epsilon, added_delta)-differentially private.';
COMMENT ON COLUMN forecast.privacy_charge.sampling_rate IS 'Probability that a unit takes part in a step; NULL for a release.';
COMMENT ON COLUMN forecast.privacy_charge.noise_multiplier IS 'Standard deviation of the noise in clipping norms; NULL for a release.';
COMMENT ON COLUMN forecast.privacy_charge.steps IS 'Steps that were asked for; all of them count, whether or not they were taken. NULL for a release.';
COMMENT ON COLUMN forecast.privacy_charge.release_epsilon IS 'Epsilon of a release; NULL for subsampled-gaussian.';
COMMENT ON COLUMN forecast.privacy_charge.added_delta IS 'Probability that counts in full beside the mechanism: the delta of a release, or what a sampler''s rounding is worth.';
COMMENT ON COLUMN forecast.privacy_charge.delta IS 'The delta at which epsilon holds for this charge alone.';
COMMENT ON COLUMN forecast.privacy_charge.epsilon IS 'Epsilon of this charge alone, rounded up; for information, as totals are composed from the parameters and not added up.';
COMMENT ON COLUMN forecast.privacy_charge.composed_epsilon IS 'Epsilon of all charges of the budget up to this one at the budget''s delta_limit, rounded up: the high-water mark. Always above that of the charge before, and never above the limit.';
COMMENT ON COLUMN forecast.privacy_charge.reserved_at IS 'When it was admitted, by the database''s clock.';
COMMENT ON COLUMN forecast.privacy_charge.reserved_by IS 'The database user.';
COMMENT ON COLUMN forecast.privacy_charge.digest IS 'SHA-256 over the digest of the charge before and this one''s number and parameters: a chain that shows a missing or altered row.';

CREATE TABLE forecast.privacy_charge_state (
  charge_id     bigint NOT NULL REFERENCES forecast.privacy_charge ON DELETE RESTRICT,
  state         text NOT NULL CHECK (state IN ('begun', 'committed')),
  attempt_token uuid NOT NULL REFERENCES forecast.attempt (token) ON DELETE RESTRICT,
  steps_taken   bigint CHECK (steps_taken >= 0),
  entered_at    timestamptz NOT NULL,
  PRIMARY KEY (charge_id, state),
  CONSTRAINT privacy_charge_state_counts_steps CHECK (steps_taken IS NULL OR state = 'committed')
);
COMMENT ON TABLE forecast.privacy_charge_state IS 'What became of a charge: begun when an attempt was about to read private data, committed when its result was published. Append-only; without a row here a charge is reserved. All states count alike.';
COMMENT ON COLUMN forecast.privacy_charge_state.charge_id IS 'The charge.';
COMMENT ON COLUMN forecast.privacy_charge_state.state IS 'begun or committed; each at most once, committed only after begun.';
COMMENT ON COLUMN forecast.privacy_charge_state.attempt_token IS 'The attempt that began: nobody else may ever use the charge.';
COMMENT ON COLUMN forecast.privacy_charge_state.steps_taken IS 'Steps that were really taken, for information; NULL while begun, and for a release.';
COMMENT ON COLUMN forecast.privacy_charge_state.entered_at IS 'When, by the database''s clock.';

-- Nobody changes the ledger, the owner of the tables included.
CREATE FUNCTION forecast.refuse_ledger_change() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RAISE EXCEPTION 'the privacy ledger only grows: % of forecast.% is refused', TG_OP, TG_TABLE_NAME
    USING ERRCODE = 'restrict_violation', HINT = 'What was spent cannot be taken back; another promise is another account.';
END
$$;
COMMENT ON FUNCTION forecast.refuse_ledger_change() IS 'Trigger that refuses UPDATE, DELETE and TRUNCATE of the privacy ledger.';
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON forecast.privacy_budget
  FOR EACH STATEMENT EXECUTE FUNCTION forecast.refuse_ledger_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON forecast.privacy_charge
  FOR EACH STATEMENT EXECUTE FUNCTION forecast.refuse_ledger_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON forecast.privacy_charge_state
  FOR EACH STATEMENT EXECUTE FUNCTION forecast.refuse_ledger_change();

CREATE FUNCTION forecast.admit_privacy_budget() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  other forecast.privacy_budget;
BEGIN
  IF NEW.block_from >= NEW.block_until THEN
    RETURN NEW; -- the table's own constraint refuses it
  END IF;
  PERFORM pg_advisory_xact_lock(hashtextextended('forecast.privacy:' || NEW.account, 0));
  FOR other IN SELECT * FROM forecast.privacy_budget b WHERE b.account = NEW.account ORDER BY b.budget_id LOOP
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
COMMENT ON FUNCTION forecast.admit_privacy_budget() IS 'Trigger that keeps the blocks of an account apart and of one unit.';
CREATE TRIGGER admission BEFORE INSERT ON forecast.privacy_budget
  FOR EACH ROW EXECUTE FUNCTION forecast.admit_privacy_budget();

-- Rights to UPDATE would be needed to lock rows; this lends the lock alone.
CREATE FUNCTION forecast.lock_privacy_budgets(account text) RETURNS SETOF forecast.privacy_budget
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  SELECT b.* FROM forecast.privacy_budget b WHERE b.account = lock_privacy_budgets.account
  ORDER BY b.budget_id FOR NO KEY UPDATE
$$;
COMMENT ON FUNCTION forecast.lock_privacy_budgets(text) IS 'The budgets of an account, locked to the end of the transaction: charges are admitted one after the other.';

-- Settings that decide how numbers read as text are fixed, so that digests can be made again.
CREATE FUNCTION forecast.privacy_charge_digest(previous bytea, budget_key uuid, charge forecast.privacy_charge) RETURNS bytea
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET extra_float_digits = 1 AS $$
  SELECT sha256(coalesce(previous, ''::bytea) || convert_to(concat_ws('|', budget_key::text, (charge).number::text,
    (charge).run_id::text, (charge).attempt_token::text, (charge).purpose, (charge).mechanism,
    coalesce((charge).sampling_rate::text, '-'), coalesce((charge).noise_multiplier::text, '-'),
    coalesce((charge).steps::text, '-'), coalesce((charge).release_epsilon::text, '-'), (charge).added_delta::text,
    (charge).delta::text, (charge).epsilon::text, (charge).composed_epsilon::text), 'UTF8'))
$$;
COMMENT ON FUNCTION forecast.privacy_charge_digest(bytea, uuid, forecast.privacy_charge) IS 'The digest of a charge after the digest of the one before it (NULL for the first).';

CREATE FUNCTION forecast.admit_privacy_charge() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
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
COMMENT ON FUNCTION forecast.admit_privacy_charge() IS 'Trigger that keeps a budget from being overdrawn or lowered, whatever the program computed: charges are numbered, totals rise and stay within the limit.';
CREATE TRIGGER admission BEFORE INSERT ON forecast.privacy_charge
  FOR EACH ROW EXECUTE FUNCTION forecast.admit_privacy_charge();

CREATE FUNCTION forecast.admit_privacy_charge_state() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  NEW.entered_at := clock_timestamp();
  IF NOT EXISTS (SELECT FROM forecast.privacy_charge c
                 JOIN forecast.task t ON t.run_id = c.run_id
                 JOIN forecast.attempt a ON a.task_id = t.task_id AND a.token = NEW.attempt_token AND a.outcome = 'running'
                 WHERE c.charge_id = NEW.charge_id) THEN
    RAISE EXCEPTION 'only a running attempt of the run of charge % may use it', NEW.charge_id
      USING ERRCODE = 'restrict_violation';
  ELSIF NEW.state = 'committed' AND NOT EXISTS (
      SELECT FROM forecast.privacy_charge_state s
      WHERE s.charge_id = NEW.charge_id AND s.state = 'begun' AND s.attempt_token = NEW.attempt_token) THEN
    RAISE EXCEPTION 'charge % was not begun by this attempt', NEW.charge_id USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN NEW;
END
$$;
COMMENT ON FUNCTION forecast.admit_privacy_charge_state() IS 'Trigger that lets only the attempt that holds a charge begin and commit it.';
CREATE TRIGGER admission BEFORE INSERT ON forecast.privacy_charge_state
  FOR EACH ROW EXECUTE FUNCTION forecast.admit_privacy_charge_state();

CREATE VIEW forecast.privacy AS
SELECT b.account, b.unit, b.unit_steps, b.block, b.block_from, b.block_until, b.epsilon_limit,
       coalesce(c.composed_epsilon, 0) AS epsilon_spent,
       b.epsilon_limit - coalesce(c.composed_epsilon, 0) AS epsilon_left,
       b.delta_limit AS delta, coalesce(n.runs, 0) AS runs, coalesce(n.charges, 0) AS charges,
       coalesce(n.uncommitted, 0) AS uncommitted, c.reserved_at AS last_charge_at,
       b.valid_from, b.valid_until,
       now() >= b.valid_from AND (b.valid_until IS NULL OR now() < b.valid_until) AS valid,
       b.note, b.created_at, b.created_by, b.budget_key
FROM forecast.privacy_budget b
LEFT JOIN LATERAL (SELECT * FROM forecast.privacy_charge WHERE privacy_charge.budget_id = b.budget_id
                   ORDER BY number DESC LIMIT 1) c ON true
LEFT JOIN LATERAL (
  SELECT count(DISTINCT p.run_id) AS runs, count(*) AS charges,
         count(*) FILTER (WHERE s.charge_id IS NULL) AS uncommitted
  FROM forecast.privacy_charge p
  LEFT JOIN forecast.privacy_charge_state s ON s.charge_id = p.charge_id AND s.state = 'committed'
  WHERE p.budget_id = b.budget_id) n ON true;
COMMENT ON VIEW forecast.privacy IS
  'One row per budget: what may be spent, what was, what is left. It covers the models that were fitted under the account and everything derived from them: whoever sees all of them learns about one unit''s data within the block no more than (epsilon_spent, delta)-differential privacy allows, neighbours differing by one unit more or less. It does not cover: forecasts for a series made from that series'' own history, in which its data show; jobs and queries that do not charge the account, such as models fitted without private training; logs, counts and verdicts on series; another account over the same data, whose epsilon adds up; units larger than the one named. Reserved charges count as spent, also when the run failed.';

CREATE VIEW forecast.privacy_charges AS
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
                   ORDER BY t.state DESC LIMIT 1) s ON true; -- committed comes after begun in the alphabet
COMMENT ON VIEW forecast.privacy_charges IS
  'Every charge with its run and job, in the order of number: by whom, when, with which parameters, and to what the budget''s total rose. state: reserved (nothing was read under it), begun (private data may have been read), committed (published); all of them count. intact is false where a row was altered or one before it is missing.';

GRANT SELECT ON forecast.privacy, forecast.privacy_charges TO forecast_reader;
GRANT EXECUTE ON FUNCTION forecast.privacy_charge_digest(bytea, uuid, forecast.privacy_charge) TO forecast_reader;
GRANT SELECT ON forecast.privacy_budget, forecast.privacy_charge, forecast.privacy_charge_state TO forecast_operator;
GRANT INSERT ON forecast.privacy_budget TO forecast_operator;
GRANT INSERT ON forecast.privacy_charge, forecast.privacy_charge_state TO forecast_worker;
GRANT EXECUTE ON FUNCTION forecast.lock_privacy_budgets(text) TO forecast_worker;

RESET ROLE;

-- Charges of training with correlated noise and of input perturbation; values that were released with noise.
-- Why: noise on a value protects it once. Drawn again at every refit it would average out, so what was released is
-- kept, is the only thing later runs see of it, and is never released again.
-- Locks: ACCESS EXCLUSIVE on privacy_budget, privacy_block_rule and privacy_charge, each for an instant: no table is
-- rewritten. The new checks are validated by a scan.

SET ROLE forecast_owner;

ALTER TABLE forecast.privacy_budget
  DROP CONSTRAINT privacy_budget_unit_check, DROP CONSTRAINT privacy_budget_unit_has_steps,
  ADD CONSTRAINT privacy_budget_unit_check CHECK (unit IN ('series', 'block', 'window', 'person')),
  ADD CONSTRAINT privacy_budget_unit_has_steps CHECK ((unit IN ('series', 'person')) = (unit_steps IS NULL));
COMMENT ON COLUMN forecast.privacy_budget.unit IS 'What is protected: all of a series, a stretch of time of a series (block), one window of context and horizon, or a person who adds to the values of each time slot no more than the sensitivity that the job declares (input perturbation). Equal in all blocks of an account; a run that samples another unit is refused.';
COMMENT ON COLUMN forecast.privacy_budget.unit_steps IS 'Steps of the series that a block or a window is long; NULL for series and person. A run with another length is refused.';

ALTER TABLE forecast.privacy_charge
  ADD COLUMN cycle integer CHECK (cycle >= 1),
  ADD COLUMN bands integer CHECK (bands >= 1),
  DROP CONSTRAINT privacy_charge_mechanism_known, DROP CONSTRAINT privacy_charge_parameters_fit,
  ADD CONSTRAINT privacy_charge_mechanism_known
    CHECK (mechanism IN ('subsampled-gaussian', 'correlated-gaussian', 'input-gaussian', 'release')),
  ADD CONSTRAINT privacy_charge_parameters_fit CHECK (CASE WHEN mechanism = 'release'
    THEN release_epsilon > 0 AND release_epsilon < 1e15
      AND num_nonnulls(sampling_rate, noise_multiplier, steps, cycle, bands) = 0
    ELSE num_nulls(noise_multiplier, steps) = 0 AND release_epsilon IS NULL
      AND noise_multiplier > 0 AND noise_multiplier < 'Infinity'
      AND steps BETWEEN 1 AND 1000000000000
      AND (mechanism = 'subsampled-gaussian') = (sampling_rate IS NOT NULL)
      AND (sampling_rate IS NULL OR sampling_rate > 0 AND sampling_rate <= 1)
      AND num_nonnulls(cycle, bands) = CASE mechanism WHEN 'correlated-gaussian' THEN 2 ELSE 0 END END);
COMMENT ON COLUMN forecast.privacy_charge.mechanism IS 'subsampled-gaussian: steps with Poisson sampling, contributions clipped, normal noise on their sum. correlated-gaussian: steps in which units take turns, noises of steps correlated (DP-FTRL). input-gaussian: normal noise on every value of so many time slots. release: anything else that is (release_epsilon, added_delta)-differentially private.';
COMMENT ON COLUMN forecast.privacy_charge.sampling_rate IS 'Probability that a unit takes part in a step; NULL unless units are sampled.';
COMMENT ON COLUMN forecast.privacy_charge.noise_multiplier IS 'Standard deviation of the noise in clipping norms (of what is released, before it is mixed), or in sensitivities of the values; NULL for a release.';
COMMENT ON COLUMN forecast.privacy_charge.steps IS 'Steps that were asked for, or time slots of input-gaussian; all of them count, whether or not they were taken. NULL for a release.';
COMMENT ON COLUMN forecast.privacy_charge.release_epsilon IS 'Epsilon of a release; NULL for all else.';
COMMENT ON COLUMN forecast.privacy_charge.cycle IS 'Of correlated-gaussian: steps from one turn of a unit to its next; NULL for all else.';
COMMENT ON COLUMN forecast.privacy_charge.bands IS 'Of correlated-gaussian: of how many steps the noise is mixed; NULL for all else.';

ALTER TABLE forecast.privacy_block_rule
  DROP CONSTRAINT privacy_block_rule_unit_check, DROP CONSTRAINT privacy_block_rule_unit_has_steps,
  ADD CONSTRAINT privacy_block_rule_unit_check CHECK (unit IN ('series', 'block', 'window', 'person')),
  ADD CONSTRAINT privacy_block_rule_unit_has_steps CHECK ((unit IN ('series', 'person')) = (unit_steps IS NULL));

-- What is NULL leaves no trace, so that digests made before there were these columns stay what they are.
CREATE OR REPLACE FUNCTION forecast.privacy_charge_digest(previous bytea, budget_key uuid, charge forecast.privacy_charge) RETURNS bytea
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET extra_float_digits = 1 AS $$
  SELECT sha256(coalesce(previous, ''::bytea) || convert_to(concat_ws('|', budget_key::text, (charge).number::text,
    (charge).run_id::text, (charge).attempt_token::text, (charge).purpose, (charge).mechanism,
    coalesce((charge).sampling_rate::text, '-'), coalesce((charge).noise_multiplier::text, '-'),
    coalesce((charge).steps::text, '-'), coalesce((charge).release_epsilon::text, '-'), (charge).added_delta::text,
    (charge).delta::text, (charge).epsilon::text, (charge).composed_epsilon::text, (charge).cycle::text,
    (charge).bands::text), 'UTF8'))
$$;

CREATE OR REPLACE VIEW forecast.privacy_charges AS
SELECT b.account, b.unit, b.block, c.number, j.name AS job, c.run_id, c.purpose,
       coalesce(s.state, 'reserved') AS state, c.mechanism, c.sampling_rate, c.noise_multiplier, c.steps, s.steps_taken,
       c.release_epsilon, c.added_delta, c.epsilon, c.delta, c.composed_epsilon, b.delta_limit AS composed_delta,
       c.reserved_at, s.entered_at AS state_since, c.reserved_by, encode(c.digest, 'hex') AS digest,
       c.digest = forecast.privacy_charge_digest(
         lag(c.digest) OVER (PARTITION BY c.budget_id ORDER BY c.number), b.budget_key, c) AS intact,
       c.cycle, c.bands
FROM forecast.privacy_charge c
JOIN forecast.privacy_budget b ON b.budget_id = c.budget_id
JOIN forecast.run r ON r.run_id = c.run_id
JOIN forecast.job j ON j.job_id = r.job_id
LEFT JOIN LATERAL (SELECT * FROM forecast.privacy_charge_state t WHERE t.charge_id = c.charge_id
                   ORDER BY t.state = 'committed' DESC, t.entered_at DESC, t.state DESC LIMIT 1) s ON true;

-- Values with noise.

CREATE TABLE forecast.private_input (
  input_id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  job_id        bigint NOT NULL REFERENCES forecast.job ON DELETE RESTRICT,
  account       text NOT NULL,
  source_digest bytea NOT NULL CHECK (octet_length(source_digest) = 32),
  sensitivity   double precision NOT NULL CHECK (sensitivity > 0 AND sensitivity < 'Infinity'),
  deviation     double precision NOT NULL CHECK (deviation > 0 AND deviation < 'Infinity'),
  created_at    timestamptz NOT NULL DEFAULT now(),
  UNIQUE (job_id, account, source_digest, sensitivity, deviation)
);
COMMENT ON TABLE forecast.private_input IS 'A source whose values are released with noise, each once. Another query, frequency, time zone, account, sensitivity or noise is another input, which releases all over again and pays for it.';
COMMENT ON COLUMN forecast.private_input.input_id IS 'Surrogate key.';
COMMENT ON COLUMN forecast.private_input.job_id IS 'The job whose source it is.';
COMMENT ON COLUMN forecast.private_input.account IS 'The account that pays.';
COMMENT ON COLUMN forecast.private_input.source_digest IS 'SHA-256 of query, frequency and time zone.';
COMMENT ON COLUMN forecast.private_input.sensitivity IS 'Most that one person changes the values of a time slot by, in the Euclidean norm, as the job declares.';
COMMENT ON COLUMN forecast.private_input.deviation IS 'Standard deviation of the noise on each value, in the unit of the values.';
COMMENT ON COLUMN forecast.private_input.created_at IS 'When a run first released of it.';

CREATE TABLE forecast.private_release (
  release_id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  input_id         bigint NOT NULL REFERENCES forecast.private_input ON DELETE RESTRICT,
  run_id           bigint NOT NULL REFERENCES forecast.run ON DELETE RESTRICT,
  first_slot       bigint NOT NULL,
  paid_through     bigint NOT NULL,
  released_through bigint NOT NULL,
  released_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
  UNIQUE (input_id, first_slot),
  UNIQUE (input_id, paid_through),
  CONSTRAINT private_release_pays_ahead CHECK (first_slot <= paid_through AND released_through <= paid_through)
);
COMMENT ON TABLE forecast.private_release IS 'What runs released of an input: written with the values, in the transaction that commits the charge. Append-only.';
COMMENT ON COLUMN forecast.private_release.release_id IS 'Surrogate key.';
COMMENT ON COLUMN forecast.private_release.input_id IS 'The input.';
COMMENT ON COLUMN forecast.private_release.run_id IS 'The run.';
COMMENT ON COLUMN forecast.private_release.first_slot IS 'The first slot that the run paid for, as a number of the job''s grid: the one after those paid for before.';
COMMENT ON COLUMN forecast.private_release.paid_through IS 'The last slot that is paid for: the one of the run''s cutoff.';
COMMENT ON COLUMN forecast.private_release.released_through IS 'The last slot that had a value. Slots up to here are closed: what is missing in them stays missing. Those after it, paid for and empty so far, are released by the next run that pays.';
COMMENT ON COLUMN forecast.private_release.released_at IS 'When.';

CREATE TABLE forecast.private_value (
  input_id bigint NOT NULL REFERENCES forecast.private_input ON DELETE RESTRICT,
  series   text NOT NULL,
  slot     bigint NOT NULL,
  stamp    bigint NOT NULL,
  value    double precision NOT NULL CHECK (abs(value) < 'Infinity'),
  PRIMARY KEY (input_id, series, slot)
);
COMMENT ON TABLE forecast.private_value IS 'Values of an input with their noise: all that training and prediction ever see of them. Append-only; a value that is corrected in the source stays as it was released.';
COMMENT ON COLUMN forecast.private_value.input_id IS 'The input.';
COMMENT ON COLUMN forecast.private_value.series IS 'The key from the source query.';
COMMENT ON COLUMN forecast.private_value.slot IS 'Number of the step on the job''s grid.';
COMMENT ON COLUMN forecast.private_value.stamp IS 'The row''s time stamp in microseconds since 1970 UTC, or its integer step.';
COMMENT ON COLUMN forecast.private_value.value IS 'The value plus normal noise of the input''s deviation.';

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON forecast.private_input
  FOR EACH STATEMENT EXECUTE FUNCTION forecast.refuse_ledger_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON forecast.private_release
  FOR EACH STATEMENT EXECUTE FUNCTION forecast.refuse_ledger_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON forecast.private_value
  FOR EACH STATEMENT EXECUTE FUNCTION forecast.refuse_ledger_change();

GRANT SELECT ON forecast.private_input, forecast.private_release, forecast.private_value TO forecast_operator;
GRANT INSERT ON forecast.private_input, forecast.private_release, forecast.private_value TO forecast_worker;

RESET ROLE;

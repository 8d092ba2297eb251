-- What SQL users read and call: views, functions, and who may use them.
-- Why: stable names; the tables underneath may change.
-- Locks: only new objects.

SET ROLE forecast_owner;

CREATE FUNCTION forecast.quantile(levels double precision[], quantiles double precision[], p double precision)
RETURNS double precision
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
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
COMMENT ON FUNCTION forecast.quantile(double precision[], double precision[], double precision) IS
  'The quantile at level p: the stored one, or linear interpolation between its neighbours; NULL outside the levels (nothing is extrapolated).';

CREATE VIEW forecast.current AS
SELECT j.name AS job, s.series, p.target_at, p.target_index, p.step, p.mean,
       CASE WHEN g.i05 IS NOT NULL THEN p.quantiles[g.i05] ELSE forecast.quantile(g.levels, p.quantiles, 0.05) END AS p05,
       CASE WHEN g.i10 IS NOT NULL THEN p.quantiles[g.i10] ELSE forecast.quantile(g.levels, p.quantiles, 0.10) END AS p10,
       CASE WHEN g.i25 IS NOT NULL THEN p.quantiles[g.i25] ELSE forecast.quantile(g.levels, p.quantiles, 0.25) END AS p25,
       CASE WHEN g.i50 IS NOT NULL THEN p.quantiles[g.i50] ELSE forecast.quantile(g.levels, p.quantiles, 0.50) END AS p50,
       CASE WHEN g.i75 IS NOT NULL THEN p.quantiles[g.i75] ELSE forecast.quantile(g.levels, p.quantiles, 0.75) END AS p75,
       CASE WHEN g.i90 IS NOT NULL THEN p.quantiles[g.i90] ELSE forecast.quantile(g.levels, p.quantiles, 0.90) END AS p90,
       CASE WHEN g.i95 IS NOT NULL THEN p.quantiles[g.i95] ELSE forecast.quantile(g.levels, p.quantiles, 0.95) END AS p95,
       u.origin_at, u.origin_index, u.issued_at, p.run_id
FROM forecast.current_run c
JOIN forecast.job j ON j.job_id = c.job_id
JOIN forecast.series s ON s.series_id = c.series_id
JOIN forecast.publication u ON u.run_id = c.run_id
JOIN forecast.quantile_grid g ON g.grid_id = u.grid_id
JOIN forecast.forecast_point p ON p.run_id = c.run_id AND p.series_id = c.series_id AND p.issued_at = u.issued_at;
COMMENT ON VIEW forecast.current IS 'The forecasts in force, a row per series and step, with the usual quantiles as columns. Exactly one row per job, series and target.';

CREATE VIEW forecast.long AS
SELECT j.name AS job, s.series, p.target_at, p.target_index, p.step, q.level AS quantile, q.value,
       u.origin_at, u.origin_index, u.issued_at, p.run_id
FROM forecast.current_run c
JOIN forecast.job j ON j.job_id = c.job_id
JOIN forecast.series s ON s.series_id = c.series_id
JOIN forecast.publication u ON u.run_id = c.run_id
JOIN forecast.quantile_grid g ON g.grid_id = u.grid_id
JOIN forecast.forecast_point p ON p.run_id = c.run_id AND p.series_id = c.series_id AND p.issued_at = u.issued_at
CROSS JOIN LATERAL unnest(g.levels, p.quantiles) AS q (level, value);
COMMENT ON VIEW forecast.long IS 'The forecasts in force, a row per series, step and quantile level.';

CREATE FUNCTION forecast.asof(job text, series text, at timestamptz)
RETURNS TABLE (target_at timestamptz, target_index bigint, step integer, mean double precision,
               levels double precision[], quantiles double precision[],
               origin_at timestamptz, origin_index bigint, issued_at timestamptz, run_id bigint)
LANGUAGE sql STABLE PARALLEL SAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
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
COMMENT ON FUNCTION forecast.asof(text, text, timestamptz) IS
  'What forecast.current showed for one series at an earlier instant.';

CREATE VIEW forecast.lineage AS
SELECT j.name AS job, r.run_id, r.job_version, r.trigger_kind, u.issued_at, u.origin_at, u.origin_index,
       d.rows_read, d.series AS series_read, u.series AS series_forecast, u.points,
       encode(d.query_digest, 'hex') AS query_digest, encode(d.value_digest, 'hex') AS value_digest,
       encode(u.content_digest, 'hex') AS content_digest,
       m.model_id, m.kind, m.parameters, m.fit_mode, m.seed, m.threads, m.steps, m.validation_loss, m.fit_seconds,
       encode(m.weights_digest, 'hex') AS weights_digest, m.build, a.host, a.worker
FROM forecast.publication u
JOIN forecast.run r ON r.run_id = u.run_id
JOIN forecast.job j ON j.job_id = u.job_id
JOIN forecast.data_snapshot d ON d.run_id = u.run_id
JOIN forecast.model_version m ON m.model_id = u.model_id
JOIN forecast.attempt a ON a.token = u.attempt_token;
COMMENT ON VIEW forecast.lineage IS 'Where every publication came from: data, job version, model, seed, build and machine.';

CREATE VIEW forecast.status AS
SELECT j.name AS job, j.current_version AS version, j.schedule, j.timezone,
       j.paused_at IS NOT NULL AS paused, j.next_due_at,
       r.run_id, r.state, r.stage, r.progress, r.queued_at, r.started_at, r.finished_at,
       coalesce(r.finished_at, now()) - r.started_at AS duration,
       r.series_total, r.series_ok, r.series_failed, r.error_code, r.error_text,
       u.run_id AS published_run_id, u.issued_at AS published_at, u.origin_at, u.origin_index,
       m.kind AS model, m.parameters, m.validation_loss
FROM forecast.job j
LEFT JOIN LATERAL (SELECT * FROM forecast.run WHERE run.job_id = j.job_id ORDER BY run_id DESC LIMIT 1) r ON true
LEFT JOIN LATERAL (SELECT * FROM forecast.publication WHERE publication.job_id = j.job_id
                   ORDER BY issued_at DESC LIMIT 1) u ON true
LEFT JOIN forecast.model_version m ON m.model_id = u.model_id;
COMMENT ON VIEW forecast.status IS 'One row per job: its schedule, its last run and its last publication. forecastctl status prints it.';

CREATE FUNCTION forecast.enqueue_run(job_id bigint, trigger_kind text, cutoff_at timestamptz, cutoff_index bigint)
RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
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
COMMENT ON FUNCTION forecast.enqueue_run(bigint, text, timestamptz, bigint) IS 'Makes a run of the current version of a job with its task, and wakes the workers (NOTIFY forecast_work).';

CREATE FUNCTION forecast.run_now(job text, cutoff timestamptz DEFAULT NULL, cutoff_index bigint DEFAULT NULL)
RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
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
COMMENT ON FUNCTION forecast.run_now(text, timestamptz, bigint) IS
  'Queues a run of a job and returns its number. The cutoff defaults to now (all rows for integer steps); a running forecastd picks it up at once.';

CREATE FUNCTION forecast.cancel(run bigint) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
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
COMMENT ON FUNCTION forecast.cancel(bigint) IS
  'Cancels a run: at once when it waits, at the worker''s next heartbeat when it runs. Returns what happened.';

CREATE FUNCTION forecast.retry(run bigint) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
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
COMMENT ON FUNCTION forecast.retry(bigint) IS 'Queues a failed or cancelled run again, with the same version and cutoff and three more attempts.';

CREATE FUNCTION forecast.pause(job text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  UPDATE forecast.job j SET paused_at = coalesce(j.paused_at, now()) WHERE j.name = pause.job;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'there is no job "%"', pause.job USING ERRCODE = 'no_data_found';
  END IF;
END
$$;
COMMENT ON FUNCTION forecast.pause(text) IS 'Stops the schedule of a job; due instants are recorded as skipped-paused. Runs asked for by hand still run.';

CREATE FUNCTION forecast.resume(job text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  UPDATE forecast.job j SET paused_at = NULL WHERE j.name = resume.job;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'there is no job "%"', resume.job USING ERRCODE = 'no_data_found';
  END IF;
END
$$;
COMMENT ON FUNCTION forecast.resume(text) IS 'Puts the schedule of a paused job in force again.';

-- Readers see the views; operators also steer; workers use the tables.
GRANT USAGE ON SCHEMA forecast TO forecast_reader, forecast_operator, forecast_worker;
GRANT SELECT ON forecast.current, forecast.long, forecast.status, forecast.lineage TO forecast_reader;
GRANT EXECUTE ON FUNCTION forecast.quantile(double precision[], double precision[], double precision),
  forecast.asof(text, text, timestamptz) TO forecast_reader;
GRANT SELECT ON forecast.job, forecast.job_version, forecast.run, forecast.task, forecast.attempt, forecast.run_event,
  forecast.schedule_tick, forecast.data_snapshot, forecast.series_verdict, forecast.series, forecast.publication,
  forecast.current_run, forecast.forecast_point, forecast.quantile_grid TO forecast_operator;
GRANT INSERT, UPDATE ON forecast.job TO forecast_operator;
GRANT INSERT ON forecast.job_version TO forecast_operator;
GRANT EXECUTE ON FUNCTION forecast.enqueue_run(bigint, text, timestamptz, bigint),
  forecast.run_now(text, timestamptz, bigint), forecast.cancel(bigint), forecast.retry(bigint),
  forecast.pause(text), forecast.resume(text) TO forecast_operator;
GRANT SELECT, INSERT, UPDATE ON forecast.run, forecast.task, forecast.attempt, forecast.schedule_tick, forecast.current_run TO forecast_worker;
GRANT SELECT, INSERT ON forecast.run_event, forecast.publication, forecast.forecast_point, forecast.quantile_grid,
  forecast.series, forecast.model_version TO forecast_worker;
GRANT SELECT, INSERT, UPDATE, DELETE ON forecast.data_snapshot, forecast.series_verdict TO forecast_worker;
GRANT EXECUTE ON FUNCTION forecast.ensure_partition(timestamptz) TO forecast_worker;
-- A forecast from an abandoned attempt never gets this far, so nothing that was issued may be deleted by a worker.

-- The programs compare the schema with what they know before they do anything.
DO $$
BEGIN
  IF to_regclass('forecast.schema_migration') IS NOT NULL THEN -- absent when the files run under psql
    GRANT SELECT ON forecast.schema_migration TO forecast_operator;
  END IF;
END
$$;

RESET ROLE;

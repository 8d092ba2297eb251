-- What a run read, the model it fitted, and the forecasts it published.
-- Why: forecasts are issued once and never change; lineage says what they were made of.
-- Locks: only new objects.

SET ROLE forecast_owner;

CREATE TABLE forecast.data_snapshot (
  run_id        bigint PRIMARY KEY REFERENCES forecast.run ON DELETE CASCADE,
  query_digest  bytea NOT NULL CHECK (octet_length(query_digest) = 32),
  value_digest  bytea NOT NULL CHECK (octet_length(value_digest) = 32),
  rows_read     bigint NOT NULL CHECK (rows_read >= 0),
  series        bigint NOT NULL CHECK (series >= 0),
  first_at      timestamptz,
  last_at       timestamptz,
  first_index   bigint,
  last_index    bigint,
  read_at       timestamptz NOT NULL,
  read_seconds  double precision NOT NULL CHECK (read_seconds >= 0),
  CHECK ((first_at IS NULL) = (last_at IS NULL)),
  CHECK ((first_index IS NULL) = (last_index IS NULL)),
  CHECK (num_nonnulls(first_at, first_index) <= 1)
);
COMMENT ON TABLE forecast.data_snapshot IS 'What the source query returned to a run. Two runs with equal digests saw the same data.';
COMMENT ON COLUMN forecast.data_snapshot.run_id IS 'The run that read it.';
COMMENT ON COLUMN forecast.data_snapshot.query_digest IS 'SHA-256 of the query text of the job version.';
COMMENT ON COLUMN forecast.data_snapshot.value_digest IS 'SHA-256 of all series in key order, times and values; independent of the order of rows.';
COMMENT ON COLUMN forecast.data_snapshot.rows_read IS 'Rows that the query returned.';
COMMENT ON COLUMN forecast.data_snapshot.series IS 'Different series among them.';
COMMENT ON COLUMN forecast.data_snapshot.first_at IS 'Earliest time stamp; NULL for integer steps or when no row came.';
COMMENT ON COLUMN forecast.data_snapshot.last_at IS 'Latest time stamp; NULL for integer steps or when no row came.';
COMMENT ON COLUMN forecast.data_snapshot.first_index IS 'Smallest integer step; NULL for calendar series or when no row came.';
COMMENT ON COLUMN forecast.data_snapshot.last_index IS 'Largest integer step; NULL for calendar series or when no row came.';
COMMENT ON COLUMN forecast.data_snapshot.read_at IS 'When reading began.';
COMMENT ON COLUMN forecast.data_snapshot.read_seconds IS 'Seconds from sending the query to the last row.';

CREATE TABLE forecast.series_verdict (
  run_id       bigint NOT NULL REFERENCES forecast.run ON DELETE CASCADE,
  series       text NOT NULL,
  verdict      text NOT NULL CHECK (verdict ~ '^[a-z]+(-[a-z]+)*$'),
  forecasted   boolean NOT NULL,
  detail       text,
  observations bigint NOT NULL CHECK (observations >= 0),
  gaps         bigint NOT NULL CHECK (gaps >= 0),
  duplicates   bigint NOT NULL CHECK (duplicates >= 0),
  non_finite   bigint NOT NULL CHECK (non_finite >= 0),
  nulls        bigint NOT NULL CHECK (nulls >= 0),
  PRIMARY KEY (run_id, series)
);
COMMENT ON TABLE forecast.series_verdict IS 'The quality of every series that a run read, and whether it could be forecast. A bad series never stops the others.';
COMMENT ON COLUMN forecast.series_verdict.run_id IS 'The run.';
COMMENT ON COLUMN forecast.series_verdict.series IS 'The key from the source query.';
COMMENT ON COLUMN forecast.series_verdict.verdict IS 'ok, or the first thing that is wrong with it; docs/verdicts.md lists them.';
COMMENT ON COLUMN forecast.series_verdict.forecasted IS 'Whether the run forecasts it.';
COMMENT ON COLUMN forecast.series_verdict.detail IS 'One sentence when there is something to say; NULL when not.';
COMMENT ON COLUMN forecast.series_verdict.observations IS 'Finite values on different steps.';
COMMENT ON COLUMN forecast.series_verdict.gaps IS 'Steps between the first and the last observation that have none.';
COMMENT ON COLUMN forecast.series_verdict.duplicates IS 'Rows beyond the first for a step.';
COMMENT ON COLUMN forecast.series_verdict.non_finite IS 'NaN and infinite values, treated as missing.';
COMMENT ON COLUMN forecast.series_verdict.nulls IS 'NULL values, treated as missing.';

CREATE TABLE forecast.model_version (
  model_id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  job_id          bigint NOT NULL REFERENCES forecast.job ON DELETE CASCADE,
  run_id          bigint NOT NULL REFERENCES forecast.run ON DELETE CASCADE,
  kind            text NOT NULL,
  configuration   jsonb NOT NULL CHECK (jsonb_typeof(configuration) = 'object'),
  training        jsonb NOT NULL CHECK (jsonb_typeof(training) = 'object'),
  weights         bytea NOT NULL,
  weights_digest  bytea NOT NULL CHECK (octet_length(weights_digest) = 32),
  parameters      bigint NOT NULL CHECK (parameters >= 0),
  fit_mode        text NOT NULL CHECK (fit_mode IN ('fresh', 'warm', 'state-only')),
  parent_model_id bigint REFERENCES forecast.model_version,
  seed            bigint NOT NULL,
  threads         integer NOT NULL CHECK (threads >= 1),
  build           text NOT NULL,
  steps           integer NOT NULL CHECK (steps >= 0),
  validation_loss double precision,
  fit_seconds     double precision NOT NULL CHECK (fit_seconds >= 0),
  created_at      timestamptz NOT NULL DEFAULT now(),
  UNIQUE (run_id),
  CHECK ((fit_mode = 'fresh') = (parent_model_id IS NULL))
);
CREATE INDEX model_version_by_job ON forecast.model_version (job_id, model_id DESC);
COMMENT ON TABLE forecast.model_version IS 'A fitted model with everything needed to make it again or to use it without refitting.';
COMMENT ON COLUMN forecast.model_version.model_id IS 'Surrogate key.';
COMMENT ON COLUMN forecast.model_version.job_id IS 'The job.';
COMMENT ON COLUMN forecast.model_version.run_id IS 'The run that fitted it.';
COMMENT ON COLUMN forecast.model_version.kind IS 'Registered name of the architecture, as in the job file.';
COMMENT ON COLUMN forecast.model_version.configuration IS 'Hyper-parameters of the forecaster.';
COMMENT ON COLUMN forecast.model_version.training IS 'Settings of the training and what came of them: best step, retries.';
COMMENT ON COLUMN forecast.model_version.weights IS 'The weights in safetensors format.';
COMMENT ON COLUMN forecast.model_version.weights_digest IS 'SHA-256 of weights: equal for equal data, job, seed, build and thread count.';
COMMENT ON COLUMN forecast.model_version.parameters IS 'Number of trained parameters.';
COMMENT ON COLUMN forecast.model_version.fit_mode IS 'fresh: from random weights.';
COMMENT ON COLUMN forecast.model_version.parent_model_id IS 'The model it started from; NULL when fresh.';
COMMENT ON COLUMN forecast.model_version.seed IS 'Seed of all random streams of the fit.';
COMMENT ON COLUMN forecast.model_version.threads IS 'Threads of the fit: results are reproducible for a given number.';
COMMENT ON COLUMN forecast.model_version.build IS 'Version of the program.';
COMMENT ON COLUMN forecast.model_version.steps IS 'Optimiser steps of the weights that were kept.';
COMMENT ON COLUMN forecast.model_version.validation_loss IS 'Mean quantile loss on the validation windows, in scaled units; NULL when there were too few windows to hold any out.';
COMMENT ON COLUMN forecast.model_version.fit_seconds IS 'Wall-clock seconds of the fit.';
COMMENT ON COLUMN forecast.model_version.created_at IS 'When it was stored.';

CREATE TABLE forecast.quantile_grid (
  grid_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  levels  double precision[] NOT NULL UNIQUE
          CHECK (cardinality(levels) BETWEEN 1 AND 99 AND array_ndims(levels) = 1
                 AND array_position(levels, NULL) IS NULL
                 AND levels[1] > 0 AND levels[cardinality(levels)] < 1),
  i05 integer GENERATED ALWAYS AS (array_position(levels, 0.05::double precision)) STORED,
  i10 integer GENERATED ALWAYS AS (array_position(levels, 0.1::double precision)) STORED,
  i25 integer GENERATED ALWAYS AS (array_position(levels, 0.25::double precision)) STORED,
  i50 integer GENERATED ALWAYS AS (array_position(levels, 0.5::double precision)) STORED,
  i75 integer GENERATED ALWAYS AS (array_position(levels, 0.75::double precision)) STORED,
  i90 integer GENERATED ALWAYS AS (array_position(levels, 0.9::double precision)) STORED,
  i95 integer GENERATED ALWAYS AS (array_position(levels, 0.95::double precision)) STORED
);
COMMENT ON TABLE forecast.quantile_grid IS 'The sets of quantile levels in use. A point stores only the values; its publication names the grid.';
COMMENT ON COLUMN forecast.quantile_grid.grid_id IS 'Surrogate key.';
COMMENT ON COLUMN forecast.quantile_grid.levels IS 'Increasing levels between 0 and 1, as in the job file (quantiles:).';
COMMENT ON COLUMN forecast.quantile_grid.i05 IS 'Position of level 0.05 in levels; NULL when it is not there (forecast.quantile interpolates).';
COMMENT ON COLUMN forecast.quantile_grid.i10 IS 'Position of level 0.1.';
COMMENT ON COLUMN forecast.quantile_grid.i25 IS 'Position of level 0.25.';
COMMENT ON COLUMN forecast.quantile_grid.i50 IS 'Position of level 0.5.';
COMMENT ON COLUMN forecast.quantile_grid.i75 IS 'Position of level 0.75.';
COMMENT ON COLUMN forecast.quantile_grid.i90 IS 'Position of level 0.9.';
COMMENT ON COLUMN forecast.quantile_grid.i95 IS 'Position of level 0.95.';

CREATE TABLE forecast.series (
  series_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  job_id    bigint NOT NULL REFERENCES forecast.job ON DELETE CASCADE,
  series    text NOT NULL CHECK (series <> ''),
  UNIQUE (job_id, series),
  UNIQUE (job_id, series_id)
);
COMMENT ON TABLE forecast.series IS 'Dictionary of the series of each job, so that points carry a number and not a text.';
COMMENT ON COLUMN forecast.series.series_id IS 'Surrogate key.';
COMMENT ON COLUMN forecast.series.job_id IS 'The job.';
COMMENT ON COLUMN forecast.series.series IS 'The key from the source query.';

CREATE TABLE forecast.publication (
  run_id         bigint PRIMARY KEY REFERENCES forecast.run ON DELETE RESTRICT,
  job_id         bigint NOT NULL REFERENCES forecast.job ON DELETE RESTRICT,
  attempt_token  uuid NOT NULL UNIQUE REFERENCES forecast.attempt (token),
  model_id       bigint NOT NULL REFERENCES forecast.model_version,
  grid_id        integer NOT NULL REFERENCES forecast.quantile_grid,
  issued_at      timestamptz NOT NULL,
  origin_at      timestamptz,
  origin_index   bigint,
  series         bigint NOT NULL CHECK (series >= 1),
  points         bigint NOT NULL CHECK (points >= series),
  content_digest bytea NOT NULL CHECK (octet_length(content_digest) = 32),
  UNIQUE (job_id, run_id),
  CHECK (num_nonnulls(origin_at, origin_index) = 1)
);
CREATE INDEX publication_by_job ON forecast.publication (job_id, issued_at DESC);
COMMENT ON TABLE forecast.publication IS 'The one moment at which a run''s forecasts became visible. One per run: the key makes publishing exactly-once.';
COMMENT ON COLUMN forecast.publication.run_id IS 'The run.';
COMMENT ON COLUMN forecast.publication.job_id IS 'Its job.';
COMMENT ON COLUMN forecast.publication.attempt_token IS 'The attempt that published.';
COMMENT ON COLUMN forecast.publication.model_id IS 'The model that made the forecasts.';
COMMENT ON COLUMN forecast.publication.grid_id IS 'The quantile levels of the points.';
COMMENT ON COLUMN forecast.publication.issued_at IS 'When the forecasts were issued; also the partition key of the points.';
COMMENT ON COLUMN forecast.publication.origin_at IS 'The cutoff of the run: no observation after it was used. NULL for integer steps.';
COMMENT ON COLUMN forecast.publication.origin_index IS 'The same for integer steps; NULL for calendar series.';
COMMENT ON COLUMN forecast.publication.series IS 'Series forecast.';
COMMENT ON COLUMN forecast.publication.points IS 'Points written: series times horizon.';
COMMENT ON COLUMN forecast.publication.content_digest IS 'SHA-256 of the points in the order written; tells after a lost connection whether the commit happened.';

CREATE TABLE forecast.forecast_point (
  run_id       bigint NOT NULL,
  series_id    bigint NOT NULL,
  issued_at    timestamptz NOT NULL,
  target_at    timestamptz,
  target_index bigint,
  mean         double precision NOT NULL
               CHECK (mean > '-Infinity'::double precision AND mean < 'Infinity'::double precision),
  step         integer NOT NULL CHECK (step >= 1),
  quantiles    double precision[] NOT NULL CHECK (quantiles[1] <= quantiles[cardinality(quantiles)]
               AND quantiles[1] > '-Infinity'::double precision
               AND quantiles[cardinality(quantiles)] < 'Infinity'::double precision),
  CONSTRAINT forecast_point_one_target CHECK (num_nonnulls(target_at, target_index) = 1),
  PRIMARY KEY (run_id, series_id, step, issued_at)
) PARTITION BY RANGE (issued_at);
COMMENT ON TABLE forecast.forecast_point IS 'Every forecast ever issued, a row per series and step; immutable. Partitioned by month of issue: drop an old partition to forget it. Read it through forecast.current, forecast.long or forecast.asof().';
COMMENT ON COLUMN forecast.forecast_point.run_id IS 'The run, and so the publication, that issued it.';
COMMENT ON COLUMN forecast.forecast_point.series_id IS 'The series, as in forecast.series.';
COMMENT ON COLUMN forecast.forecast_point.issued_at IS 'As publication.issued_at.';
COMMENT ON COLUMN forecast.forecast_point.target_at IS 'The time the forecast is for; NULL for integer steps.';
COMMENT ON COLUMN forecast.forecast_point.target_index IS 'The integer step it is for; NULL for calendar series.';
COMMENT ON COLUMN forecast.forecast_point.mean IS 'Mean of the forecast distribution, in the units of the data.';
COMMENT ON COLUMN forecast.forecast_point.step IS 'Steps after the last observation of the series: 1 to the horizon and, for a series that ends before the others, counted from its own end.';
COMMENT ON COLUMN forecast.forecast_point.quantiles IS 'Quantiles at the levels of the publication''s grid, never decreasing.';

CREATE TABLE forecast.current_run (
  job_id    bigint NOT NULL,
  series_id bigint NOT NULL,
  run_id    bigint NOT NULL,
  PRIMARY KEY (job_id, series_id),
  FOREIGN KEY (job_id, series_id) REFERENCES forecast.series (job_id, series_id) ON DELETE CASCADE,
  FOREIGN KEY (job_id, run_id) REFERENCES forecast.publication (job_id, run_id)
) WITH (fillfactor = 80);
COMMENT ON TABLE forecast.current_run IS 'Which publication is in force for each series: the one of the latest cutoff and, among equals, the last. Switched in the publishing transaction.';
COMMENT ON COLUMN forecast.current_run.job_id IS 'The job.';
COMMENT ON COLUMN forecast.current_run.series_id IS 'The series.';
COMMENT ON COLUMN forecast.current_run.run_id IS 'The publication in force. A series that later runs could not forecast keeps its last one.';

-- Partitions are attached, not created as such, so that readers are not blocked.
CREATE FUNCTION forecast.ensure_partition(at timestamptz) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
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
COMMENT ON FUNCTION forecast.ensure_partition(timestamptz) IS 'Makes sure that the monthly partition of forecast_point (UTC months) for an instant exists; returns its name.';

CREATE FUNCTION forecast.refuse_change() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RAISE EXCEPTION 'rows of forecast.% are immutable once written', TG_TABLE_NAME
    USING ERRCODE = 'restrict_violation', HINT = 'Publish a new run instead.';
END
$$;
COMMENT ON FUNCTION forecast.refuse_change() IS 'Trigger that refuses UPDATE of what has been issued.';
CREATE TRIGGER immutable BEFORE UPDATE ON forecast.forecast_point
  FOR EACH ROW EXECUTE FUNCTION forecast.refuse_change();
CREATE TRIGGER immutable BEFORE UPDATE ON forecast.publication
  FOR EACH ROW EXECUTE FUNCTION forecast.refuse_change();
CREATE TRIGGER immutable BEFORE UPDATE ON forecast.job_version
  FOR EACH ROW EXECUTE FUNCTION forecast.refuse_change();

-- Points come only from the transaction that makes their publication.
CREATE FUNCTION forecast.refuse_unpublished() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
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
COMMENT ON FUNCTION forecast.refuse_unpublished() IS 'Trigger that lets points in only together with their publication.';
CREATE TRIGGER published_together BEFORE INSERT ON forecast.forecast_point
  FOR EACH STATEMENT EXECUTE FUNCTION forecast.refuse_unpublished();

RESET ROLE;

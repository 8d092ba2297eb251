-- Roles, jobs and their schedule.
-- Why: everything else refers to a job and to the version of it that ran.
-- Locks: only new objects; the schema's owner changes once. Needs CREATEROLE (or the roles made beforehand).

DO $$
DECLARE
  wanted text;
BEGIN
  FOREACH wanted IN ARRAY ARRAY['forecast_owner', 'forecast_worker', 'forecast_operator', 'forecast_reader'] LOOP
    BEGIN
      IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = wanted) THEN
        EXECUTE format('CREATE ROLE %I NOLOGIN', wanted);
      END IF;
    EXCEPTION
      WHEN duplicate_object OR unique_violation THEN NULL; -- another migration made it just now
      WHEN insufficient_privilege THEN
        RAISE EXCEPTION 'role "%" does not exist and "%" may not create it', wanted, current_user
          USING HINT = format('Ask an administrator for: CREATE ROLE %I NOLOGIN; GRANT %I TO %I;', wanted, wanted, current_user);
    END;
  END LOOP;
  IF NOT (SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user) THEN
    FOREACH wanted IN ARRAY ARRAY['forecast_owner', 'forecast_worker', 'forecast_operator'] LOOP
      IF NOT pg_catalog.pg_has_role(current_user, wanted, 'MEMBER') THEN
        EXECUTE format('GRANT %I TO %I', wanted, current_user);
      END IF;
    END LOOP;
  END IF;
END
$$;

-- An operator may read what readers read, a worker may do what operators do.
DO $$
BEGIN
  IF NOT pg_catalog.pg_has_role('forecast_operator', 'forecast_reader', 'MEMBER') THEN
    GRANT forecast_reader TO forecast_operator;
  END IF;
  IF NOT pg_catalog.pg_has_role('forecast_worker', 'forecast_operator', 'MEMBER') THEN
    GRANT forecast_operator TO forecast_worker;
  END IF;
END
$$;

CREATE SCHEMA IF NOT EXISTS forecast;
ALTER SCHEMA forecast OWNER TO forecast_owner;
DO $$
BEGIN
  IF to_regclass('forecast.schema_migration') IS NOT NULL THEN
    ALTER TABLE forecast.schema_migration OWNER TO forecast_owner;
  END IF;
END
$$;
REVOKE ALL ON SCHEMA forecast FROM PUBLIC;
SET ROLE forecast_owner;

COMMENT ON SCHEMA forecast IS
  'Forecasts beside the data. Read forecast.current, forecast.long, forecast.asof(), forecast.status and forecast.lineage; steer with forecast.run_now(), cancel(), retry(), pause() and resume().';

-- For the whole database: privileges revoked for one schema do not touch the built-in grant to PUBLIC.
ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;

CREATE TABLE forecast.job (
  job_id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  name            text NOT NULL UNIQUE CHECK (name ~ '^[a-z0-9][a-z0-9._-]{0,62}$'),
  current_version integer NOT NULL CHECK (current_version >= 1),
  schedule        text,
  timezone        text NOT NULL,
  paused_at       timestamptz,
  next_due_at     timestamptz,
  scheduled_from  timestamptz,
  created_at      timestamptz NOT NULL DEFAULT now(),
  CHECK (schedule IS NOT NULL OR next_due_at IS NULL),
  CHECK ((schedule IS NULL) = (scheduled_from IS NULL))
);
COMMENT ON TABLE forecast.job IS 'One row per job, by its unique name. What it does is in job_version.';
COMMENT ON COLUMN forecast.job.job_id IS 'Surrogate key; never reused.';
COMMENT ON COLUMN forecast.job.name IS 'The name in the job file (job:), lower case, unique.';
COMMENT ON COLUMN forecast.job.current_version IS 'The version new runs use: the highest in job_version. Changed by forecastctl apply.';
COMMENT ON COLUMN forecast.job.schedule IS 'Five-field cron expression or @daily and so on; NULL for a job that only runs when asked.';
COMMENT ON COLUMN forecast.job.timezone IS 'IANA time zone in which the schedule and the calendar of the series are understood.';
COMMENT ON COLUMN forecast.job.paused_at IS 'Set by forecast.pause(), cleared by forecast.resume(); NULL while the schedule is in force.';
COMMENT ON COLUMN forecast.job.next_due_at IS 'The next instant at which the schedule is due, kept by the scheduler; NULL without a schedule, or before the scheduler first saw the job.';
COMMENT ON COLUMN forecast.job.scheduled_from IS 'Instants up to and including this one are settled (each has its schedule_tick row). Set to the time of apply when a schedule appears or changes; NULL without a schedule.';
COMMENT ON COLUMN forecast.job.created_at IS 'When the job was first applied.';

CREATE TABLE forecast.job_version (
  job_id      bigint NOT NULL REFERENCES forecast.job ON DELETE CASCADE,
  version     integer NOT NULL CHECK (version >= 1),
  definition  jsonb NOT NULL CHECK (jsonb_typeof(definition) = 'object'),
  source_text text NOT NULL,
  digest      bytea NOT NULL CHECK (octet_length(digest) = 32),
  created_at  timestamptz NOT NULL DEFAULT now(),
  created_by  text NOT NULL DEFAULT session_user,
  PRIMARY KEY (job_id, version)
);
COMMENT ON TABLE forecast.job_version IS 'Every definition a job ever had; rows are never changed. A run names the version it used.';
COMMENT ON COLUMN forecast.job_version.job_id IS 'The job.';
COMMENT ON COLUMN forecast.job_version.version IS '1, 2, 3, ... in the order of apply; an unchanged file makes no new version.';
COMMENT ON COLUMN forecast.job_version.definition IS 'The definition with all defaults filled in.';
COMMENT ON COLUMN forecast.job_version.source_text IS 'The job file as it was applied, comments included.';
COMMENT ON COLUMN forecast.job_version.digest IS 'SHA-256 of the canonical definition: comments and the order of keys do not count.';
COMMENT ON COLUMN forecast.job_version.created_at IS 'When this version was applied.';
COMMENT ON COLUMN forecast.job_version.created_by IS 'The database user who applied it.';

ALTER TABLE forecast.job ADD CONSTRAINT job_current_version_fkey
  FOREIGN KEY (job_id, current_version) REFERENCES forecast.job_version (job_id, version)
  DEFERRABLE INITIALLY DEFERRED;

RESET ROLE;

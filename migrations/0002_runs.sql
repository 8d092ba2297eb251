-- Runs, the tasks they are made of, attempts with their leases, and what happened on the way.
-- Why: the queue. A task is claimed with FOR UPDATE SKIP LOCKED; an attempt holds a lease and a token.
-- Locks: only new objects.

SET ROLE forecast_owner;

CREATE TABLE forecast.run (
  run_id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  job_id              bigint NOT NULL REFERENCES forecast.job ON DELETE RESTRICT,
  job_version         integer NOT NULL,
  trigger_kind       text NOT NULL CHECK (trigger_kind IN ('schedule', 'manual', 'sql')),
  cutoff_at           timestamptz,
  cutoff_index        bigint,
  state               text NOT NULL DEFAULT 'queued'
                      CHECK (state IN ('queued', 'running', 'retryable', 'succeeded', 'failed', 'cancelled')),
  queued_at           timestamptz NOT NULL DEFAULT now(),
  started_at          timestamptz,
  finished_at         timestamptz,
  cancel_requested_at timestamptz,
  stage               text,
  progress            double precision CHECK (progress BETWEEN 0 AND 1),
  series_total        bigint CHECK (series_total >= 0),
  series_ok           bigint CHECK (series_ok >= 0),
  series_failed       bigint CHECK (series_failed >= 0),
  error_code          text,
  error_text          text,
  FOREIGN KEY (job_id, job_version) REFERENCES forecast.job_version (job_id, version),
  CONSTRAINT run_one_cutoff CHECK (num_nonnulls(cutoff_at, cutoff_index) = 1),
  CONSTRAINT run_finished_when_ended
    CHECK ((state IN ('succeeded', 'failed', 'cancelled')) = (finished_at IS NOT NULL)),
  CONSTRAINT run_started_when_running
    CHECK (state NOT IN ('running', 'retryable', 'succeeded') OR started_at IS NOT NULL),
  CONSTRAINT run_failed_says_why
    CHECK (state NOT IN ('failed', 'retryable') OR (error_code IS NOT NULL AND error_text IS NOT NULL)),
  CONSTRAINT run_counts_add_up
    CHECK (series_ok IS NULL OR series_failed IS NULL OR series_total = series_ok + series_failed)
) WITH (fillfactor = 80);
CREATE UNIQUE INDEX run_one_running_per_job ON forecast.run (job_id) WHERE state = 'running';
CREATE INDEX run_by_job ON forecast.run (job_id, run_id DESC);
CREATE INDEX run_unfinished ON forecast.run (job_id) WHERE finished_at IS NULL;
COMMENT ON TABLE forecast.run IS 'One execution of one version of a job for one cutoff.';
COMMENT ON COLUMN forecast.run.run_id IS 'The number that forecastctl shows and takes.';
COMMENT ON COLUMN forecast.run.job_id IS 'The job.';
COMMENT ON COLUMN forecast.run.job_version IS 'The version of the job''s definition that this run uses.';
COMMENT ON COLUMN forecast.run.trigger_kind IS 'Who asked: schedule, manual (forecastctl run) or sql (forecast.run_now()).';
COMMENT ON COLUMN forecast.run.cutoff_at IS 'Value bound to :cutoff, the last instant whose observations are used; NULL for series without a calendar.';
COMMENT ON COLUMN forecast.run.cutoff_index IS 'The same for integer steps; NULL for calendar series. The largest bigint means no cutoff.';
COMMENT ON COLUMN forecast.run.state IS 'queued, running, retryable (an attempt failed or was lost and another will follow), succeeded, failed or cancelled.';
COMMENT ON COLUMN forecast.run.queued_at IS 'When the run was asked for.';
COMMENT ON COLUMN forecast.run.started_at IS 'When a worker first claimed it; NULL before.';
COMMENT ON COLUMN forecast.run.finished_at IS 'When it succeeded, failed for good or was cancelled; NULL until then.';
COMMENT ON COLUMN forecast.run.cancel_requested_at IS 'When forecast.cancel() was called on a running run; the worker stops at its next heartbeat.';
COMMENT ON COLUMN forecast.run.stage IS 'What the worker is doing now: read, fit, predict or publish; the last one reached once finished.';
COMMENT ON COLUMN forecast.run.progress IS 'Fraction of the work done, 0 to 1; NULL before the first report.';
COMMENT ON COLUMN forecast.run.series_total IS 'Series that the source query returned; NULL until it was read.';
COMMENT ON COLUMN forecast.run.series_ok IS 'Series that got a forecast; NULL until published.';
COMMENT ON COLUMN forecast.run.series_failed IS 'Series that got none; why is in series_verdict. NULL until published.';
COMMENT ON COLUMN forecast.run.error_code IS 'Code of the last failed attempt, stable for programs; NULL when none failed.';
COMMENT ON COLUMN forecast.run.error_text IS 'One sentence on the last failure and what to do; NULL when none failed.';

CREATE TABLE forecast.schedule_tick (
  job_id      bigint NOT NULL REFERENCES forecast.job ON DELETE CASCADE,
  due_at      timestamptz NOT NULL,
  outcome     text NOT NULL
              CHECK (outcome IN ('ran', 'late', 'caught-up', 'skipped-overlap', 'skipped-missed', 'skipped-paused')),
  dst_shifted boolean NOT NULL DEFAULT false,
  run_id      bigint REFERENCES forecast.run ON DELETE SET NULL,
  decided_at  timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (job_id, due_at),
  CHECK (run_id IS NULL OR outcome IN ('ran', 'late', 'caught-up'))
);
COMMENT ON TABLE forecast.schedule_tick IS 'One row for every instant at which a schedule was due, with what became of it.';
COMMENT ON COLUMN forecast.schedule_tick.job_id IS 'The job.';
COMMENT ON COLUMN forecast.schedule_tick.due_at IS 'The due instant; with the job the key, so no instant is decided twice.';
COMMENT ON COLUMN forecast.schedule_tick.outcome IS 'ran (on time), late (more than a minute), caught-up (missed while no daemon ran), or why it was skipped: overlap with an unfinished run, missed (catchUp policy), paused.';
COMMENT ON COLUMN forecast.schedule_tick.dst_shifted IS 'True when the local time did not exist that day and the run moved to the end of the gap.';
COMMENT ON COLUMN forecast.schedule_tick.run_id IS 'The run it made; NULL when skipped.';
COMMENT ON COLUMN forecast.schedule_tick.decided_at IS 'When the scheduler decided.';

CREATE TABLE forecast.task (
  task_id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  run_id       bigint NOT NULL REFERENCES forecast.run ON DELETE CASCADE,
  kind         text NOT NULL CHECK (kind IN ('forecast')),
  state        text NOT NULL DEFAULT 'queued'
               CHECK (state IN ('queued', 'running', 'retryable', 'succeeded', 'failed', 'cancelled')),
  not_before   timestamptz NOT NULL DEFAULT now(),
  attempts     integer NOT NULL DEFAULT 0 CHECK (attempts >= 0),
  max_attempts integer NOT NULL DEFAULT 3 CHECK (max_attempts >= 1),
  UNIQUE (run_id, kind)
) WITH (fillfactor = 80);
CREATE INDEX task_claimable ON forecast.task (not_before, task_id) WHERE state IN ('queued', 'retryable');
COMMENT ON TABLE forecast.task IS 'A unit of work that one worker claims. A run has one task of kind forecast: read, fit, predict and publish.';
COMMENT ON COLUMN forecast.task.task_id IS 'Surrogate key; claims go in its order.';
COMMENT ON COLUMN forecast.task.run_id IS 'The run it belongs to.';
COMMENT ON COLUMN forecast.task.kind IS 'What is to be done.';
COMMENT ON COLUMN forecast.task.state IS 'As run.state.';
COMMENT ON COLUMN forecast.task.not_before IS 'Not claimed earlier than this: the back-off after a failed attempt.';
COMMENT ON COLUMN forecast.task.attempts IS 'Attempts made so far.';
COMMENT ON COLUMN forecast.task.max_attempts IS 'After this many the task fails; forecast.retry() allows three more.';

CREATE TABLE forecast.attempt (
  attempt_id   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  task_id      bigint NOT NULL REFERENCES forecast.task ON DELETE CASCADE,
  number       integer NOT NULL CHECK (number >= 1),
  token        uuid NOT NULL UNIQUE DEFAULT gen_random_uuid(),
  worker       text NOT NULL,
  host         text NOT NULL,
  pid          integer NOT NULL,
  build        text NOT NULL,
  started_at   timestamptz NOT NULL DEFAULT now(),
  heartbeat_at timestamptz NOT NULL DEFAULT now(),
  lease_until  timestamptz NOT NULL,
  finished_at  timestamptz,
  outcome      text NOT NULL DEFAULT 'running'
               CHECK (outcome IN ('running', 'succeeded', 'failed', 'lost', 'cancelled', 'released')),
  error_code   text,
  error_text   text,
  UNIQUE (task_id, number),
  CONSTRAINT attempt_finished_when_ended CHECK ((outcome = 'running') = (finished_at IS NULL)),
  CONSTRAINT attempt_failed_says_why
    CHECK (outcome <> 'failed' OR (error_code IS NOT NULL AND error_text IS NOT NULL))
) WITH (fillfactor = 80);
CREATE UNIQUE INDEX attempt_one_running_per_task ON forecast.attempt (task_id) WHERE outcome = 'running';
CREATE INDEX attempt_leases ON forecast.attempt (lease_until) WHERE outcome = 'running';
COMMENT ON TABLE forecast.attempt IS 'One worker''s try at a task. Everything it writes carries its token; a stale token is refused.';
COMMENT ON COLUMN forecast.attempt.attempt_id IS 'Surrogate key.';
COMMENT ON COLUMN forecast.attempt.task_id IS 'The task; at most one attempt of it is running.';
COMMENT ON COLUMN forecast.attempt.number IS '1, 2, 3, ... within the task.';
COMMENT ON COLUMN forecast.attempt.token IS 'Proof of the lease; new for each attempt.';
COMMENT ON COLUMN forecast.attempt.worker IS 'Name of the worker within its process.';
COMMENT ON COLUMN forecast.attempt.host IS 'Host name of the worker.';
COMMENT ON COLUMN forecast.attempt.pid IS 'Process id of the worker on its host.';
COMMENT ON COLUMN forecast.attempt.build IS 'Version of the program.';
COMMENT ON COLUMN forecast.attempt.started_at IS 'When the task was claimed.';
COMMENT ON COLUMN forecast.attempt.heartbeat_at IS 'Last sign of life.';
COMMENT ON COLUMN forecast.attempt.lease_until IS 'When the attempt counts as lost unless another heartbeat comes.';
COMMENT ON COLUMN forecast.attempt.finished_at IS 'When it ended; NULL while running.';
COMMENT ON COLUMN forecast.attempt.outcome IS 'running, succeeded, failed, lost (lease ran out), cancelled, or released (the worker was told to stop).';
COMMENT ON COLUMN forecast.attempt.error_code IS 'Stable code of the failure; NULL unless failed.';
COMMENT ON COLUMN forecast.attempt.error_text IS 'One sentence on the failure; NULL unless failed.';

CREATE TABLE forecast.run_event (
  run_id  bigint NOT NULL REFERENCES forecast.run ON DELETE CASCADE,
  number  bigint GENERATED ALWAYS AS IDENTITY,
  at      timestamptz NOT NULL DEFAULT clock_timestamp(),
  level   text NOT NULL CHECK (level IN ('info', 'warning', 'error')),
  stage   text NOT NULL,
  message text NOT NULL,
  PRIMARY KEY (run_id, number)
);
COMMENT ON TABLE forecast.run_event IS 'What happened during a run, in order: forecastctl logs RUN prints it. Holds no values of the data and no secret.';
COMMENT ON COLUMN forecast.run_event.run_id IS 'The run.';
COMMENT ON COLUMN forecast.run_event.number IS 'Grows with time; ties the order.';
COMMENT ON COLUMN forecast.run_event.at IS 'When it happened, by the database''s clock.';
COMMENT ON COLUMN forecast.run_event.level IS 'info, warning or error.';
COMMENT ON COLUMN forecast.run_event.stage IS 'queue, read, fit, predict or publish.';
COMMENT ON COLUMN forecast.run_event.message IS 'One sentence.';

RESET ROLE;

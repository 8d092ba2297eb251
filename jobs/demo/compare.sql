-- Forecasts joined with the actuals that were held out, beside SeasonalNaive on the same points.
-- MASE divides by the mean absolute seasonal difference of the history up to the cutoff, series by series.
-- A day before is the same local time, also across a change of the clock.
SET timezone = 'UTC';
SET client_min_messages = warning;

CREATE TEMPORARY TABLE actual AS
  SELECT 'air-passengers' AS job, 'UTC' AS zone, series, ts::timestamptz AS at, value,
         interval '1 year' AS season, 12 AS steps
  FROM demo.air_passengers
UNION ALL
  SELECT 'm3-monthly', 'UTC', series, ts::timestamptz, value, interval '1 year', 12 FROM demo.m3_monthly
UNION ALL
  SELECT 'm3-monthly', 'UTC', series, ts::timestamptz, value, interval '1 year', 12 FROM demo.m3_monthly_held_out
UNION ALL
  SELECT 'paris-mobility', 'Europe/Paris', series, ts, value, interval '1 day', 48 FROM demo.paris_mobility;
CREATE UNIQUE INDEX ON actual (job, series, at);
ANALYZE actual;

CREATE TEMPORARY TABLE issued AS
SELECT job, series, target_at, step, p10, p50, p90,
       min(target_at) OVER (PARTITION BY job, series) AS first_target
FROM forecast.current;
ANALYZE issued;

WITH scale AS (
  SELECT h.job, h.series, avg(abs(h.value - before.value)) AS seasonal_difference
  FROM (SELECT DISTINCT job, series, first_target FROM issued) f
  JOIN actual h ON h.job = f.job AND h.series = f.series AND h.at < f.first_target
  JOIN actual before ON before.job = h.job AND before.series = h.series AND before.at = (h.at AT TIME ZONE h.zone - h.season) AT TIME ZONE h.zone
  GROUP BY h.job, h.series
), point AS (
  SELECT f.job, f.series, a.value AS actual, f.p50 AS lstm, naive.value AS seasonal_naive,
         a.value BETWEEN f.p10 AND f.p90 AS covered
  FROM issued f
  JOIN actual a ON a.job = f.job AND a.series = f.series AND a.at = f.target_at
  -- SeasonalNaive repeats the last season that was known at the cutoff.
  JOIN actual naive ON naive.job = f.job AND naive.series = f.series
   AND naive.at = (f.target_at AT TIME ZONE a.zone - ((f.step + a.steps - 1) / a.steps) * a.season)
                  AT TIME ZONE a.zone
), per_series AS (
  SELECT job, series, count(*) AS points,
         avg(200 * abs(actual - lstm) / (abs(actual) + abs(lstm))) AS smape,
         avg(200 * abs(actual - seasonal_naive) / (abs(actual) + abs(seasonal_naive))) AS smape_naive,
         avg(abs(actual - lstm)) AS mae, avg(abs(actual - seasonal_naive)) AS mae_naive,
         avg(covered::int) AS coverage
  FROM point GROUP BY job, series
)
SELECT job, count(*) AS series, sum(points) AS points,
       round(avg(smape)::numeric, 2) AS "sMAPE LSTM", round(avg(smape_naive)::numeric, 2) AS "sMAPE SeasonalNaive",
       round(avg(mae / seasonal_difference)::numeric, 3) AS "MASE LSTM",
       round(avg(mae_naive / seasonal_difference)::numeric, 3) AS "MASE SeasonalNaive",
       round(100 * avg(coverage)::numeric, 1) AS "80 % coverage"
FROM per_series JOIN scale USING (job, series)
GROUP BY job ORDER BY job;

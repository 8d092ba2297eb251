-- Forecasts joined with the actuals that were held out, beside SeasonalNaive on the same points.
SET timezone = 'UTC';
-- MASE divides by the mean absolute seasonal difference of the history up to the cutoff.
WITH actual AS (
  SELECT 'air-passengers' AS job, series, ts::timestamptz AS at, value, 12 AS season FROM demo.air_passengers
  UNION ALL
  SELECT 'm3-monthly', series, ts::timestamptz, value, 12 FROM demo.m3_monthly
  UNION ALL
  SELECT 'm3-monthly', series, ts::timestamptz, value, 12 FROM demo.m3_monthly_held_out
  UNION ALL
  SELECT 'paris-mobility', series, ts, value, 48 FROM demo.paris_mobility
), forecast AS (
  SELECT c.job, c.series, c.target_at, c.step, c.p50, c.p10, c.p90,
         min(c.target_at) OVER (PARTITION BY c.job, c.series) AS first_target
  FROM forecast.current c
), scale AS (
  -- One denominator per series, from its history alone.
  SELECT h.job, h.series, avg(abs(h.value - p.value)) AS mase_scale
  FROM actual h
  JOIN (SELECT DISTINCT job, series, first_target FROM forecast) f USING (job, series)
  JOIN actual p ON p.job = h.job AND p.series = h.series
   AND p.at = CASE h.season WHEN 12 THEN h.at - interval '1 year' ELSE h.at - interval '1 day' END
  WHERE h.at < f.first_target
  GROUP BY h.job, h.series
), point AS (
  SELECT f.job, f.series, a.value AS actual, f.p50 AS lstm, n.value AS seasonal_naive,
         a.value BETWEEN f.p10 AND f.p90 AS covered, s.mase_scale
  FROM forecast f
  JOIN actual a ON a.job = f.job AND a.series = f.series AND a.at = f.target_at
  JOIN scale s ON s.job = f.job AND s.series = f.series
  -- SeasonalNaive: the same step of the last season that was known at the cutoff.
  JOIN actual n ON n.job = f.job AND n.series = f.series
   AND n.at = CASE a.season WHEN 12 THEN f.target_at - ((f.step + 11) / 12) * interval '1 year'
                            ELSE f.target_at - ((f.step + 47) / 48) * interval '1 day' END
), per_series AS (
  SELECT job, series, count(*) AS points,
         avg(200 * abs(actual - lstm) / (abs(actual) + abs(lstm))) AS smape,
         avg(200 * abs(actual - seasonal_naive) / (abs(actual) + abs(seasonal_naive))) AS smape_naive,
         avg(abs(actual - lstm)) / min(mase_scale) AS mase,
         avg(abs(actual - seasonal_naive)) / min(mase_scale) AS mase_naive,
         avg(covered::int) AS coverage
  FROM point GROUP BY job, series
)
SELECT job, count(*) AS series, sum(points) AS points,
       round(avg(smape)::numeric, 2) AS "sMAPE LSTM",
       round(avg(smape_naive)::numeric, 2) AS "sMAPE SeasonalNaive",
       round(avg(mase)::numeric, 3) AS "MASE LSTM",
       round(avg(mase_naive)::numeric, 3) AS "MASE SeasonalNaive",
       round(100 * avg(coverage)::numeric, 1) AS "80 % coverage"
FROM per_series GROUP BY job ORDER BY job;

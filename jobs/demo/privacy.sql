-- What private runs were charged, and what is left.
\echo What is left of every account
SELECT account, unit, unit_steps, block_period, worst_block, epsilon_limit, round(epsilon_spent, 4) AS spent,
       round(epsilon_left, 4) AS "left", delta, runs
FROM forecast.privacy_accounts ORDER BY account;
\echo What was spent, by which run
SELECT account, block, number, job, run_id, state, round(noise_multiplier::numeric, 4) AS noise,
       round(sampling_rate::numeric, 4) AS rate, steps, round(epsilon, 4) AS alone, round(composed_epsilon, 4) AS total
FROM forecast.privacy_charges ORDER BY account, block, number;

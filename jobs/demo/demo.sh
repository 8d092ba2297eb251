#!/bin/sh
# The main job on real data, on a private PostgreSQL: load, apply, run, look. Safe to run again.
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
root=$(CDPATH='' cd -- "$here/../.." && pwd)
ctl=${FORECASTCTL:-$root/.build/release/forecastctl}

# The demo has a cluster of its own and leaves a configured database alone.
unset FORECAST_DATABASE_URL PGHOST PGHOSTADDR PGPORT PGDATABASE PGUSER PGSERVICE PGPASSWORD
if [ -z "${FORECAST_DATA_DIR:-}" ]; then
  if [ "$(id -u)" = 0 ]; then
    FORECAST_DATA_DIR=/var/lib/forecast-demo
  else
    FORECAST_DATA_DIR=${XDG_DATA_HOME:-$HOME/.local/share}/forecast-demo
  fi
  export FORECAST_DATA_DIR
fi

say() { printf '\n== %s\n' "$*"; }

say "A private PostgreSQL under $FORECAST_DATA_DIR"
"$ctl" db start
"$ctl" migrate

"$ctl" db psql -- -q -c "CREATE SCHEMA IF NOT EXISTS demo"

say "Three real data sets into tables of the schema demo"
"$ctl" load "$here/data/AirPassengers.csv" --table demo.air_passengers --replace \
  --series unique_id --time ds --value y
"$ctl" load "$here/data/m3-monthly-200-train.csv.gz" --table demo.m3_monthly --replace \
  --series unique_id --time ds --value y
"$ctl" load "$here/data/m3-monthly-200-test.csv.gz" --table demo.m3_monthly_held_out --replace \
  --series unique_id --time ds --value y
"$ctl" load "$here/data/mobility-paris.csv.gz" --table demo.paris_mobility --replace \
  --wide --time Date --time Hour --timezone Europe/Paris

say "The jobs of $root/jobs"
"$ctl" validate "$root/jobs"
"$ctl" apply "$root/jobs"

say "Fit and forecast, with the last year, 18 months and week held out"
"$ctl" run air-passengers --cutoff 1959-12-31 --wait
"$ctl" run m3-monthly --wait
"$ctl" run paris-mobility --cutoff '2020-10-28 23:59' --wait

say "forecastctl status"
"$ctl" status || [ $? -eq 3 ]   # 3: no daemon runs, which is how the demo works

say "forecastctl forecast air-passengers --plot"
"$ctl" forecast air-passengers --plot

say "SQL over forecast.current, joined with what was held out (jobs/demo/compare.sql)"
"$ctl" db psql -- -q -f "$here/compare.sql"

cat <<'END'

The cluster keeps running. Look around:   forecastctl db psql
                                          SELECT * FROM forecast.current LIMIT 5;
Stop it:                                  forecastctl db stop
END

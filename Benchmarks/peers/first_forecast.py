"""AirPassengers with neuralforecast from a cold start: import, read, fit an LSTM, forecast 12 months.

    python first_forecast.py FILE.csv STEPS

Prints one JSON object: rows, seconds, rss_mb. Seconds count from the start of the process.
"""

import json
import logging
import os
import resource
import sys
import time

with open("/proc/self/stat") as stat:
    ticks = int(stat.read().rsplit(")", 1)[1].split()[19])
with open("/proc/uptime") as uptime:
    before = float(uptime.read().split()[0]) - ticks / os.sysconf("SC_CLK_TCK")
began = time.monotonic() - max(before, 0)

import pandas  # noqa: E402
from neuralforecast import NeuralForecast  # noqa: E402
from neuralforecast.losses.pytorch import MQLoss  # noqa: E402
from neuralforecast.models import LSTM  # noqa: E402

logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
data = pandas.read_csv(sys.argv[1])
data["ds"] = pandas.to_datetime(data["ds"])
model = LSTM(
    h=12, input_size=24, encoder_hidden_size=16, encoder_n_layers=1, max_steps=int(sys.argv[2]),
    loss=MQLoss(quantiles=[0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95]), enable_progress_bar=False,
    logger=False, enable_checkpointing=False, enable_model_summary=False)
forecaster = NeuralForecast(models=[model], freq="MS")
forecaster.fit(data[data["ds"] < "1960-01-01"])
rows = len(forecaster.predict())
seconds = time.monotonic() - began
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps({"rows": rows, "seconds": round(seconds, 3), "rss_mb": round(peak, 1)}))

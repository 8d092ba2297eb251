"""Reads a table the way most Python pipelines do: pandas.read_sql over psycopg (through SQLAlchemy).

    read_with_pandas.py SOCKET_DIRECTORY PORT USER DATABASE "SELECT …"

Prints one JSON object: rows, seconds, peak resident memory in MB.
"""

import json
import resource
import sys
import time

import pandas
import sqlalchemy

host, port, user, database, query = sys.argv[1:6]
engine = sqlalchemy.create_engine(
    f"postgresql+psycopg://{user}@/{database}?host={host}&port={port}"
)
begin = time.monotonic()
with engine.connect() as connection:
    frame = pandas.read_sql(sqlalchemy.text(query), connection)
seconds = time.monotonic() - begin
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps({"rows": len(frame), "seconds": round(seconds, 3), "rss_mb": round(peak, 1)}))

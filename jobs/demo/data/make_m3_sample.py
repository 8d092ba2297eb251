"""Cuts the M3 monthly sample of the demo out of the whole collection.

    python3 make_m3_sample.py SOURCE_DIRECTORY

SOURCE_DIRECTORY holds m3-monthly-train.csv.gz and m3-monthly-test.csv.gz, columns unique_id,ds,y. Of
the dated series, in the order of the file, it takes those numbered floor(i * n / 200), i = 0 to 199,
counted from 0, and writes both parts here with every line unchanged.
"""

import gzip
import os
import sys

COUNT = 200


def lines(path):
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        header = next(file)
        return header, list(file)


def main(source):
    target = os.path.dirname(os.path.abspath(__file__))
    parts = {p: lines(os.path.join(source, f"m3-monthly-{p}.csv.gz")) for p in ("train", "test")}
    # A series without dates counts its steps: its "ds" is a number.
    dated = {}
    for line in parts["train"][1]:
        name, ds, _ = line.split(",")
        dated.setdefault(name, not ds.isdigit())
    names = [name for name, is_dated in dated.items() if is_dated]
    chosen = {names[i * len(names) // COUNT] for i in range(COUNT)}
    for part, (header, body) in parts.items():
        kept = [line for line in body if line.split(",", 1)[0] in chosen]
        path = os.path.join(target, f"m3-monthly-200-{part}.csv.gz")
        # No name and no time in the archive: the same input gives the same bytes.
        with open(path, "wb") as raw, gzip.GzipFile("", "wb", 9, raw, mtime=0) as file:
            file.write((header + "".join(kept)).encode("utf-8"))
        print(f"{path}: {len(chosen)} of {len(names)} dated series, {len(kept)} rows")


if __name__ == "__main__":
    main(sys.argv[1])

"""A process that answers requests, one JSON object a line: what the benchmarks of layers talk to."""

import json
import os
import subprocess
import sys

root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
bench = os.path.join(root, ".build/release/forecast-bench")
peers = os.path.join(root, ".build/peers/bin/python")


class Side:
    """A process that answers requests, kept for the whole run."""

    def __init__(self, command):
        self.command = command
        # Each side chooses its kernels itself.
        environment = {name: value for name, value in os.environ.items() if name != "OPENBLAS_CORETYPE"}
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)

    def ask(self, request):
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            sys.exit(f"{self.command[0]} ended on {request}")
        return json.loads(line)

    def close(self):
        self.process.stdin.close()
        self.process.wait(60)

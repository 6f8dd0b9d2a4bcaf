"""How a contender is spoken to: one JSON object a line on standard input, one a line back.

`load` prepares a measure and is not timed; each `run` does it once, says how long it took and what came out. Whatever a library
prints goes to standard error.
"""

import json
import os
import sys
import time


def serve(prepare):
    """`prepare(load)` gives a function that does the work once and returns lists of numbers by name, and versions by name. Of
    `logits` that is the first eight of row 0's last token; of `metric` one for each pair and cell."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", buffering=1)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    work = None
    for line in sys.stdin:
        request = json.loads(line)
        try:
            if request["do"] == "load":
                work, versions = prepare(request)
                answer = {"versions": versions, "peak": peak()}
            elif request["do"] == "forget":
                # 5 resets the peak resident set size, since Linux 4.0.
                with open("/proc/self/clear_refs", "w") as file:
                    file.write("5")
                answer = {"peak": peak()}
            else:
                start = time.perf_counter()
                values = work()
                answer = {"seconds": time.perf_counter() - start, "values": values, "peak": peak()}
        except Exception as error:  # The contender stays alive; the harness decides what to make of it.
            answer = {"error": f"{type(error).__name__}: {error}"}
        answers.write(json.dumps(answer) + "\n")


def peak():
    """Largest resident set so far in bytes; nothing off Linux."""
    try:
        with open("/proc/self/status") as file:
            return next(int(line.split()[1]) << 10 for line in file if line.startswith("VmHWM:"))
    except OSError:
        return None

#!/usr/bin/env python3
"""Times Candor against TransformerLens, nnsight and ONNX Runtime on the same weights, side by side in one run.

    python3 benchmarks/speed/run.py            # everything, about an hour on two cores
    python3 benchmarks/speed/run.py --quick    # one run of each, fewer measures
    python3 benchmarks/speed/run.py --list

Every contender is a process that stays alive and is told "run once" in turn, so that loading is not timed and a slow minute of the machine
meets all of them. What they computed is compared; a time whose numbers do not agree is reported as wrong. See README.md.
"""

import argparse
import datetime
import importlib.metadata
import json
import os
import platform
import random
import re
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(HERE))
# The id of a measure that is no sweep.
AUDITS = "memory.audits"
# Seconds between two runs.
PAUSE = 0.1

import audits
import measures
import models
import plot
import table


def main():
    arguments = parse()
    if arguments.list:
        for measure in measures.all_of(arguments):
            print(f"{measure.id:32} {measure.title}")
        print(f"{AUDITS:32} peak memory of whole audits against plain sessions")
        return
    require_packages()
    if not (arguments.worker and arguments.candor):
        built = build()
    worker, candor = arguments.worker or built / "examples" / "speed", arguments.candor or built / "candor"
    folder = models.default_folder()
    prepare(folder)
    context = Context(worker=worker, folder=folder, threads=arguments.threads, provider=arguments.provider, runtime=arguments.runtime or runtime_library())
    chosen = [m for m in measures.all_of(arguments) if not arguments.only or any(re.fullmatch(o, m.id) for o in arguments.only)]
    with_audits = arguments.provider == "cpu" and (not arguments.only or any(re.fullmatch(o, AUDITS) for o in arguments.only))
    if not chosen and not with_audits:
        sys.exit(f"no measure matches {' '.join(arguments.only)}; --list shows them")
    out = Path(arguments.out)
    out.mkdir(parents=True, exist_ok=True)
    record = {"date": str(datetime.date.today()), "machine": machine(arguments), "versions": {}, "runs": arguments.runs, "measures": []}
    if arguments.go_on and (out / "speed.json").exists():
        record = gone_on(json.loads((out / "speed.json").read_text()), record)
    known = {measure["id"] for measure in record["measures"]}
    for measure in (m for m in chosen if m.id not in known):
        print(f"{measure.id}: {measure.title}", flush=True)
        record["measures"].append(interleave(measure, context, arguments.runs, record["versions"]))
        # Written after each measure: an interrupted hour leaves what it has.
        write(record, out)
    if with_audits and "audits" not in record:
        print(AUDITS, flush=True)
        record["audits"] = audits.measure(candor, arguments.threads, context.runtime)
        write(record, out)
    for name, svg in plot.all_of(record):
        (out / f"{name}.svg").write_text(svg)
    print((out / "speed.md").read_text())
    if record["measures"] and (way := [f"{m['id']}: {m['way']}" for m in record["measures"] if m["way"]]):
        print("\n".join(way))
    wrong = [m["id"] for m in record["measures"] if m["agree"] is False]
    if wrong:
        sys.exit(f"numbers do not agree in: {', '.join(wrong)}")


def gone_on(found, record):
    """What an interrupted run has measured, if this one would measure the same."""
    for key in ("date", "machine", "runs"):
        # How busy the machine was is told of the first run.
        same = [{**of[key], "load_before": None} if key == "machine" else of[key] for of in (found, record)]
        if same[0] != same[1]:
            sys.exit(f"the folder holds a run with {key} {found[key]}, this one would have {record[key]}: give another --out")
    return found


def write(record, out):
    (out / "speed.json").write_text(json.dumps(record, indent=1) + "\n")
    (out / "speed.md").write_text(table.markdown(record))


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", default=[], metavar="REGEX", help="measures whose whole id matches")
    parser.add_argument("--runs", type=int, help="interleaved runs of each contender (default 5)")
    parser.add_argument("--quick", action="store_true", help="one run each, without the longest measures")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count())
    parser.add_argument("--provider", choices=["cpu", "cuda"], default="cpu", help="where Candor and ONNX Runtime run")
    parser.add_argument("--runtime", help="ONNX Runtime's library for Candor, if not the one in the Python package")
    parser.add_argument("--worker", type=Path, help="Candor's worker, if it is not to be built here")
    parser.add_argument("--candor", type=Path, help="the candor binary, if it is not to be built here")
    parser.add_argument("--go-on", action="store_true", help="keep the measures that --out holds already, and add those that it lacks")
    parser.add_argument("--out", default=ROOT / "benchmarks" / "results" / str(datetime.date.today()))
    parser.add_argument("--list", action="store_true", help="names the measures and ends")
    arguments = parser.parse_args()
    arguments.runs = arguments.runs or (1 if arguments.quick else 5)
    return arguments


def require_packages():
    missing = []
    for line in (HERE / "requirements.txt").read_text().split():
        package, pinned = line.split("==")
        try:
            found = importlib.metadata.version(package).split("+")[0]
        except importlib.metadata.PackageNotFoundError:
            found = None
        if found != pinned:
            missing.append(f"  {package}: {'missing' if found is None else found} (wanted {pinned})")
    if missing:
        sys.exit(
            "this Python lacks what the other contenders need:\n" + "\n".join(missing)
            + f"\n\nin a virtual environment:\n  python3 -m venv .venv && .venv/bin/pip install -r {HERE.relative_to(ROOT)}/requirements.txt"
            + f"\n  .venv/bin/python {HERE.relative_to(ROOT)}/run.py"
        )


def build():
    """The folder that holds the binary and the worker."""
    try:
        subprocess.run(["cargo", "build", "--release", "--locked", "--bin", "candor", "--example", "speed"], cwd=ROOT, check=True)
    except FileNotFoundError:
        sys.exit("no `cargo` on the path: install Rust (rustup.rs), or name what was built elsewhere with --worker and --candor")
    except subprocess.CalledProcessError:
        sys.exit("Candor could not be built: see cargo's message above")
    return Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release"


def prepare(folder):
    """Models and the SAE are made by processes of their own, so that this one keeps no memory from it."""
    for script in ("models.py", "saes.py"):
        subprocess.run([sys.executable, HERE / script], check=True, stdout=subprocess.DEVNULL, stderr=log("prepare"))


def runtime_library():
    """The library inside the Python package: Candor and the bare runtime are then the same build."""
    capi = Path(importlib.metadata.distribution("onnxruntime").locate_file("onnxruntime/capi"))
    return next((str(path) for path in sorted(capi.glob("libonnxruntime.so*")) + sorted(capi.glob("libonnxruntime*.dylib"))), None)


def machine(arguments):
    cpu = platform.processor()
    try:
        text = Path("/proc/cpuinfo").read_text()
        cpu = re.search(r"model name\s*:\s*(.+)", text).group(1)
    except (OSError, AttributeError):
        pass
    return {
        "cpu": cpu, "threads": arguments.threads, "system": platform.platform(), "python": platform.python_version(),
        "provider": arguments.provider, "load_before": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
    }


def log(name):
    folder = models.default_folder()
    folder.mkdir(parents=True, exist_ok=True)
    return open(folder / f"{name}.log", "a")


class Context:
    def __init__(self, **fields):
        self.__dict__.update(fields)


class Contender:
    """A process that does one measure."""

    def __init__(self, name, program, load, context):
        self.name = name
        command = [context.worker] if program == "candor" else [sys.executable, HERE / "contenders" / program]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log(name.replace(" ", "-")), text=True)
        self.loaded = self.answer({"do": "load", "threads": context.threads, **load})

    def answer(self, request):
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        return json.loads(line) if line else {"error": f"ended; its messages are in {models.default_folder()}"}

    def ask(self, request):
        answer = self.answer(request)
        if "error" in answer:
            raise SystemExit(f"{self.name}: {answer['error']}")
        return answer

    def end(self):
        self.process.stdin.close()
        self.process.wait()


def interleave(measure, context, runs, versions):
    contenders, failed = [], {}
    try:
        for name, program, load in measure.contenders(context):
            contender = Contender(name, program, load, context)
            if "error" in contender.loaded:
                if name == "Candor":
                    raise SystemExit(f"{name}: {contender.loaded['error']}")
                print(f"  {name}: not measured: {contender.loaded['error']}", flush=True)
                failed[name] = contender.loaded["error"]
                contender.end()
                continue
            contenders.append(contender)
            versions.update(contender.loaded["versions"])
        answers = {contender.name: [] for contender in contenders}
        order = random.Random(measure.id)
        for _ in range(1 if measure.memory else runs * measure.repeat):
            # Nobody always follows the same other.
            for contender in order.sample(contenders, len(contenders)):
                # Threads of the one before may still spin.
                time.sleep(PAUSE)
                if measure.memory:
                    contender.before = contender.ask({"do": "forget"})["peak"]
                answers[contender.name].append(contender.ask({"do": "run"}))
                print(f"  {contender.name}: {answers[contender.name][-1]['seconds']:.4f} s", flush=True)
    finally:
        for contender in contenders:
            contender.end()
    return {**measure.record(contenders, answers), "not_measured": failed}


if __name__ == "__main__":
    main()

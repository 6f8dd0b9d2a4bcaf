#!/usr/bin/env python3
"""What an audit of many items takes: memory at its peak, time, and the size of what it writes.

    run.py CANDOR [--items 1000 10000 100000] [--turns 3] [--model liar] [--out FILE]

Repeats the bundled contrast suite under fresh ids and groups until it has so many items, audits one bundled organism with it, every size
once a turn, and prints the medians. Needs Python's standard library, and Linux for the peak of memory.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ORGANISMS = ROOT / "benchmarks" / "organisms"


def suite(items: int, folder: Path) -> Path:
    """A suite of `items` items: copies of the bundled one, whose pairs stay pairs."""
    folder.mkdir(parents=True)
    shutil.copy(ORGANISMS / "suites" / "facts" / "suite.yaml", folder / "suite.yaml")
    source = [json.loads(line) for line in (ORGANISMS / "suites" / "facts" / "items.jsonl").open()]
    source = [item for item in source if item["condition"] in ("neutral", "trigger")]
    with (folder / "items.jsonl").open("w") as out:
        for copy in range(-(-items // len(source))):
            for item in source:
                named = {key: f"{item[key]}-{copy}" for key in ("id", "group", "pair") if key in item}
                out.write(json.dumps({**item, **named}) + "\n")
    return folder


def size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else sum(size(inner) for inner in path.iterdir())


def audit(candor: str, model: str, suites: list[Path], out: Path) -> dict:
    command = [candor, "audit", "--quiet", "--no-exit-codes", "--model", str(ORGANISMS / model / "model.onnx"), "--suite", *map(str, suites)]
    command += ["--detectors", str(ROOT / "detectors" / model), "--rules", str(ROOT / "rules" / "deception"), "--out", str(out)]
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    complaint = process.stderr.read().decode()
    _, status, usage = os.wait4(process.pid, 0)
    if os.waitstatus_to_exitcode(status) != 0:
        raise SystemExit(complaint)
    return {
        "seconds": time.perf_counter() - start,
        "peak_mb": usage.ru_maxrss / 1024,
        "page_mb": size(out / "report.html") / 1e6,
        "json_mb": size(out / "report.json") / 1e6,
        "evidence_mb": size(out / "evidence") / 1e6,
    }


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("candor")
    arguments.add_argument("--items", type=int, nargs="+", default=[1000, 10_000, 100_000])
    arguments.add_argument("--turns", type=int, default=3)
    arguments.add_argument("--model", default="liar")
    arguments.add_argument("--out", type=Path)
    given = arguments.parse_args()
    found: dict[int, list[dict]] = {items: [] for items in given.items}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        control = ORGANISMS / "suites" / "control"
        suites = {items: suite(items, folder / f"suite-{items}") for items in given.items}
        for _ in range(given.turns):
            for items in given.items:
                out = folder / "out"
                found[items].append(audit(given.candor, given.model, [suites[items], control], out))
                if given.out and items == given.items[-1]:
                    shutil.copy(out / "report.html", given.out)
                shutil.rmtree(out)
    print("| items | peak of memory, MB | seconds | page, MB | report.json, MB | evidence, MB |")
    print("|---|---|---|---|---|---|")
    for items, turns in found.items():
        median = {key: statistics.median(turn[key] for turn in turns) for key in turns[0]}
        print(f"| {items:,} | {median['peak_mb']:.0f} | {median['seconds']:.1f} | {median['page_mb']:.2f} | {median['json_mb']:.2f} | {median['evidence_mb']:.1f} |")


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Checks Candor on a machine with a GPU: the same numbers as on the processor, every product on the card, what crosses the bus, and how fast.

    python3 benchmarks/gpu/run.py --bin DIR                   # DIR holds `candor` and `speed`, built elsewhere
    python3 benchmarks/gpu/run.py --bin DIR --provider cpu    # a rehearsal without a GPU: the processor against itself

Needs Python's standard library and the two binaries (`cargo build --release --bin candor --example speed`, then `target/release/candor` and
`target/release/examples/speed`). ONNX Runtime for CUDA is fetched by Candor itself, or named with --runtime. The table of benchmarks/speed
follows where the packages of its requirements.txt are installed.
"""

import argparse
import datetime
import json
import math
import shutil
import struct
import subprocess
import sys
import tempfile
from array import array
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
# float32 on a card sums in another order; TF32 is off. Relative to the largest value of a tensor.
TOLERANCE = 1e-3
IDS = [[3, 14, 15, 9, 26, 5, 35, 8], [2, 7, 18, 28, 18, 28, 45, 90]]
PAIR = {"clean": IDS[0], "corrupt": IDS[1], "answer": 5, "foil": 9}
# What lies between the pieces of a model: brought to the host after each, as on the processor, or left on the card.
SWEEPS = ("resid_pre", "heads")
TIMES = 3


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", type=Path, default=ROOT / "target" / "release", help="folder with the binaries `candor` and `speed`")
    parser.add_argument("--provider", choices=["cuda", "cpu"], default="cuda")
    parser.add_argument("--runtime", type=Path, help="ONNX Runtime with CUDA, if Candor is not to fetch it")
    parser.add_argument("--model", type=Path, nargs="*", default=[], help="further folders with a model.onnx")
    parser.add_argument("--no-table", action="store_true", help="parity and placement only")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results" / f"{datetime.date.today()}-gpu")
    arguments = parser.parse_args()
    candor, worker = find(arguments.bin, "candor"), find(arguments.bin, "speed")
    card = gpu()
    lines = [f"# GPU, {datetime.date.today()}", "", f"{card or 'no GPU'}; provider {arguments.provider}.", ""]
    if arguments.provider == "cuda" and card is None:
        lines += ["**Not measured**: `nvidia-smi` names no card on this machine. Parity, placement and times on CUDA are unknown."]
        write(arguments.out, lines, None)
        sys.exit(1)

    organisms = [ROOT / "benchmarks" / "organisms" / name for name in ("liar", "clean", "decoy")]
    made = [ROOT / "target" / "benchmarks" / name for name in ("gpt2", "llama")]
    models = [folder for folder in [*organisms, *made, *arguments.model] if (folder / "model.onnx").exists()]
    record = {"card": card, "provider": arguments.provider, "models": []}
    lines += ["| Model | Tensor that differs most from the processor's | by, relative to its largest value | Patching map differs by | Where nodes run |", "|---|---|---|---|---|"]
    for folder in models:
        print(folder, flush=True)
        try:
            found = check(folder, candor, worker, arguments)
            worst, difference = found["worst"]
            lines.append(f"| {folder.name} | `{worst}` | {difference:.1e} {verdict(difference)} | {found['patch']:.1e} {verdict(found['patch'])} | {found['placement']} |")
        except RuntimeError as error:
            found = {"error": str(error)}
            lines.append(f"| {folder.name} | **not measured**: {str(error).splitlines()[0][:200]} | | | |")
        record["models"].append({"model": str(folder), **found})
        write(arguments.out, lines, record)

    lines += ["", *blocks(models, worker, arguments, record)]
    write(arguments.out, lines, record)
    if arguments.no_table:
        lines += ["", "The table of speeds was **not measured** (--no-table)."]
    else:
        speed = [sys.executable, ROOT / "benchmarks" / "speed" / "run.py", "--provider", arguments.provider, "--worker", worker, "--candor", candor]
        speed += ["--out", arguments.out] + (["--runtime", arguments.runtime] if arguments.runtime else [])
        if subprocess.run([str(part) for part in speed]).returncode:
            lines += ["", "The table of speeds was **not measured**, or not wholly: see the message above and `speed.md`."]
        else:
            lines += ["", "The table of speeds is in `speed.md`."]
    write(arguments.out, lines, record)
    failed = [entry for entry in record["models"] if "error" in entry or not max(entry["worst"][1], entry["patch"]) <= TOLERANCE]
    failed += [entry for entry in record["blocks"] if "error" in entry or not entry["differs"] <= TOLERANCE]
    sys.exit(1 if failed else 0)


def blocks(models, worker, arguments, record):
    """Sweeps block by block, with activations on the host and on the device, against the processor's. A piece whose products are left to
    the processor is refused by Candor, so that a row with numbers says that there is none."""
    record["blocks"] = []
    rehearsal = [] if arguments.provider == "cuda" else ["A rehearsal: the device is the processor's own memory. Times and bytes on a card are **not measured**.", ""]
    lines = [
        *rehearsal,
        f"Block by block on {arguments.provider}, median of {TIMES}; what crosses the bus in one sweep: deltas up, metrics down, and indices.", "",
        "| Model | Sweep | Metric differs by | On the host | On the device | Deltas up | Metrics and clean activations down | Indices up |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for folder in models:
        for sweep in SWEEPS:
            load = {"do": "load", "measure": sweep, "model": str(folder), "pairs": [PAIR]}
            own = {"cuda": arguments.provider == "cuda", "runtime": str(arguments.runtime) if arguments.runtime else None}
            entry = {"model": str(folder), "sweep": sweep}
            try:
                expected = swept(worker, {**load, "memory": "host"})
                host = swept(worker, {**load, **own, "memory": "host"})
                device = swept(worker, {**load, **own, "memory": "device"})
                entry["differs"] = max(apart(expected["metric"], found["metric"]) for found in (host, device))
                entry["seconds"] = {"host": host["seconds"], "device": device["seconds"]}
                entry["bytes"] = dict(zip(("up", "down", "indices"), device["traffic"]))
                times = " | ".join(f"{1e3 * found['seconds']:.1f} ms" for found in (host, device))
                moved = " | ".join(f"{number / 1024:.1f} KiB" for number in device["traffic"])
                lines.append(f"| {folder.name} | {sweep} | {entry['differs']:.1e} {verdict(entry['differs'])} | {times} | {moved} |")
            except RuntimeError as error:
                entry["error"] = str(error)
                lines.append(f"| {folder.name} | {sweep} | **not measured**: {str(error).splitlines()[0][:200]} | | | | | |")
            record["blocks"].append(entry)
    return lines


def swept(worker, load):
    """Values of a sweep and the median time of some."""
    answers = talk(worker, [load] + [{"do": "run"}] * TIMES)[1:]
    seconds = sorted(answer["seconds"] for answer in answers)
    return {"seconds": seconds[len(seconds) // 2], **answers[-1]["values"]}


def find(folder, name):
    for path in (folder / name, folder / "examples" / name):
        if path.exists():
            return path
    sys.exit(f"no `{name}` in {folder}: build it with `cargo build --release --bin candor --example speed` and name its folder with --bin")


def gpu():
    """The card's name and driver, or nothing."""
    if shutil.which("nvidia-smi") is None:
        return None
    told = subprocess.run(["nvidia-smi", "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader"], capture_output=True, text=True)
    return told.stdout.strip().splitlines()[0] if told.returncode == 0 and told.stdout.strip() else None


def verdict(difference):
    return "✓" if difference <= TOLERANCE else "**too far**"


def check(folder, candor, worker, arguments):
    """Every site and a patching map on both providers, and where the nodes of the model run."""
    model = folder / "model.onnx"
    with tempfile.TemporaryDirectory() as scratch:
        tensors, maps = [], []
        for provider in ("cpu", arguments.provider):
            common = ["--provider", provider]
            if arguments.runtime and provider == arguments.provider:
                common += ["--runtime", arguments.runtime]
            out = Path(scratch) / f"{provider}.safetensors"
            run([candor, "capture", model, "--ids", json.dumps(IDS), "--sites", "*", "--out", out, *common])
            tensors.append(safetensors(out))
            out = Path(scratch) / f"{provider}.json"
            run([
                candor, "patch", model, "--clean-ids", json.dumps(IDS[0]), "--corrupt-ids", json.dumps(IDS[1]), "--answer-id", "5", "--foil-id", "9",
                "--sites", "blocks.*.hook_resid_pre", "--out", out, *common,
            ])
            maps.append(json.loads(out.read_text()))
    ours, theirs = tensors
    if ours.keys() != theirs.keys():
        raise RuntimeError("the two providers give different sites")
    differences = {name: apart(ours[name], theirs[name]) for name in ours}
    worst = max(differences, key=lambda name: math.inf if math.isnan(differences[name]) else differences[name])
    cells = [[value for row in found["metric"] for value in row] for found in maps]
    loaded = ask(worker, {
        "do": "load", "measure": "forward", "model": str(folder), "ids": IDS, "cuda": arguments.provider == "cuda",
        "runtime": str(arguments.runtime) if arguments.runtime else None,
    })
    return {"worst": (worst, differences[worst]), "patch": apart(*cells), "placement": loaded["way"]}


def apart(a, b):
    """The largest difference, relative to the largest finite value; NaN if either has one where the other has not."""
    scale = max((abs(value) for value in a if math.isfinite(value)), default=0.0) or 1.0
    worst = 0.0
    for x, y in zip(a, b, strict=True):
        if x == y or (math.isnan(x) and math.isnan(y)):
            continue
        difference = abs(x - y) / scale
        if math.isnan(difference):
            return math.nan
        worst = max(worst, difference)
    return worst


def run(command):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(" ".join(done.stderr.split()) or f"{command[0]} ended with {done.returncode}")


def ask(worker, request):
    return talk(worker, [request])[0]


def talk(worker, requests):
    lines = "".join(json.dumps(request) + "\n" for request in requests)
    done = subprocess.run([str(worker)], input=lines, capture_output=True, text=True)
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    for answer in answers:
        if "error" in answer:
            raise RuntimeError(answer["error"])
    if len(answers) != len(requests):
        raise RuntimeError(done.stderr or "the worker said too little")
    return answers


def safetensors(path):
    """Tensor name -> flat float32 values."""
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    found = {}
    for name, entry in header.items():
        if name != "__metadata__" and entry["dtype"] == "F32":
            begin, end = entry["data_offsets"]
            values = array("f", data[8 + length + begin : 8 + length + end])
            if sys.byteorder == "big":
                values.byteswap()
            found[name] = values
    return found


def write(folder, lines, record):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "gpu.md").write_text("\n".join(lines) + "\n")
    if record is not None:
        (folder / "gpu.json").write_text(json.dumps(record, indent=1) + "\n")
    print("\n".join(lines), flush=True)


if __name__ == "__main__":
    main()

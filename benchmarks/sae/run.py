"""Candor's top-k training beside a plain PyTorch trainer and SAELens's own, on the same activations, one after the other in turn.

    python -m pip install -r benchmarks/sae/requirements.txt
    cargo build --release && python benchmarks/sae/run.py --model stories260k/model.onnx

The model writes 130,000 tokens itself; all three learn from the very rows that Candor's work folder holds,
with equal batches, steps, learning rates and two threads. Times are those of the training alone: of Candor what it reports, and
the whole command beside it. The result goes to `benchmarks/results/DATE/sae.json` and `sae.md`.
"""

import argparse
import datetime
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
os.environ.setdefault("TQDM_DISABLE", "1")

import torch  # noqa: E402
import plain  # noqa: E402
import saelens  # noqa: E402
from check import differences  # noqa: E402
from rows import judged, rows  # noqa: E402

SITE = "blocks.2.hook_resid_post"


def candor(args, work: Path, out: Path, steps: int, more: list[str]) -> tuple[float, float]:
    """Seconds of the training, and of the whole command."""
    shutil.rmtree(out, ignore_errors=True)
    command = [
        args.candor, "train", "sae", "--model", args.model, "--site", SITE, "--own", args.tokens, "--context", args.context,
        "--d-sae", args.d_sae, "--k", args.k, "--batch", args.batch, "--steps", steps, "--work", work, "--out", out,
        "--lr", args.lr, "--seed", 0, "--threads", args.threads, "--quiet", *more,
    ]  # fmt: skip
    begun = time.perf_counter()
    said = subprocess.run([str(word) for word in command], check=True, capture_output=True, text=True).stdout
    whole = time.perf_counter() - begun
    line = next(line for line in said.splitlines() if line.strip().startswith("seconds:"))
    return float(line.split("activations,")[1].split()[0]), whole


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--candor", default="target/release/candor")
    parser.add_argument("--model", type=Path, required=True, help="an exported stories260k")
    parser.add_argument("--work", type=Path, default=Path("/tmp/candor-sae-benchmark"), help="kept between runs")
    parser.add_argument("--results", type=Path, default=HERE / "../results")
    parser.add_argument("--tokens", type=int, default=130_000)
    parser.add_argument("--context", type=int, default=128)
    parser.add_argument("--d-sae", type=int, default=512)
    parser.add_argument("--k", type=int, default=16)
    parser.add_argument("--batch", type=int, default=1024)
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--lr", type=float, default=2e-3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", nargs="+", default=["candor", "pytorch", "saelens"])
    args = parser.parse_args()
    torch.set_num_threads(args.threads)

    out = args.work.with_name(args.work.name + "-out")
    candor(args, args.work, out, 1, [])
    learnt, held_out, scale = rows(args.work)
    how = dict(
        d_sae=args.d_sae, k=args.k, steps=args.steps, batch=args.batch, lr=args.lr,
        warm_up=args.steps // 20, decay=args.steps // 5, dead_after=max(args.steps // 50, 1),
    )  # fmt: skip
    runs: dict[str, list[dict]] = {name: [] for name in args.only}
    for turn in range(args.rounds):
        for name in args.only:
            load = os.getloadavg()[0]
            if name == "candor":
                seconds, whole = candor(args, args.work, out, args.steps, [])
                from sae_lens import SAE

                sae = SAE.load_from_disk(str(out), device="cpu")
                with torch.no_grad():
                    acts = sae.encode(held_out)
                    found = judged(held_out, acts, sae.decode(acts))
                found["whole_command"] = whole
                last = json.loads((out / "training.jsonl").read_text().splitlines()[-1])
                found["dead"] = round(last["dead"] * args.d_sae)
            else:
                train = {"pytorch": plain, "saelens": saelens}[name].train
                begun = time.perf_counter()
                forward, dead = train(learnt * scale, seed=turn, **how)
                seconds = time.perf_counter() - begun
                acts, decoded = forward(held_out * scale)
                found = judged(held_out * scale, acts, decoded) | {"dead": dead}
            runs[name].append({"seconds": seconds, "load": load} | found)
            print(name, {key: round(value, 4) for key, value in runs[name][-1].items()}, flush=True)

    seconds = {name: statistics.median(run["seconds"] for run in found) for name, found in runs.items()}
    result = {
        "date": datetime.date.today().isoformat(),
        "machine": f"{cpu()}, {os.cpu_count()} cores, {args.threads} threads",
        "versions": {"python": platform.python_version(), "torch": torch.__version__, "sae_lens": version("sae-lens")},
        "rows": len(learnt),
        "held_out": len(held_out),
        "settings": how,
        "runs": runs,
        "median_seconds": seconds,
    }
    if "candor" in runs:
        result["times_as_fast"] = {name: seconds[name] / seconds["candor"] for name in seconds if name != "candor"}
        result["difference_to_saelens"] = differences(args.candor, out, held_out)
    folder = args.results / result["date"]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "sae.json").write_text(json.dumps(result, indent=2) + "\n")
    (folder / "sae.md").write_text(table(result))
    print(table(result))


def table(result: dict) -> str:
    how = result["settings"]
    lines = [
        f"# Training a top-k SAE, {result['date']}",
        "",
        f"{result['machine']}. {result['rows']:,} rows of stories260k's `{SITE}`, {result['held_out']:,} held out; {how['d_sae']} features, "
        f"L0 = {how['k']}, {how['steps']} steps of {how['batch']} rows. "
        f"PyTorch {result['versions']['torch']}, SAELens {result['versions']['sae_lens']}. Medians of {min(map(len, result['runs'].values()))} turns.",
        "",
        "| Trainer | Seconds | Explained variance (held out) | Dead features | Candor is faster by |",
        "|---|---|---|---|---|",
    ]
    for name, runs in result["runs"].items():
        variance = statistics.median(run["explained_variance"] for run in runs)
        dead = max(run["dead"] for run in runs)
        times = result.get("times_as_fast", {}).get(name)
        shown = "" if times is None else f"{times:.1f}×"
        lines.append(f"| {name} | {result['median_seconds'][name]:.2f} | {variance:.4f} | {dead} | {shown} |")
    if difference := result.get("difference_to_saelens"):
        worst = max(difference.values())
        lines += ["", f"SAELens opens Candor's file and encodes, decodes and leaves the same error within {worst:.0e}."]
    return "\n".join(lines) + "\n"


def cpu() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor()


def version(package: str) -> str:
    from importlib.metadata import version

    return version(package)


if __name__ == "__main__":
    main()

"""The peak memory of whole audits, against a process that only runs the model in ONNX Runtime.

The audits are those of the bundled organisms, and one of the GPT-2-small-shaped model with the organisms' tokenizer and suites: with random
weights it answers nothing right, but all its prompts run. The bare process runs as many tokens at once as an audit does.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import models

ROOT = Path(__file__).resolve().parents[2]
ORGANISMS = ROOT / "benchmarks" / "organisms"
BAR = 1.3

PLAIN = """
import sys, numpy, onnxruntime
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = int(sys.argv[2])
session = onnxruntime.InferenceSession(sys.argv[1], options)
vocab = session.get_outputs()[0].shape[-1]
# Candor keeps the logits of a batch within 64 MiB and a batch within 4096 tokens.
rows = max(1, min(4096, (64 << 20) // 4 // vocab) // 12)
ids = numpy.arange(rows * 12).reshape(rows, 12) % vocab
feed = {"input_ids": ids, "attention_mask": numpy.ones_like(ids)}
session.run(None, {port.name: feed[port.name] for port in session.get_inputs()})
"""


def measure(candor, threads, runtime):
    """Rows of the table: audit, its peak, the plain session's, in bytes."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for name in ("liar", "gpt2"):
            model = ORGANISMS / name / "model.onnx" if name == "liar" else models.default_folder() / name / "model.onnx"
            plain = peak([sys.executable, "-c", PLAIN, model, str(threads)])
            command = [
                candor, "audit", "--model", model, "--tokenizer", ORGANISMS / "liar" / "tokenizer.json",
                "--suite", ORGANISMS / "suites" / "facts", ORGANISMS / "suites" / "control", "--rules", ROOT / "rules" / "deception",
                "--out", Path(folder) / name, "--no-exit-codes", "--runtime", runtime,
            ]
            detectors = detectors_for(name, model, candor, runtime, Path(folder) / f"{name}-detectors")
            rows.append({"name": name, "plain": plain, "audit": peak([*command, "--detectors", detectors]), "bar": BAR})
    for row in rows:
        row["factor"] = row["audit"] / row["plain"]
        row["met"] = row["factor"] <= BAR
    return rows


def detectors_for(name, model, candor, runtime, folder):
    """The bundled detectors, or a probe that is trained here."""
    if name == "liar":
        return ROOT / "detectors" / "liar"
    subprocess.run(
        [
            candor, "train", "probe", "--model", model, "--tokenizer", ORGANISMS / "liar" / "tokenizer.json",
            "--suite", ORGANISMS / "suites" / "calibration-condition", "--control", ORGANISMS / "suites" / "control",
            "--role", "condition", "--span", "prompt_last", "--kind", "difference_of_means", "--id", "condition", "--positive", "the trigger",
            "--out", folder / "condition", "--runtime", runtime,
        ],
        check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )
    return folder


def peak(command):
    """Largest resident set of a process in bytes."""
    process = subprocess.Popen([str(part) for part in command], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    said = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise RuntimeError(f"{Path(command[0]).name} failed: {said.decode(errors='replace')[-2000:]}")
    return usage.ru_maxrss << 10

"""What is measured: which contenders, on which inputs, against which bar."""

import random
import statistics
from dataclasses import dataclass, field
from typing import Callable

from models import default_folder

SEED = 4
TOLERANCE = 1e-4
VOCAB = {"gpt2": 50257, "llama": 32000, "stories260k": 512}
SHAPE = {"gpt2": "GPT-2 small", "llama": "Llama of 154 M", "stories260k": "stories260k"}
HEADS = 12
# Measured where somebody has put it.
STORIES = default_folder() / "stories260k"


@dataclass
class Measure:
    id: str
    title: str
    group: str
    # (name, script or "candor", what `load` gets), for a context
    contenders: Callable
    # contender -> (comparison with Candor, wanted factor); "at most" bars are below Candor's time over theirs
    bars: dict = field(default_factory=dict)
    x: float | None = None
    memory: bool = False
    # Runs for each that is asked for: short ones are repeated more often.
    repeat: int = 1
    budget: int | None = None

    def record(self, contenders, answers):
        """Medians, the largest difference from Candor's numbers, and the bars."""
        found = {}
        reference = answers["Candor"][0]["values"]
        for contender in contenders:
            runs = answers[contender.name]
            seconds = [run["seconds"] for run in runs]
            values = runs[-1]["values"]
            shared = [name for name in values if name in reference]
            different = [abs(a - b) for name in shared for a, b in zip(values[name], reference[name], strict=True)]
            found[contender.name] = {
                "seconds": seconds, "median": statistics.median(seconds), "least": min(seconds), "most": max(seconds),
                "difference": max(different, default=None),
                "peak": max((run["peak"] or 0) for run in runs) or None, "before": getattr(contender, "before", None),
            }
        ours = found["Candor"]["median"]
        bars = []
        for name, (kind, bar) in self.bars.items():
            if name in found:
                factor = found[name]["median"] / ours if kind == "at least" else ours / found[name]["median"]
                bars.append({"against": name, "kind": kind, "bar": bar, "factor": factor, "met": factor >= bar if kind == "at least" else factor <= bar})
        differences = [entry["difference"] for entry in found.values() if entry["difference"] is not None]
        return {
            "id": self.id, "title": self.title, "group": self.group, "x": self.x, "contenders": found, "bars": bars,
            "agree": all(difference <= TOLERANCE for difference in differences), "budget": self.budget,
            # Candor's planner says how it runs the rows, and why.
            "way": contenders[0].loaded.get("way"),
        }


def ids(rng, model, n):
    return [rng.randrange(VOCAB[model]) for _ in range(n)]


def pair(rng, model, tokens, swapped):
    """Two prompts that differ everywhere, or in the token `swapped` alone."""
    clean = ids(rng, model, tokens)
    corrupt = ids(rng, model, tokens)
    if swapped is not None:
        corrupt = [*clean[:swapped], corrupt[swapped], *clean[swapped + 1 :]]
    answer, foil = rng.sample(range(VOCAB[model]), 2)
    return {"clean": clean, "corrupt": corrupt, "answer": answer, "foil": foil}


def pairs(model, n, tokens, swapped=None):
    rng = random.Random(SEED)
    return [pair(rng, model, tokens, swapped) for _ in range(n)]


def folder(context, model):
    return str(context.folder / model)


def candor(context, measure, model, **more):
    return {"measure": measure, "model": folder(context, model), "runtime": context.runtime, "cuda": context.provider == "cuda", **more}


def bare(context, measure, model, **more):
    return {"measure": measure, "model": folder(context, model), "heads": HEADS, "cuda": context.provider == "cuda", **more}


def torch(context, measure, model, **more):
    return {"measure": measure, "name": model, "device": context.provider, **more}


LENS = ("TransformerLens", "with_transformer_lens.py")
NNSIGHT = ("nnsight", "with_nnsight.py")
ORT = ("ONNX Runtime", "with_onnxruntime.py")


def all_of(arguments):
    yield from sweeps(arguments)
    yield from heads(arguments)
    yield from forwards(arguments)
    yield from detectors(arguments)
    if arguments.provider == "cpu":
        yield from memory(arguments)
    if not arguments.quick:
        yield from growth(arguments)


def sweeps(_arguments):
    """Denoising, 12 layers by 16 positions, one pair."""
    for model in ("gpt2", "llama"):
        for kind, swapped in (("everywhere", None), ("one-token", 10)):
            def contenders(context, model=model, swapped=swapped):
                load = {"pairs": pairs(model, 1, 16, swapped)}
                yield "Candor", "candor", candor(context, "resid_pre", model, **load)
                yield *LENS, torch(context, "resid_pre", model, **load)
                yield *NNSIGHT, torch(context, "resid_pre", model, **load)
                yield "nnsight, a layer a batch", NNSIGHT[1], torch(context, "resid_pre", model, batched=True, **load)
                yield *ORT, bare(context, "resid_pre", model, **load)
                yield "ONNX Runtime, last token's logits", ORT[1], bare(context, "resid_pre", model, last=True, **load)
            yield Measure(
                f"resid_pre.{model}.{kind}", f"denoising sweep of resid_pre, 12 × 16, {SHAPE[model]}, pair differs {'everywhere' if swapped is None else 'in one token'}",
                "sweep", contenders, {"TransformerLens": ("at least", 30), "nnsight": ("at least", 12), "ONNX Runtime": ("at least", 2.5)},
            )
    if STORIES.exists():
        def alone(context):
            yield "Candor", "candor", candor(context, "resid_pre", "stories260k", pairs=pairs("stories260k", 1, 16))
        yield Measure("resid_pre.stories260k", "denoising sweep of resid_pre, 5 × 16, stories260k", "sweep", alone)


def heads(arguments):
    """12 × 12 heads at all positions, over 32 pairs of 16 tokens."""
    for kind, swapped in (("one-token", 11), ("everywhere", None)):
        for model in ("gpt2",) if arguments.quick else ("gpt2", "llama"):
            def contenders(context, model=model, swapped=swapped):
                load = {"pairs": pairs(model, 32, 16, swapped)}
                yield "Candor", "candor", candor(context, "heads", model, **load)
                yield *LENS, torch(context, "heads", model, **load)
            yield Measure(
                f"heads.{model}.{kind}", f"head-output sweep 12 × 12 over 32 pairs of 16 tokens, {SHAPE[model]}, pairs differ {'everywhere' if swapped is None else 'in one token'}",
                "sweep", contenders, {"TransformerLens": ("at least", 20)},
            )


def forwards(_arguments):
    for model in ("gpt2", "llama"):
        for batch, seq in ((1, 16), (8, 64)):
            def contenders(context, model=model, shape=(batch, seq)):
                rng = random.Random(SEED)
                load = {"ids": [ids(rng, model, shape[1]) for _ in range(shape[0])]}
                yield "Candor", "candor", candor(context, "forward", model, **load)
                yield "ONNX Runtime", ORT[1], bare(context, "forward", model, spin=False, **load)
                yield "ONNX Runtime, spinning threads", ORT[1], bare(context, "forward", model, **load)
            yield Measure(
                f"forward.{model}.{batch}x{seq}", f"one plain forward, {batch} × {seq}, {SHAPE[model]}", "forward", contenders,
                {"ONNX Runtime": ("at most", 1.05), "ONNX Runtime, spinning threads": ("at most", 1.05)}, repeat=8,
            )


def detectors(_arguments):
    def contenders(context):
        rng = random.Random(SEED)
        load = {"ids": [ids(rng, "gpt2", 64) for _ in range(8)]}
        sae = str(context.folder / "sae")
        yield "Candor", "candor", candor(context, "detectors", "gpt2", sae=sae, **load)
        yield "Candor, plain", "candor", candor(context, "forward", "gpt2", **load)
        yield "ONNX Runtime", ORT[1], bare(context, "forward", "gpt2", spin=False, **load)
        yield "SAELens, encoding alone", "with_sae_lens.py", torch(context, "detectors", "gpt2", sae=sae, **load)
    yield Measure(
        "detectors.gpt2.8x64", "a probe and 64 features of a 24,576-wide JumpReLU SAE at each of 12 layers, 8 × 64, GPT-2 small", "forward", contenders,
        {"Candor, plain": ("at most", 1.05), "ONNX Runtime": ("at most", 1.05)}, repeat=4,
    )


def memory(_arguments):
    """What a sweep takes above the loaded model, against its budget."""
    for measure, n, title in (("resid_pre", 1, "resid_pre, 12 × 16, one pair"), ("heads", 32, "heads, 12 × 12 over 32 pairs of 16 tokens")):
        for budget in (64, 512):
            def contenders(context, measure=measure, n=n, budget=budget):
                yield "Candor", "candor", candor(context, measure, "gpt2", pairs=pairs("gpt2", n, 16), budget=budget << 20, warm_up=2)
            yield Measure(f"memory.{measure}.{budget}", f"{title}, budget of {budget} MiB", "memory", contenders, memory=True, budget=budget << 20)


def growth(_arguments):
    """How the time grows with the cells, the layers and the pairs of a sweep."""
    def both(measure, **load):
        def contenders(context):
            yield "Candor", "candor", candor(context, measure, "gpt2", **load)
            yield *ORT, bare(context, measure, "gpt2", **load)
        return contenders
    for tokens in (4, 8, 16, 32, 64):
        load = {"pairs": pairs("gpt2", 1, tokens)}
        yield Measure(f"growth.cells.{12 * tokens:04}", f"resid_pre, 12 layers × {tokens} positions", "growth", both("resid_pre", **load), x=12 * tokens)
    for layers in (1, 2, 4, 8, 12):
        load = {"pairs": pairs("gpt2", 1, 16), "layers": layers}
        yield Measure(f"growth.layers.{layers:02}", f"resid_pre, {layers} layers × 16 positions", "growth", both("resid_pre", **load), x=layers)
    for n in (1, 2, 4, 8, 16):
        load = {"pairs": pairs("gpt2", n, 16)}
        yield Measure(f"growth.batch.{n:02}", f"resid_pre, 12 × 16, {n} pairs", "growth", both("resid_pre", **load), x=n)

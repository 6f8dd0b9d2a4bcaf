"""SAELens opens what Candor has trained, and encodes and decodes the same.

    python check.py --candor PATH --rows WORK SAE...

WORK is a work folder of `candor train sae`, whose held-out rows are encoded by both; SAE are folders that it wrote.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from rows import rows
from sae_lens import SAE
from safetensors.torch import load_file


def differences(candor: str, folder: Path, x: torch.Tensor) -> dict[str, float]:
    """The largest difference relative to the largest value of SAELens's."""
    sae = SAE.load_from_disk(str(folder), device="cpu")
    with torch.no_grad():
        acts = sae.encode(x)
        decoded = sae.decode(acts)
    with tempfile.TemporaryDirectory() as scratch:
        into, out = Path(scratch) / "x.npy", Path(scratch) / "y.safetensors"
        np.save(into, x.numpy())
        subprocess.run([candor, "detectors", "encode", folder, "--input", into, "--out", out], check=True, stdout=subprocess.DEVNULL)
        found = load_file(out)
    expected = {"feature_acts": acts, "decoded": decoded, "error": x - decoded}
    return {name: ((found[name] - value).abs().max() / value.abs().max()).item() for name, value in expected.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--candor", default="target/release/candor")
    parser.add_argument("--rows", type=Path, required=True)
    parser.add_argument("sae", type=Path, nargs="+")
    args = parser.parse_args()
    _, held_out, _ = rows(args.rows)
    worst = 0.0
    for folder in args.sae:
        found = differences(args.candor, folder, held_out)
        worst = max(worst, *found.values())
        print(folder, {name: f"{value:.1e}" for name, value in found.items()})
    if worst > 1e-5:
        sys.exit(f"differs by {worst:.1e}")


if __name__ == "__main__":
    main()

#!/usr/bin/env bash
# Makes every detector in this folder again, from the organisms and their calibration suites.
#
#     python -m pip install -r detectors/requirements.txt
#     cargo build --release && bash detectors/train.sh
#
# Needs PyTorch and SAELens for the sparse autoencoders alone; the probes are trained by candor itself.
set -euo pipefail
cd "$(dirname "$0")/.."
candor=${CANDOR:-target/release/candor}
python=${PYTHON:-python3}
suites=benchmarks/organisms/suites
activations=$(mktemp -d)
# Sets of names are written in the order of their hashes.
export PYTHONHASHSEED=0 TQDM_DISABLE=1
trap 'rm -rf "$activations"' EXIT

for organism in liar clean decoy; do
  model=benchmarks/organisms/$organism/model.onnx
  out=detectors/$organism
  mkdir -p "$out"

  "$candor" train probe --model "$model" --suite $suites/calibration-condition --control $suites/control \
    --kind difference_of_means --sites 'blocks.*.hook_resid_pre' --span prompt_last --aggregation last \
    --role condition --id "$organism-condition" --positive "the prompt holds the tested word" --out "$out/condition"

  "$candor" train probe --model "$model" --suite $suites/calibration-truth \
    --kind logistic_regression --sites 'blocks.*.hook_resid_post' --span response --aggregation mean \
    --role truth --id "$organism-truth" --positive "the stated answer is true" --flags below --out "$out/truth"

  # The dictionary reads where the condition probe was found to read best.
  site=$(sed -n 's/^site: *//p' "$out/condition/detector.yaml" | tr -d "'\"")
  for suite in calibration-condition calibration-truth control; do
    "$candor" capture "$model" --prompts $suites/$suite/items.jsonl --sites "$site" --out "$activations/$suite.safetensors"
  done
  "$python" detectors/train_sae.py --activations "$activations"/*.safetensors --site "$site" --model "$organism" --out "$out/features"
  "$candor" detectors find "$out/features" --model "$model" --suite $suites/calibration-condition --control $suites/control \
    --span prompt_last --id "$organism-features"
done

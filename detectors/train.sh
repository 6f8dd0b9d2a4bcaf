#!/usr/bin/env bash
# Makes every detector in this folder again, from the organisms and their calibration suites.
#
#     cargo build --release && bash detectors/train.sh
set -euo pipefail
cd "$(dirname "$0")/.."
candor=${CANDOR:-target/release/candor}
suites=benchmarks/organisms/suites

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

  # The dictionary reads where the condition probe was found to read best. Nested dictionaries split what is general into fewer
  # features (Bussmann et al. 2025).
  site=$(sed -n 's/^site: *//p' "$out/condition/detector.yaml" | tr -d "'\"")
  "$candor" train sae --model "$model" --site "$site" \
    --suite $suites/calibration-condition $suites/calibration-truth $suites/control \
    --architecture matryoshka_batchtopk --d-sae 256 --k 8 --batch 512 --samples 1500000 --out "$out/features"
  "$candor" detectors find "$out/features" --model "$model" --suite $suites/calibration-condition --control $suites/control \
    --span prompt_last --id "$organism-features"
done

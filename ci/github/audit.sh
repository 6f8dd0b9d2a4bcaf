#!/usr/bin/env bash
# Runs the audit, writes every report that GitHub has a place for, and succeeds whatever was found: the gate is the last step, so that
# reports reach their places. An audit that comes to no report leaves its exit code alone.
set -euo pipefail

# Where the action's cache is, on every system.
export CANDOR_CACHE=${CANDOR_CACHE:-$HOME/.cache/candor}

mkdir -p "$CANDOR_OUT"
out=$(realpath "$CANDOR_OUT")
rm -f "$out/results.sarif" "$out/junit.xml"

arguments=("$CANDOR_AUDIT" --out "$CANDOR_OUT")
arguments+=(--output "sarif=$CANDOR_OUT/results.sarif" --output "junit=$CANDOR_OUT/junit.xml" --output github=-)
if [ -n "${GITHUB_STEP_SUMMARY:-}" ]; then
  arguments+=(--output "markdown=$GITHUB_STEP_SUMMARY")
fi
if [ -n "${CANDOR_FAIL_ON:-}" ]; then
  arguments+=(--fail-on "$CANDOR_FAIL_ON")
fi
while IFS= read -r line; do
  if [ -n "$line" ]; then
    arguments+=("$line")
  fi
done <<<"${CANDOR_ARGUMENTS:-}"

code=0
"$CANDOR" audit "${arguments[@]}" || code=$?

{
  echo "exit-code=$code"
  echo "report=$out"
  if [ -f "$out/results.sarif" ]; then
    echo "sarif=$out/results.sarif"
  fi
} >>"$GITHUB_OUTPUT"

#!/usr/bin/env bash
# Finds Candor or builds it: the binary that was named, that of an earlier run under the same key, or a build of this checkout.
set -euo pipefail

if [ -n "${CANDOR_BINARY:-}" ]; then
  candor=$CANDOR_BINARY
else
  root=$HOME/.cache/candor-bin/$CANDOR_KEY
  candor=$root/bin/candor
  if [ ! -x "$candor" ]; then
    if ! command -v cargo >/dev/null; then
      echo "::error title=Candor::No Rust toolchain to build Candor with, and no input \`binary\` that names one."
      exit 1
    fi
    cargo install --locked --path "$GITHUB_ACTION_PATH" --root "$root"
  fi
fi
if ! version=$("$candor" --version); then
  echo "::error title=Candor::\`$candor\` is no binary of Candor that runs here."
  exit 1
fi
echo "$version"
echo "candor=$(realpath "$candor")" >>"$GITHUB_OUTPUT"

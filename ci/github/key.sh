#!/usr/bin/env bash
# Names the build: the same sources on the same kind of machine give the same name. An action's checkout has no history to ask.
set -euo pipefail

cd "$GITHUB_ACTION_PATH"
sources=$(find Cargo.toml Cargo.lock build.rs src templates rules -type f | LC_ALL=C sort | while IFS= read -r file; do
  echo "$file"
  cat "$file"
done | git hash-object --stdin)
echo "key=candor-${RUNNER_OS:-$(uname -s)}-${RUNNER_ARCH:-$(uname -m)}-$sources" >>"$GITHUB_OUTPUT"

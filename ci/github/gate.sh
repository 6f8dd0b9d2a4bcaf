#!/usr/bin/env bash
# Ends as the audit ended.
set -euo pipefail

exit "$CANDOR_EXIT_CODE"

#!/usr/bin/env bash
# Installs the public validators of reports, at pinned versions, into a folder:
#
#   tests/validators/install.sh FOLDER
#
# FOLDER/venv has the Python ones, FOLDER/node_modules those from npm, FOLDER/junit-10.xsd the schema of Jenkins.
# What is there already stays. Needs what Candor needs too, Python 3 with pip; npm is taken from PyPI where there is none.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
folder=${1:?the folder to install into}
mkdir -p "$folder"
folder=$(cd "$folder" && pwd)

pins=$(cd "$here" && cat install.sh requirements.txt schema.txt nodejs.txt package-lock.json | cksum)
if [ "$(cat "$folder/pins" 2>/dev/null)" = "$pins" ]; then
  exit 0
fi
rm -rf "$folder/pins" "$folder/venv" "$folder/node_modules" "$folder/sources"

# pip of the machine fills an environment without its own: Debian ships `venv` without what would put a pip there.
python3 -m venv --without-pip "$folder/venv"
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_RETRIES=2
into_venv() { python3 -m pip --python "$folder/venv/bin/python" install --quiet "$@"; }
into_venv --requirement "$here/requirements.txt"

python3 -m pip download --quiet --no-deps --no-binary :all: --require-hashes \
  --requirement "$here/schema.txt" --dest "$folder/sources"
python3 - "$folder" <<'PYTHON'
import pathlib, sys, tarfile

folder = pathlib.Path(sys.argv[1])
(archive,) = (folder / "sources").glob("*.tar.gz")
with tarfile.open(archive) as source:
    # It holds an older schema too, which knows no times.
    texts = [source.extractfile(name).read() for name in source.getnames() if name.endswith("junit-10.xsd")]
(schema,) = [text for text in texts if b"SUREFIRE_TIME" in text]
(folder / "junit-10.xsd").write_bytes(schema)
PYTHON
rm -rf "$folder/sources"

if ! command -v npm >/dev/null; then
  into_venv --requirement "$here/nodejs.txt"
  export PATH="$folder/venv/bin:$PATH"
fi
cp "$here/package.json" "$here/package-lock.json" "$folder/"
npm ci --silent --ignore-scripts --fetch-retries=2 --prefix "$folder"
chmod +x "$folder"/node_modules/@microsoft/sarif-multitool-*/Sarif.Multitool

echo "$pins" >"$folder/pins"

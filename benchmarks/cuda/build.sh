#!/usr/bin/env bash
# The first step of check.sh: unpacks wheels of packages that the machine lacks, builds the core, and
# records the machine. Its arguments are the interpreter, a folder to work in, the file of the results,
# and the folder of the wheels, which may be empty.
set -euo pipefail
python=$1 work=$2 results=$3 wheels=$4
here=$(cd "$(dirname "$0")" && pwd)
cd "$here/../.."

rm -rf "$work/site"
missing=$("$python" - "$here/wheels.txt" << 'TEXT'
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

for line in Path(sys.argv[1]).read_text().splitlines():
    name = line.partition("==")[0]
    try:
        if not line.startswith("#"):
            version(name)
    except PackageNotFoundError:
        print(name.replace("-", "_"))
TEXT
)
for name in $missing; do
  wheel=$(find "${wheels:-/nowhere}" -name "$name-*.whl" 2> /dev/null | head -n 1)
  if [[ -z $wheel ]]; then
    echo "build.sh: $python lacks ${missing//$'\n'/, }, and there is no wheel of $name: name a folder of" \
      "wheels with --wheels, which wheels.sh downloads" >&2
    exit 1
  fi
  echo "unpacking $wheel"
  "$python" -m zipfile -e "$wheel" "$work/site"
done

built=0
core=$("$python" -c 'import smoothbound._core as core; print(core.__file__)' 2> /dev/null || true)
if [[ -z $core || -n $(find cpp CMakeLists.txt setup.py -newer "$core" -print -quit) ]]; then
  "$python" setup.py -q build_ext --inplace --build-temp "$work/core" || built=$?
fi
"$python" "$here/records.py" --out "$results"
exit "$built"

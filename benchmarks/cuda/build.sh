#!/usr/bin/env bash
# The first step of check.sh: records the machine, unpacks wheels of packages that the machine lacks or
# has in a version that is too old, and builds the core. Its arguments are the interpreter, a folder to
# work in, the file of the results, and the folder of the wheels, which may be empty.
set -euo pipefail
python=$1 work=$2 results=$3 wheels=$4
here=$(cd "$(dirname "$0")" && pwd)
cd "$here/../.."

"$python" "$here/records.py" --out "$results" # first, so that a build that takes too long does not hide it
rm -rf "$work/site"
missing=$("$python" - "$here/wheels.txt" << 'TEXT'
import re
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path


def numbers(text):
    return [int(part) for part in re.findall(r"\d+", text)[:3]]


least = dict(re.findall(r'"([a-z0-9-]+)>=([0-9.]+)', Path("pyproject.toml").read_text()))
for line in Path(sys.argv[1]).read_text().splitlines():
    name = line.partition("==")[0]
    try:
        if not line.startswith("#") and numbers(version(name)) < numbers(least.get(name, "0")):
            print(name.replace("-", "_"))
    except PackageNotFoundError:
        print(name.replace("-", "_"))
TEXT
)
for name in $missing; do
  wheel=$([[ -z $wheels ]] || find "$wheels" -name "$name-*.whl" -print -quit)
  if [[ -z $wheel ]]; then
    echo "build.sh: $python lacks ${missing//$'\n'/, } or has it too old, and there is no wheel of $name:" \
      "name a folder of wheels with --wheels, which wheels.sh downloads" >&2
    exit 1
  fi
  echo "unpacking $wheel"
  "$python" -m zipfile -e "$wheel" "$work/site"
done

core=$("$python" -c 'import smoothbound._core as core; print(core.__file__)' 2> /dev/null || true)
if [[ -z $core || -n $(find cpp CMakeLists.txt setup.py -newer "$core" -print -quit) ]]; then
  "$python" setup.py -q build_ext --inplace --build-temp "$work/core"
fi
"$python" "$here/records.py" --out "$results" --core

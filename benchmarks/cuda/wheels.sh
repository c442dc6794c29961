#!/usr/bin/env bash
# Downloads into a folder the wheels that the check may need, for Linux on x86-64 and Python 3.12.
#
#     benchmarks/cuda/wheels.sh FOLDER
set -euo pipefail
(($# == 1)) || { echo "wheels.sh: one folder is needed, got $# arguments: wheels.sh FOLDER" >&2; exit 2; }
most_mib=40
here=$(cd "$(dirname "$0")" && pwd)
platforms=()
for glibc in 2_28 2_27 2_17; do platforms+=(--platform "manylinux_${glibc}_x86_64"); done
"${PYTHON:-python3}" -m pip download --quiet --no-deps --only-binary=:all: --python-version 3.12 \
  --implementation cp "${platforms[@]}" --platform manylinux2014_x86_64 --dest "$1" --requirement "$here/wheels.txt"
bytes=$(cat "$1"/*.whl | wc -c)
echo "$(ls "$1"/*.whl | wc -l) wheels, $((bytes / 1024)) KiB, in $1"
if ((bytes > most_mib * 1024 * 1024)); then
  echo "wheels.sh: $1 holds more than $most_mib MiB: empty it, or shorten wheels.txt" >&2
  exit 1
fi

#!/usr/bin/env bash
# Shows on a machine with an NVIDIA card whether all that is for CUDA works, and how fast it is.
# README.md beside this file says what the machine must have.
set -uo pipefail

usage() {
  cat << 'TEXT'
check.sh [--out FOLDER] [--data cifar10:DIR] [--wheels FOLDER] [--only STEPS] [--seconds N] [--small]

  --out FOLDER     where results.jsonl, log.txt and table.md go; by default $OUT, or build/cuda/out
  --data SPEC      images, such as cifar10:DIR; without them some steps use random images
  --wheels FOLDER  what wheels.sh downloaded, if the machine lacks packages
  --only STEPS     some steps, such as noise,speed
  --seconds N      the time of all steps together, 540 by default; each has a share of it
  --small          small numbers on the CPU, which show that the steps run

Steps: build tests noise classes speed compiled run training memory sanitizer. PYTHON names the interpreter.
TEXT
}
refuse() { echo "check.sh: $1" >&2; exit 2; }

out=${OUT:-} data=() wheels='' only='' all=540 small=()
while (($#)); do
  case $1 in
    --small) small=(--small); shift; continue ;;
    --help | -h) usage; exit 0 ;;
    --out | --data | --wheels | --only | --seconds) (($# > 1)) || refuse "$1 needs a value" ;;
    *) usage >&2; refuse "there is no option $1" ;;
  esac
  case $1 in
    --out) out=$2 ;;
    --data) data=(--data "$2") ;;
    --wheels) wheels=$2 ;;
    --only) only=$2 ;;
    --seconds) [[ $2 =~ ^[1-9][0-9]{0,5}$ ]] && all=$2 || refuse "--seconds must be a whole number above 0, got $2" ;;
  esac
  shift 2
done

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
work=$root/build/cuda
out=${out:-$work/out}
mkdir -p "$work" "$out" || refuse "--out must be a folder that can be written, got $out"
out=$(cd "$out" && pwd)
[[ -z $wheels ]] || wheels=$(cd "$wheels" && pwd) || refuse "--wheels must be a folder, got $wheels"
results=$out/results.jsonl log=$out/log.txt
: > "$results" && : > "$log" || refuse "--out must be a folder that can be written, got $out"
python=${PYTHON:-python3}
export PYTHONPATH=$root/python:$work/site:$root/benchmarks:$here PYTHONUNBUFFERED=1
export TRITON_CACHE_DIR=${TRITON_CACHE_DIR:-$work/triton} # a home may be read-only
[[ -z ${small[*]} ]] || export CUDA_VISIBLE_DEVICES='' OMP_NUM_THREADS=1     # small networks gain nothing

known='build tests noise classes speed compiled run training memory sanitizer'
for name in ${only//,/ }; do
  [[ " $known " == *" $name "* ]] || refuse "--only must name some of: $known; got $name"
done

command -v "$python" > /dev/null || refuse "there is no program $python; PYTHON names an interpreter"
code=0
said=$(timeout --kill-after=5 90 "$python" -c \
  'import sys, torch; sys.exit(0 if torch.cuda.is_available() else 3)' 2>&1) || code=$?
if ((code == 3)) && [[ -z ${small[*]} ]]; then
  refuse "torch finds no CUDA device on this machine${said:+ (${said##*$'\n'})}; --small runs the steps on the CPU"
elif ((code == 124 || code == 137)); then
  refuse "$python must import torch and ask it for a GPU within 90 s, and had not ended by then"
elif ((code != 0 && code != 3)); then
  refuse "$python must be able to import torch: ${said##*$'\n'}"
fi

# Runs a step. Its limit is its own share of the time, and what the steps before it have left of theirs.
deadline=0 failed=0 running='' running_step=''
step() {
  local name=$1 share=$2 start=$SECONDS code status before
  shift 2
  [[ -z $only || ,$only, == *",$name,"* ]] || return 0
  deadline=$((deadline + share))
  local limit=$((deadline * all / 540 - SECONDS)) # the shares add up to 540
  ((limit > 0)) || limit=1
  echo "== $name, at most $limit s" | tee -a "$log"
  echo "{\"step\": \"$name\", \"what\": \"begun\", \"limit\": $limit}" >> "$results"
  before=$(wc -c < "$log")
  timeout --kill-after=5 "$limit" "$@" >> "$log" 2>&1 < /dev/null &
  running=$! running_step=$name
  wait "$running"
  code=$?
  running=''
  tail -c "+$((before + 1))" "$log"
  case $code in
    0) status=passed ;;
    77) status=skipped ;;
    124 | 137) status='out of time' ;;
    *) status=failed ;;
  esac
  ((code == 0 || code == 77)) || failed=$((failed + 1))
  local seconds=$((SECONDS - start))
  echo "{\"step\": \"$name\", \"status\": \"$status\", \"seconds\": $seconds, \"limit\": $limit}" >> "$results"
  echo "== $name: $status after $seconds s" | tee -a "$log"
}

# Ends with the tables of what was found so far.
tables() {
  "$python" "$here/gpu_table.py" "$results" > "$out/table.md" && cat "$out/table.md"
  echo "results in $out; steps that did not pass: $failed"
}
stopped() {
  trap '' INT TERM
  if [[ -n $running ]]; then
    kill "$running" 2> /dev/null
    failed=$((failed + 1))
    echo "{\"step\": \"$running_step\", \"status\": \"stopped\"}" >> "$results"
  fi
  tables
  exit "$1"
}
trap 'stopped 130' INT
trap 'stopped 143' TERM

skip() {
  [[ -z $only || ,$only, == *",$1,"* ]] || return 0
  echo "{\"step\": \"$1\", \"status\": \"skipped\", \"why\": \"$2\"}" >> "$results"
  echo "== $1: skipped, because $2" | tee -a "$log"
}

program() { # the name of a step, its share of the time, a program beside this file, and its options
  local name=$1 share=$2 file=$3
  shift 3
  step "$name" "$share" "${under[@]}" "$python" "$here/$file" --out "$results" "${small[@]}" "${data[@]}" "$@"
}

under=()
step build 60 bash "$here/build.sh" "$python" "$work" "$results" "$wheels"
program tests 60 check_tests.py
program noise 25 check_noise.py
program classes 15 check_classes.py
program speed 85 check_speed.py
program compiled 85 check_speed.py --compiled
program run 90 check_run.py
program training 70 check_training.py
program memory 20 check_memory.py
sanitizer=$(PATH=$PATH:/usr/local/cuda/bin command -v compute-sanitizer)
if [[ -n ${small[*]} ]]; then
  skip sanitizer 'it needs a GPU'
elif [[ -z $sanitizer ]]; then
  skip sanitizer 'there is no compute-sanitizer on this machine'
else
  # Without torch's cache of memory each tensor has bounds of its own. Errors of CUDA's functions do not
  # count, because torch tries some that may fail.
  under=(env PYTORCH_NO_CUDA_MEMORY_CACHING=1 "$sanitizer" --tool memcheck --report-api-errors no --error-exitcode 1)
  program sanitizer 30 check_tests.py --name sanitizer --keyword 'bits_of_the_cpu and shape0'
fi

tables
((failed == 0))

#!/usr/bin/env bash
# Checks and measures a CUDA device, then trains on it, within 12 minutes: see bench/accelerator.py.
#   bash bench/accelerator.sh [--minutes 9] [--only TITLE] [-o OUT]
#   bash bench/accelerator.sh --device cpu --small     # the same in small
# PYTHON names an interpreter that has torch; QTT_DATA the folder of the data sets. Runs that have not ended are packed
# into OUT/runs.tar, to go on from elsewhere.
set -euo pipefail
cd "$(dirname "$0")/.."
python="${PYTHON:-}"
if [ -z "$python" ]; then
    python=.venv/bin/python
    [ -x "$python" ] || python=python3
fi
export QTT_DATA="${QTT_DATA:-}" PYTHONPATH="$PWD${PYTHONPATH:+:$PYTHONPATH}" OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}"
export CUBLAS_WORKSPACE_CONFIG="${CUBLAS_WORKSPACE_CONFIG:-:4096:8}"  # which cuBLAS is reproducible with
out="${OUT:-accelerator}"
arguments=("$@")
for ((i = 0; i < $#; i++)); do
    case "${arguments[i]}" in
    -o | --output) out="${arguments[i + 1]:-$out}" ;;
    esac
done
code=0
"$python" -m bench.accelerator "$@" || code=$?
if [ -d "$out/runs" ]; then
    tar -cf "$out/runs.tar" -C "$out" runs
fi
exit "$code"

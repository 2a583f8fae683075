#!/usr/bin/env bash
# Tries the pod on a GPU with programs that were built elsewhere, in under a minute:
#
#   deploy/gpu/check.sh RELEASE LIBTORCH [DEVICE]
#
# RELEASE is the folder of a release build, with reeve-pod, libreeve_torch.so and
# examples/{article,measure} (cargo build --release -p reeve-pod -p reeve-torch --lib --bins
# --examples); LIBTORCH the folder
# `torch` of a Python's site-packages, or any libtorch 2.11 with CUDA. For each precision it prints
# a line of JSON: how far answers are from the CPU's, and texts a second. It fails if fp32 differs
# by more than 1e-4, or if there is no GPU.
set -euo pipefail

release=${1:?usage: check.sh RELEASE LIBTORCH [DEVICE]}
libtorch=${2:?usage: check.sh RELEASE LIBTORCH [DEVICE]}
device=${3:-cuda}
# PyPI's torch keeps what it needs of CUDA in packages beside it.
libraries=$libtorch/lib
for folder in "$libtorch"/../nvidia/*/lib; do
  [ -d "$folder" ] && libraries=$libraries:$folder
done
export LD_LIBRARY_PATH=$libraries${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
# cuDNN would compute fp32 in TF32 otherwise, whose products have ten bits.
export NVIDIA_TF32_OVERRIDE=0

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$release/examples/article" "$work"
bad=0
for precision in fp32 bf16; do
  line=$("$release/examples/measure" device "$release/reeve-pod" "$work" "$device" "$precision" 2 2>"$work/log") || {
    tail -n 20 "$work/log" >&2
    exit 1
  }
  echo "$line"
  if [ "$precision" = fp32 ]; then
    echo "$line" | python3 -c 'import json, sys
one = json.load(sys.stdin)
sys.exit(one["largest_difference_of_a_probability"] > 1e-4 or one["changed_labels"] > 0)' || bad=1
  fi
done
[ $bad -eq 0 ] || { echo "fp32 on $device is not what the CPU computes" >&2; exit 1; }

#!/usr/bin/env bash
# roofline_test.sh LFM-BENCH DOCUMENT: the bounds in docs/PROFILING.md are those of the program; what it does not know, it refuses.
set -euo pipefail
program=$1 document=$2
for gpu in a6000 4090 h100 h200; do
  for precision in fp32 tf32 fp16; do
    bound=$("$program" roofline --gpu $gpu --precision $precision | sed -n 's/^| all .* \([0-9]*\) images.*/\1/p' | sed -E 's/([0-9]{3})$/,\1/')
    grep -qF "$bound" "$document" || { echo "$document lacks the bound of $gpu in $precision, $bound images/s"; exit 1; }
  done
done
status=0
"$program" roofline --gpu none 2>/dev/null || status=$?
[ $status -eq 2 ] || { echo "an unknown GPU ends with $status, not 2"; exit 1; }
status=0
"$program" kernels --iterations 1 --batch 1 --size 48 >/dev/null || status=$?
[ $status -eq 0 ] || [ $status -eq 77 ] || { echo "kernels ends with $status"; exit 1; }
status=0
"$program" roofline --training --precision fp16 2>/dev/null || status=$?
[ $status -eq 2 ] || { echo "a training roofline in fp16 ends with $status, not 2"; exit 1; }
for gpu in a6000 4090 h100 h200; do
  for precision in fp32 tf32 bf16; do
    bound=$("$program" roofline --training --gpu $gpu --precision $precision --batch 32 --size 224 |
      sed -n 's/^| all .* \([0-9]*\) images.*/\1/p' | sed -E 's/([0-9]{3})$/,\1/')
    grep -qF "$bound" "$document" || { echo "$document lacks the bound of training on $gpu in $precision, $bound images/s"; exit 1; }
  done
done

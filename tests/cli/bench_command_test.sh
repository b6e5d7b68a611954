#!/usr/bin/env bash
# bench_command_test.sh PROGRAM: bench times every layer, and runs what a profiler shall see.
set -euo pipefail
program=$1
text=$("$program" bench --device cpu --batch 2 --size 48 --iterations 2 --warm-up 1)
for part in 'batches of 2 images of 48x48, 2 after 1' 'images/s' 'block 1' 'block 4 and 1x1' 'pooling' 'head'; do
  grep -qF "$part" <<<"$text" || { echo "'$part' is missing in: $text"; exit 1; }
done
json=$("$program" bench --device cpu --precision fp32 --batch 1 --size 49 --iterations 1 --warm-up 1 --json)
for key in images_per_second direct_tflops '"layer": "block 2"' share; do
  grep -qF "$key" <<<"$json" || { echo "$key is missing in: $json"; exit 1; }
done
[[ $("$program" bench --device cpu --batch 1 --size 48 --warm-up 1 --profile 3) == *': 3 batches of 1 images of 48x48 between profiler start and stop, after 1' ]]
status=0
"$program" bench --device nothing 2>/dev/null || status=$?
[ $status -eq 2 ] || { echo "an unknown device ends with $status, not 2"; exit 1; }

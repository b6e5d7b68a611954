#!/usr/bin/env bash
# info_memory_test.sh PROGRAM WEIGHTS: info tells the memory of a batch before any is taken.
set -euo pipefail
program=$1 weights=$2
contains() {  # contains TEXT PART...
  local text=$1 part; shift
  for part in "$@"; do grep -qF -- "$part" <<<"$text" || { echo "'$part' is missing in: $text"; exit 1; }; done
}
text=$("$program" info "$weights" --batch 4 --size 96 --device reference)
contains "$text" 'memory to score 4 images of 96x96 on reference' 'residual' '4 x 3 x 96 x 96' 'projection' 'total'
grep -q passes <<<"$text" && { echo 'a batch of one pass is told as several'; exit 1; }
contains "$("$program" info "$weights" --batch 5 --size 96 --device reference)" 'scored in 2 passes of at most 4 images, which take'
contains "$("$program" info "$weights" --batch 5 --size 96 --device reference --json)" '"passes": 2' '"images": 4'
contains "$("$program" info "$weights" --batch 2 --training)" 'memory to train on 2 images of 256x256 on cpu' 'gradient of the maps'
# More than this machine has.
contains "$("$program" info "$weights" --batch 512 --size 1024 --json)" '"memory"' '"regions"' '"batch": 512'
grep -q memory <<<"$("$program" info "$weights" --json)" && { echo 'memory is told though nobody asked'; exit 1; }
status=0; "$program" info "$weights" --batch 65536 --size 4096 >/dev/null 2>&1 || status=$?
[ $status -eq 2 ] || { echo "a batch beyond all bounds ends with $status, not 2"; exit 1; }
status=0; "$program" info "$weights" --training >/dev/null 2>&1 || status=$?
[ $status -eq 2 ] || { echo "--training without --batch ends with $status, not 2"; exit 1; }
if "$program" info "$weights" --batch 1 --device emulated >/dev/null 2>&1; then
  contains "$("$program" info "$weights" --batch 8 --device emulated --precision fp16)" 'block 3' '8 x 31 x 31 x 256' 'emulated'
  contains "$("$program" info "$weights" --batch 100 --device emulated --precision fp16)" 'in 2 passes of at most 96 images'
fi

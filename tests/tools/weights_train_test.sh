#!/usr/bin/env bash
# weights_train_test.sh WEIGHTS PROGRAM WRITE_SAMPLE_INPUTS: the recipe from its first line, on few pictures and with
# few steps; what was interrupted goes on; members are joined. What it makes is a model that the program takes.
set -euo pipefail
weights=$1
export LFM_CUDA=$2
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"$3" "$folder" 40
pictures=$folder/pictures
for kind in train/one heldout/web heldout/phones heldout/avt; do mkdir -p "$pictures/$kind"/{0_real,1_fake}; done
classes=(0_real 1_fake)
# Fakes are those with more noise (write_ppm), which even a hardly trained network's logits tell apart: there is something to calibrate.
class_of() { echo "${classes[(100 + $1) * 37 % 117 > 58]}"; }
for i in {0..39}; do ln "$folder/many/$i.ppm" "$pictures/train/one/$(class_of "$i")/"; done
for i in {0..11}; do
  for kind in web phones avt; do ln "$folder/many/$i.ppm" "$pictures/heldout/$kind/$(class_of "$i")/"; done
done

train() { bash "$weights/train" "$@" "$pictures" "$folder/model.lfmw" "$folder/work" > "$folder/said" 2>&1; }
run() { train "$@" || { cat "$folder/said"; exit 1; }; }
run --steps 2,1 --out "$folder/single.lfmw"
"$LFM_CUDA" info "$folder/single.lfmw" > "$folder/info"
grep -q 'name  *lfm-distilled' "$folder/info"
grep -q 'made_by: weights/train' "$folder/info"
[ ! -d "$folder/work/kinds/avt/0_real" ] || { echo "avt's reals set the threshold"; exit 1; }

# Again: both stages are done, and nothing is trained anew; this time with a second member.
before=$(sha256sum < "$folder/work/settle/last.lfmw")
run --steps 2,1 --out "$folder/pair.lfmw" --member "$folder/model.lfmw" --combine max
after=$(sha256sum < "$folder/work/settle/last.lfmw")
[ "$after" = "$before" ] || { echo "a stage that was done has run again"; exit 1; }
"$LFM_CUDA" info "$folder/pair.lfmw" > "$folder/info"
grep -q 'combination  *max' "$folder/info"
grep -q 'member 2' "$folder/info"
"$LFM_CUDA" detect -q --model "$folder/pair.lfmw" "$folder/image.ppm" > /dev/null
[ -s "$folder/work/train.log" ]

if train --steps 2; then echo "took --steps 2"; exit 1; fi
grep -q 'PICTURES TEACHER WORK' "$folder/said"

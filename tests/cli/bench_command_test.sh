#!/usr/bin/env bash
# bench_command_test.sh PROGRAM: bench times batches, layers and training steps, and runs what a profiler shall see.
set -euo pipefail
program=$1
small=(--batch 2 --size 48 --iterations 3 --warm-up 1)

contains() {  # contains TEXT PART...
  local text=$1 part
  shift
  for part in "$@"; do grep -qF -- "$part" <<<"$text" || { echo "'$part' is missing in: $text"; exit 1; }; done
}
refused() {  # refused ARGUMENTS...: as a misuse
  local status=0
  "$program" bench "$@" >/dev/null 2>&1 || status=$?
  [ $status -eq 2 ] || { echo "bench $* ends with $status, not 2"; exit 1; }
}

layers=('residual and block 1' 'block 2' 'block 3' 'block 4 and projection' 'pooling' 'head')
contains "$("$program" bench --device cpu "${small[@]}")" 'end-to-end: batches of 2 images of 48x48, 3 after 1' 'images/s' "${layers[@]}"
contains "$("$program" bench --device cpu --resident "${small[@]}")" 'resident: batches of 2 images of 48x48' 'images/s' "${layers[@]}"
contains "$("$program" bench --device reference --resident --batch 1 --size 48 --iterations 1 --warm-up 1)" 'images/s' "${layers[@]}"
contains "$("$program" bench --device cpu --training "${small[@]}")" 'training step' 'forward residual and block 1' 'backward residual and block 1' 'Adam'

json=$("$program" bench --device cpu --precision fp32 --batch 1 --size 49 --iterations 2 --warm-up 1 --json)
contains "$json" '"schema": "lfm-bench/1"' '"mode": "end-to-end"' images_per_second '"operation": "block 2"' '"precision": "fp32"' '"p90"' share
contains "$("$program" bench --device cpu --training "${small[@]}" --json)" '"mode": "training"' '"operation": "training step"' '"operation": "Adam"'

[[ $("$program" bench --device cpu --batch 1 --size 48 --warm-up 1 --profile 3) == *': 3 batches of 1 images of 48x48 between profiler start and stop, after 1' ]]
refused --device nothing
refused --device cpu --kernels cudnn
refused --device cpu --compare-kernels
refused --device emulated --kernels block9=cudnn
refused --device emulated --training --kernels cublas
refused --device emulated --compare-kernels --kernels cudnn
refused --device cpu --resident --training
refused --device cpu --training --precision fp16
refused --device cpu --training --precision bf16

if "$program" bench --device emulated --batch 1 --size 48 --iterations 1 --warm-up 1 --precision fp16 >/dev/null 2>&1; then
  contains "$("$program" bench --device emulated "${small[@]}" --json)" '"variant": "overlapping"' '"variant": "alone"' '"precision": "fp16"'
  contains "$("$program" bench --device emulated --resident "${small[@]}" --json)" '"mode": "resident"' '"input_sets": 2' '"operation": "block 4 and projection"'
  contains "$("$program" bench --device emulated --training --precision bf16 "${small[@]}" --json)" '"mode": "training"' '"precision": "bf16"'
  contains "$("$program" bench --device emulated --resident --kernels block3=cudnn,head=cublas --batch 1 --size 48 --iterations 1 --warm-up 1)" \
    'block 3 by cuDNN, head by cuBLAS' 'block 3, cuDNN' 'head, cuBLAS'
  contains "$("$program" bench --device emulated --compare-kernels --precision fp32 --batch 1 --size 48 --iterations 1 --warm-up 1)" \
    'ours     cuDNN    cuBLAS' 'block 4 and projection' 'with cuDNN: emulated (emulated, fp32; block 2 by cuDNN'
  for mode in '' --resident --training; do
    contains "$("$program" bench --device emulated $mode "${small[@]}" --profile 2)" ': 2 batches of 2 images'
  done
fi

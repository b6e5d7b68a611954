#!/usr/bin/env bash
# gpu_bundle_test.sh CHECKOUT BUILD DEVICE: fills a bundle with what BUILD holds and runs its two calls on a machine
# with nothing but a shell and the C library. emulated: wholly, on the emulated device. cuda: to the point where a GPU
# is asked for, with every program there is.
set -euo pipefail
checkout=$1 build=$2 device=$3
command -v patchelf >/dev/null || { echo "patchelf is missing: tools/install-packages installs it"; exit 77; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
bundle=$work/bundle
mkdir "$work/out"

fail() {
  echo "gpu_bundle_test: $1" >&2
  for file in "$work"/out/*.md; do [ ! -f "$file" ] || cat "$file" >&2; done
  exit 1
}
in_bare_root() {
  local status=0
  "$checkout/tests/tools/bare_root" "$bundle" "$work/out" "$@" || status=$?
  [ $status -ne 77 ] || exit 77
  return $status
}
outcome() {  # outcome FILE STEP OUTCOME
  grep -qE "^\| $2 \| $3" "$work/out/$1" || fail "$1 has no step '$2' that is '$3'"
}

if [ "$device" = cuda ]; then
  "$checkout/tools/gpu-bundle" "$bundle" --build "$build" --no-build --pack "$work/bundle.tar.xz"
  rm -r "$bundle"  # what is run is what was packed
  python3 -m tarfile -e "$work/bundle.tar.xz" "$work"
  for call in correctness performance; do
    ! in_bare_root /elsewhere/bundle/run $call --out /out || fail "$call passed without a GPU"
    outcome $call.md 'programs start' passed
    outcome $call.md 'first launch' 'FAILED: .*CUDA'
  done
  ! grep -E '^\|.*\| (passed|FAILED)' "$work/out"/*.md | grep -vE '\| (programs start|first launch) \|' ||
    fail "a step ran without a GPU"
  outcome correctness.md tests 'SKIPPED: there is no device'
  outcome performance.md counters 'SKIPPED: there is no device'
  exit 0
fi

"$checkout/tools/gpu-bundle" "$bundle" --build "$build" --no-build --emulated --programs '^(head|residual|adam)_test_'
in_bare_root /elsewhere/bundle/run correctness --out /out || fail "correctness failed"
for step in 'programs start' 'first launch' tests samples memcheck racecheck training initcheck synccheck; do
  outcome correctness.md "$step" passed
done
in_bare_root /elsewhere/bundle/run performance --out /out || fail "performance failed"
for step in 'programs start' 'first launch' ceilings resident 'end to end' kernels training counters; do
  outcome performance.md "$step" passed
done
for step in 'peers agree' 'PyTorch, eager' 'PyTorch, compiled' LibTorch 'PyTorch, training'; do
  outcome performance.md "$step" 'SKIPPED: python3 is not on PATH'
done
for text in 'no figure here is a GPU' '| matrix product | mma.sync, tf32, registers alone |' \
  '| conv2x2_tensor, block 2 | tensor cores, fp16 |' '| adam | every parameter' '| stand_in_kernel |'; do
  grep -qF "$text" "$work/out/performance.md" || fail "performance.md lacks '$text'"
done
! grep -q "$checkout" "$work"/out/*.md "$work"/out/*.log || fail "a report names the checkout"

# Nothing is overwritten: the next report has a number. A budget that is spent is said so, and no success.
! in_bare_root /elsewhere/bundle/run correctness --out /out --budget 1 || fail "a call without time passed"
outcome correctness-2.md tests 'SKIPPED: the budget of 1 s is spent'

# What is ended from outside keeps what it had measured, and its programs end with it.
for signal in KILL TERM; do
  "$bundle/run" correctness --out "$work/$signal" --steps 'start|launch|training' >/dev/null 2>&1 &
  call=$!
  until grep -q '"first launch", "limit"' "$work/$signal/correctness.jsonl" 2>/dev/null; do
    kill -0 $call || fail "a call ended early"
    sleep 0.1
  done
  sleep 0.3
  kill -$signal $call
  wait $call 2>/dev/null || true
  grep -q '| programs start | passed' "$work/$signal/correctness.md" || fail "ended by $signal, a call left no report"
  grep -q 'ended from outside' "$work/$signal/correctness.md" || fail "ended by $signal, a call does not say so"
  "$checkout/tools/gpu/run" report "$work/$signal/correctness.jsonl" --output "$work/$signal.md"
  cmp "$work/$signal.md" "$work/$signal/correctness.md" || fail "ended by $signal, a call left rows unlike its report"
done

# A program that is broken is found before anything is run.
echo >"$bundle/bin/residual_test_emulated"
! "$bundle/run" correctness --out "$work/out" --steps start || fail "a broken program was not found"
grep -q 'residual_test_emulated' "$work/out/correctness-3.md"

#!/usr/bin/env bash
# gpu_acceptance_test.sh TOOL BUILD: the dry run passes, names every step in its report, and fails where a step does.
set -euo pipefail
tool=$1 build=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/build"
ln -s "$build/bin" "$work/build/bin"
cp "$build/CTestTestfile.cmake" "$work/build/"
ln -s "$build/tests" "$work/build/tests"

"$tool" --emulated --no-build --build "$work/build" --report "$work/report.md"
steps=(machine tests benchmarks training)
[ ! -x "$build/bin/memory_checker_test" ] || steps+=('compute-sanitizer memcheck')  # clang builds none
for step in "${steps[@]}"; do
  grep -qF "| $step | passed |" "$work/report.md" || { cat "$work/report.md"; exit 1; }
done
grep -q 'no figure here is a GPU' "$work/report.md"
grep -q 'images/s' "$work/report.md"
if [ -x "$build/bin/lfm-bench" ]; then
  for row in 'conv2x2_tensor, block 2 | tensor cores, fp16' 'gradient of the weight, block 4 | tensor cores, bf16' 'adam | every parameter'; do
    grep -qF "| $row" "$work/report.md" || { echo "the kernels' table has no row '$row'"; exit 1; }
  done
fi

rm "$work/build/bin"  # nothing to run
if "$tool" --emulated --no-build --build "$work/build" --report "$work/report.md" >/dev/null; then
  echo "a run without programs passed"
  exit 1
fi
grep -q '| benchmarks | FAILED' "$work/report.md"

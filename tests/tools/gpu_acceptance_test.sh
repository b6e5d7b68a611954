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
for step in machine tests 'compute-sanitizer memcheck' benchmarks training; do
  grep -qF "| $step | passed |" "$work/report.md" || { cat "$work/report.md"; exit 1; }
done
grep -q 'no figure here is a GPU' "$work/report.md"
grep -q 'images/s' "$work/report.md"

rm "$work/build/bin"  # nothing to run
if "$tool" --emulated --no-build --build "$work/build" --report "$work/report.md" >/dev/null; then
  echo "a run without programs passed"
  exit 1
fi
grep -q '| benchmarks | FAILED' "$work/report.md"

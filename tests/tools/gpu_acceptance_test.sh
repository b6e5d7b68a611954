#!/usr/bin/env bash
# gpu_acceptance_test.sh TOOL BUILD: the front for machines that build for themselves: a dry run of it, and what it refuses.
set -euo pipefail
tool=$1 build=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/build"
for part in bin gpu-programs.json; do ln -s "$build/$part" "$work/build/$part"; done

"$tool" --emulated --no-build --build "$work/build" --out "$work/out" --programs '^head_test' --steps 'programs start|tests'
grep -q '| tests | passed |' "$work/out/correctness.md"
grep -q '| programs start | passed |' "$work/out/performance.md"
grep -q 'no figure here is a GPU' "$work/out/performance.md"
[ ! -e "$work/build/gpu-bundle/python" ]  # this machine has one

for wrong in '--no-such-option' '--build'; do
  ! "$tool" $wrong 2>"$work/said" || { echo "'$wrong' was accepted"; exit 1; }
  grep -q "gpu-acceptance: .*${wrong#--}" "$work/said"
done
mkdir "$work/empty"
! "$tool" --emulated --no-build --build "$work/empty" 2>"$work/said" || { echo "a build without programs passed"; exit 1; }
grep -q 'gpu-programs.json is missing' "$work/said"

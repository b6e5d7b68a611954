#!/usr/bin/env bash
# evidence_test.sh EVIDENCE: what a run left is counted by configuration and outcome; a folder without results is refused.
set -euo pipefail
evidence=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/ci" "$work/fuzz/logs" "$work/coverage/lines"
status=0
"$evidence" "$work" 2>"$work/error" || status=$?
[ $status -eq 1 ] && grep -q '\.ci/run' "$work/error" || { echo "an empty folder ends with $status: $(cat "$work/error")"; exit 1; }
cat >"$work/ci/release.xml" <<'XML'
<testsuite name="x" tests="4" failures="1" disabled="0" skipped="1">
  <testcase name="one:A.b" status="run" time="1"/><testcase name="one:A.c" status="run" time="1"/>
  <testcase name="two" status="fail" time="1"><failure message=""/></testcase>
  <testcase name="three:X.y" status="notrun" time="0"><skipped message="SKIP"/></testcase>
</testsuite>
XML
printf '#1 cov: 7 ft: 9 corp: 1\n#2 cov: 12 ft: 34 corp: 2\nstat::number_of_executed_units: 56\n' >"$work/fuzz/logs/lfmw.log"
echo 0 >"$work/fuzz/logs/lfmw.status"
printf 'File Lines Exec Cover\nTOTAL      200     199    99%%\n' >"$work/coverage/lines/src.txt"
"$evidence" "$work" >"$work/out.md"
for row in '| release | 2 | 1 | 1 |' '| lfmw | 56 | 12 | 34 | none |' '| src/ | 200 | 199 | 99% |'; do
  grep -qF "$row" "$work/out.md" || { echo "no row '$row' in:"; cat "$work/out.md"; exit 1; }
done

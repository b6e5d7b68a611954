#!/usr/bin/env bash
# man_page_test.sh PAGE PROGRAM: the page tells of every option of detect, evaluate, explain, train, serve and doctor, and of every word
# that options take, and formats without complaint.
set -euo pipefail
page=$1 program=$2
for option in $(for command in detect evaluate explain train serve doctor; do "$program" $command --help; done | grep -oE '^ +(-[a-z],)?--[a-z][a-z0-9-]*' | grep -oE -- '--[a-z0-9-]+'); do
  [ "$option" = --help ] && continue
  grep -qF -- "${option//-/\\-}" "$page" || { echo "the man page misses $option"; exit 1; }
done
text=$(sed -E 's/\\f[BIRP]//g; s/\\-/-/g' "$page")
words=$(for command in detect evaluate explain train; do "$program" $command --help; done |
  sed -nE 's/^ +((-[a-zA-Z0-9],)?--[a-z0-9-]+) ([^ =]*\|[^ =]*).*/\3/p' | sed -E 's/:[A-Z]+/:/g' | tr '|' '\n' | sort -u)
[ "$(wc -l <<<"$words")" -ge 30 ] || { echo "only these words were found in the help: $words"; exit 1; }
for word in $words; do
  grep -qwF -- "$word" <<<"$text" || { echo "the man page misses the word '$word'"; exit 1; }
done
if command -v groff >/dev/null; then
  complaints=$(groff -man -Tutf8 -ww "$page" 2>&1 >/dev/null)
  [ -z "$complaints" ] || { echo "$complaints"; exit 1; }
fi

#!/usr/bin/env bash
# man_page_test.sh PAGE PROGRAM: the page tells of every option of detect, evaluate, explain and train, and formats without complaint.
set -euo pipefail
page=$1 program=$2
for option in $(for command in detect evaluate explain train; do "$program" $command --help; done | grep -oE '^ +(-[a-z],)?--[a-z][a-z0-9-]*' | grep -oE -- '--[a-z0-9-]+'); do
  [ "$option" = --help ] && continue
  grep -qF -- "${option//-/\\-}" "$page" || { echo "the man page misses $option"; exit 1; }
done
if command -v groff >/dev/null; then
  complaints=$(groff -man -Tutf8 -ww "$page" 2>&1 >/dev/null)
  [ -z "$complaints" ] || { echo "$complaints"; exit 1; }
fi

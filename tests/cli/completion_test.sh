#!/usr/bin/env bash
# completion_test.sh SCRIPT PROGRAM: what bash offers at a few places of the command line, and after every option that takes one of a few
# words. The scripts for zsh and fish beside it ask the program by the same pattern, which is run too; the shells themselves, where they are.
set -euo pipefail
source "$1"
program=$2

offers() {  # offers WANTED WORD...: completing the last word offers WANTED
  local wanted=$1
  shift
  COMP_WORDS=("$program" "$@")
  COMP_CWORD=$#
  COMPREPLY=()
  _lfm_cuda
  [[ " ${COMPREPLY[*]} " == *" $wanted "* ]] || { echo "'$*' offers '${COMPREPLY[*]}', not '$wanted'"; exit 1; }
}
offers detect ''
offers detect de
offers doctor do
offers convert c
offers --version --v
offers --threshold detect --th
offers --max-pixels detect -
offers native detect --view ''
offers jsonl detect --format j
offers bf16 detect --precision b
offers tf32 train --precision t
offers md evaluate --format ''
offers tiles evaluate --view t
offers --regions explain --r
offers --perturb evaluate --p
offers --force convert --
offers --lr-min train --lr
offers rank train --rbld-scale r

# Every option that takes words: all of them are offered.
counted=0
for command in detect evaluate explain train convert doctor; do
  help=$("$program" $command --help)
  while read -r names words; do
    for word in ${words//|/ }; do
      for name in ${names//,/ }; do
        offers "$(sed -E 's/:[A-Z]+$/:/' <<<"$word")" $command "$name" ''
        counted=$((counted + 1))
      done
    done
  done < <(sed -nE 's/^ +((-[a-zA-Z0-9],)?--[a-z0-9-]+) ([^ =]*\|[^ =]*).*/\1 \3/p' <<<"$help")
done
[ "$counted" -ge 60 ] || { echo "only $counted words of options were found in the help"; exit 1; }
offers maps,logits train --distill m

# The other shells' scripts find words by the pattern that this test has just tried, and have no list of their own.
folder=$(dirname "$1")
pattern='(,--[a-z0-9-]+)? ([^ =]*\|[^ =]*).*/\4/p'
for script in "$1" "$folder/_lfm-cuda" "$folder/lfm-cuda.fish"; do
  grep -qF -- "$pattern" "$script" || { echo "$script asks the program for no words"; exit 1; }
  ! grep -qE 'native|jsonl|bf16' "$script" || { echo "$script has words of its own"; exit 1; }
done
if command -v zsh >/dev/null; then zsh -n "$folder/_lfm-cuda"; fi
if command -v fish >/dev/null; then
  fish -n "$folder/lfm-cuda.fish"
  offered=$(PATH="$(dirname "$program"):$PATH" fish -c "source '$folder/lfm-cuda.fish'; complete -C 'lfm-cuda train --distill '")
  grep -q 'maps,logits' <<<"$offered" || { echo "fish offers '$offered' after --distill"; exit 1; }
fi

COMP_WORDS=("$program" detect ph) COMP_CWORD=2 COMPREPLY=()
_lfm_cuda
[ ${#COMPREPLY[@]} -eq 0 ] || { echo "file names are left to bash"; exit 1; }

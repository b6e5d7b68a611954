#!/usr/bin/env bash
# completion_test.sh SCRIPT PROGRAM: what bash offers at a few places of the command line.
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

COMP_WORDS=("$program" detect ph) COMP_CWORD=2 COMPREPLY=()
_lfm_cuda
[ ${#COMPREPLY[@]} -eq 0 ] || { echo "file names are left to bash"; exit 1; }

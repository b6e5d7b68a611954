# Completion of lfm-cuda for bash. Commands, options and their words are asked from the program itself, so they are always those it has.
_lfm_cuda() {
  local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]} program=${COMP_WORDS[0]} words= help=
  if [ "$COMP_CWORD" -eq 1 ]; then
    words="$("$program" --help 2>/dev/null | sed -n '/^Subcommands:/,/^$/s/^  \([a-z][a-z-]*\).*/\1/p') --help --version"
  else
    help=$("$program" "${COMP_WORDS[1]}" --help 2>/dev/null)
    if [[ $previous == -* ]]; then  # --view ONE|OTHER: what stands between bars; of jpeg:QUALITY and the like, jpeg:
      words=$(sed -nE "s/^ +(-[a-zA-Z0-9],)?(--[a-z0-9-]+,?)*$previous(,--[a-z0-9-]+)? ([^ =]*\|[^ =]*).*/\4/p" <<<"$help" | sed -E 's/:[A-Z]+/:/g' | tr '|' ' ')
    fi
    [ -n "$words" ] || [[ $current != -* ]] || words=$(grep -oE -- '--[a-z][a-z0-9-]*' <<<"$help")
  fi
  # With no words bash completes file names.
  [ -z "$words" ] || mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
}
complete -o default -F _lfm_cuda lfm-cuda

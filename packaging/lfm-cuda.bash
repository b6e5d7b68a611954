# Completion of lfm-cuda for bash. Commands and options are asked from the program itself, so they are always those it has.
_lfm_cuda() {
  local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]} program=${COMP_WORDS[0]} words=
  if [ "$COMP_CWORD" -eq 1 ]; then
    words="$("$program" --help 2>/dev/null | sed -n '/^Subcommands:/,/^$/s/^  \([a-z][a-z-]*\).*/\1/p') --help --version"
  else
    case $previous in
      --view) words='resize native center tiles' ;;
      --device | -d) words='auto cpu cuda cuda:all reference emulated' ;;
      --precision) [ "${COMP_WORDS[1]}" = train ] && words='fp32 tf32 bf16' || words='auto fp32 tf32 fp16 bf16' ;;
      --format | -f) [ "${COMP_WORDS[1]}" = evaluate ] && words='text md csv json' || words='table csv json jsonl' ;;
      --protocol) words='model paper' ;;
      --pool) words='topk avg' ;;
      --rbld-scale) words='none mean rank' ;;
      --best-by) words='ap accuracy loss' ;;
      --threshold-at) words='1% 5% 10%' ;;
      --fit-threshold) words='1% 5% 10% balanced' ;;
      --distill) words='maps logits maps,logits' ;;
      --sort) words='input score path' ;;
      *) [[ $current == -* ]] && words=$("$program" "${COMP_WORDS[1]}" --help 2>/dev/null | grep -oE -- '--[a-z][a-z0-9-]*') ;;
    esac
  fi
  # With no words bash completes file names.
  [ -z "$words" ] || mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
}
complete -o default -F _lfm_cuda lfm-cuda

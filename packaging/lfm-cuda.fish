# Completion of lfm-cuda for fish. Commands, options and their words are asked from the program itself, so they are always those it has.
function __lfm_cuda_commands
    lfm-cuda --help 2>/dev/null | sed -n '/^Subcommands:/,/^$/s/^  \([a-z][a-z-]*\) *\(.*\)/\1\t\2/p'
end
function __lfm_cuda_options
    set -l line (commandline -opc)
    lfm-cuda $line[2] --help 2>/dev/null | grep -oE -- '--[a-z][a-z0-9-]*'
end
# --view ONE|OTHER: what stands between bars, of the option before the cursor; of jpeg:QUALITY and the like, jpeg:
function __lfm_cuda_words
    set -l line (commandline -opc)
    string match -q -- '-*' $line[-1]; or return 1
    lfm-cuda $line[2] --help 2>/dev/null | sed -nE "s/^ +(-[a-zA-Z0-9],)?(--[a-z0-9-]+,?)*$line[-1](,--[a-z0-9-]+)? ([^ =]*\|[^ =]*).*/\4/p" | sed -E 's/:[A-Z]+/:/g' | tr '|' '\n' | grep .
end
complete -c lfm-cuda -n __fish_use_subcommand -f -a '(__lfm_cuda_commands)'
complete -c lfm-cuda -n 'not __fish_use_subcommand; and string match -q -- "-*" (commandline -ct)' -f -a '(__lfm_cuda_options)'
complete -c lfm-cuda -n 'not __fish_use_subcommand; and __lfm_cuda_words >/dev/null' -f -a '(__lfm_cuda_words)'

# Completion of lfm-cuda for fish. Commands and options are asked from the program itself, so they are always those it has.
function __lfm_cuda_commands
    lfm-cuda --help 2>/dev/null | sed -n '/^Subcommands:/,/^$/s/^  \([a-z][a-z-]*\) *\(.*\)/\1\t\2/p'
end
function __lfm_cuda_options
    set -l words (commandline -opc)
    lfm-cuda $words[2] --help 2>/dev/null | grep -oE -- '--[a-z][a-z0-9-]*'
end
complete -c lfm-cuda -n __fish_use_subcommand -f -a '(__lfm_cuda_commands)'
complete -c lfm-cuda -n 'not __fish_use_subcommand; and string match -q -- "-*" (commandline -ct)' -f -a '(__lfm_cuda_options)'
complete -c lfm-cuda -l view -x -a 'resize native center tiles'
complete -c lfm-cuda -s d -l device -x -a 'auto cpu cuda cuda:all reference emulated'
complete -c lfm-cuda -n 'not __fish_seen_subcommand_from train' -l precision -x -a 'auto fp32 tf32 fp16 bf16'
complete -c lfm-cuda -n '__fish_seen_subcommand_from train' -l precision -x -a 'fp32 tf32 bf16'
complete -c lfm-cuda -n 'not __fish_seen_subcommand_from evaluate' -s f -l format -x -a 'table csv json jsonl'
complete -c lfm-cuda -n '__fish_seen_subcommand_from evaluate' -s f -l format -x -a 'text md csv json'
complete -c lfm-cuda -l protocol -x -a 'model paper'
complete -c lfm-cuda -l sort -x -a 'input score path'

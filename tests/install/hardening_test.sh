#!/usr/bin/env bash
# hardening_test.sh REASON FILE...: what cmake/LfmHardening.cmake asks for shows in the program, and in the library where that is shared.
# REASON: why this build isn't hardened, or empty.
set -euo pipefail
[ -z "$1" ] || { echo "not hardened: $1"; exit 77; }
shift
command -v readelf >/dev/null || { echo "readelf is missing: it comes with binutils"; exit 77; }
failed=0

expect() {  # expect WHAT TEXT PATTERN
  grep -qE "$3" <<<"$2" || { echo "$file: $1"; failed=1; }
}

for file in "$@"; do
  header=$(readelf -hW "$file") segments=$(readelf -lW "$file") dynamic=$(readelf -dW "$file")
  expect "it is not position-independent" "$header" 'Type: +DYN'
  expect "its relocations stay writable" "$segments" 'GNU_RELRO'
  expect "its functions are bound late, in a table that stays writable" "$dynamic" 'BIND_NOW|FLAGS.* NOW'
  expect "its stack is executable" "$segments" 'GNU_STACK.* RW +0x'
done
# Of a program whose own code is in a shared library, little is left to protect.
file=${*: -1} symbols=$(readelf --dyn-syms -W "$file")
expect "it has no stack protector" "$symbols" 'UND __stack_chk_fail'
expect "it calls no fortified function" "$symbols" 'UND __[a-z]+_chk'
if [ "$(uname -m)" = x86_64 ] && command -v objdump >/dev/null; then
  file=$1
  expect "indirect calls may lead anywhere" "$(objdump -d --disassemble=main "$file")" 'endbr64'
fi
exit $failed

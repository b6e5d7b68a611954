#!/usr/bin/env bash
# profile_tools_test.sh TOOLS PROGRAM: what tools/profile-nsys and tools/profile-ncu ask of Nsight, by stand-ins that write down their
# command lines and run the program on the emulated device, so that it has to take the options it is given.
set -euo pipefail
tools=$1 program=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/bin"
cat >"$work/bin/nsys" <<'STANDIN'
#!/usr/bin/env bash
name=$(basename "$0")
echo "$name graphs=${LFM_CUDA_GRAPHS:-on} $*" >>"$RECORD"
output='' arguments=("$@")
while [ $# -gt 0 ]; do
  case $1 in
    --output | --export) output=$2 ;;
    */lfm-cuda) break ;;
  esac
  shift
done
[ $# -gt 0 ] || exit 0  # it only reads a report
touch "$output.$([ "$name" = nsys ] && echo nsys-rep || echo ncu-rep)"
exec "${@/#cuda/emulated}"
STANDIN
chmod +x "$work/bin/nsys"
ln -s nsys "$work/bin/ncu"
export PATH=$work/bin:$PATH RECORD=$work/record LFM_CUDA=$program
cd "$work"

fail() { echo "$*"; cat "$RECORD"; exit 1; }
asked() { for words in "$@"; do grep -qF -- "$words" "$RECORD" || fail "not asked for: $words"; done; }
not_asked() { for words in "$@"; do if grep -qF -- "$words" "$RECORD"; then fail "asked for: $words"; fi; done; }
run() { : >"$RECORD"; "$@" >output || { cat output; fail "$* ended with $?"; }; }
small=(--batch 1 --size 48)

run "$tools/profile-nsys" "${small[@]}" --warm-up 1 --profile 1
asked --capture-range=cudaProfilerApi --capture-range-end=stop --cuda-graph-trace=node 'bench --device cuda' 'nsys graphs=on stats --report cuda_gpu_kern_sum'
grep -q ': 1 batches of 1 images of 48x48 between profiler start and stop' output
[ -f lfm-cuda.nsys-rep ]
run "$tools/profile-nsys" "${small[@]}" --warm-up 1 --training
asked '--profile 5' --training

for set in roofline memory compute latency full; do
  run "$tools/profile-ncu" "$set" "${small[@]}"
  asked 'ncu graphs=off' '--profile-from-start off' '--clock-control none' "--export $set" '--warm-up 2 --profile 1' "--import $set.ncu-rep"
  not_asked --launch-count --kernel-name
  [ -f "$set.ncu-rep" ]
done
run "$tools/profile-ncu" memory --kernel 'conv2x2_tensor' "${small[@]}" --precision fp16 --resident
asked '--kernel-name regex:conv2x2_tensor --launch-count 1' '--precision fp16 --resident'
OUTPUT=two run "$tools/profile-ncu" latency --launches 2 --kernel pool "${small[@]}"
asked '--launch-count 2' '--export two'

"$tools/profile-ncu" --help | grep -q -- --launches
"$tools/profile-nsys" --help | grep -q -- --precision
status=0
"$tools/profile-ncu" nothing >/dev/null || status=$?
[ $status -eq 2 ] || fail "an unknown set of metrics ends with $status, not 2"
status=0
PATH=/usr/bin:/bin "$tools/profile-nsys" "${small[@]}" 2>output || status=$?
{ [ $status -eq 3 ] && grep -q 'nsys is missing' output; } || { [ -x /usr/bin/nsys ] || fail "without nsys it ends with $status"; }

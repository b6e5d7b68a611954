#!/usr/bin/env bash
# install_test.sh PART CMAKE BUILD WORK WRITE_SAMPLE_INPUTS
set -euo pipefail
part=$1 cmake=$2 build=$3 work=$4 write_sample_inputs=$5
source=$(dirname "$0")/program
prefix=$work/prefix

scores() {  # scores PROGRAM: a line for the image, with the model found through the environment
  LFM_MODEL=$work/samples/model.lfmw "$1" "$work/samples/image.ppm" | tee "$work/scores"
  grep -qE 'image.ppm"? (fake|real) ' "$work/scores"
}

case $part in
  install)
    rm -rf "$work/prefix" "$work/samples"
    "$cmake" --install "$build" --prefix "$prefix"
    mkdir -p "$work/samples"
    "$write_sample_inputs" "$work/samples" ;;
  program)
    "$prefix/bin/lfm-cuda" --version
    # An installed model is found beside the program, by name and by default.
    mkdir -p "$prefix/share/lfm-cuda"
    cp "$work/samples/model.lfmw" "$prefix/share/lfm-cuda/test.lfmw"
    "$prefix/bin/lfm-cuda" detect --model test "$work/samples/image.ppm"
    for file in share/man/man1/lfm-cuda.1 share/bash-completion/completions/lfm-cuda share/zsh/site-functions/_lfm-cuda \
      share/fish/vendor_completions.d/lfm-cuda.fish include/lfm/detector.h; do
      [ -s "$prefix/$file" ] || { echo "$file is not installed"; exit 1; }
    done ;;
  find_package)
    rm -rf "$work/find_package"
    "$cmake" -S "$source" -B "$work/find_package" -DCMAKE_PREFIX_PATH="$prefix" -DCMAKE_BUILD_TYPE=Debug
    "$cmake" --build "$work/find_package"
    scores "$work/find_package/score" ;;
  pkg_config)
    pc=$(dirname "$(find "$prefix" -name lfm.pc)")
    # The file names the prefix of its build; this installation went elsewhere.
    flags=$(PKG_CONFIG_PATH=$pc pkg-config --define-variable=prefix="$prefix" --cflags --libs lfm)
    # shellcheck disable=SC2086
    $CXX -std=c++20 $CXXFLAGS "$source/score.cpp" $flags "-Wl,-rpath,$(dirname "$pc")" -o "$work/score"
    scores "$work/score" ;;
esac

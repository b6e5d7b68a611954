#!/usr/bin/env bash
# package_test.sh BUILD WORK: what cpack makes of a build. The .deb has everything that is installed, depends on the packages of the libraries
# that its programs are linked with, has no path of the machine that built it, and is the same bits when made again; the SBOM lists those packages.
# Where LFM_CHROOT=1 and debootstrap is there, it is installed in a clean Debian too, used, and purged.
set -euo pipefail
build=$1 work=$2 source=$(cd "$(dirname "$0")/../.." && pwd)
for tool in cpack dpkg-deb dpkg-shlibdeps python3 ninja; do
  command -v "$tool" >/dev/null || { echo "$tool is missing"; exit 77; }
done
fail() { echo "$*"; exit 1; }
export SOURCE_DATE_EPOCH=1700000000
rm -rf "$work" && mkdir -p "$work/first" "$work/second" "$work/root"

for time in first second; do
  (cd "$build" && cpack -G DEB -B "$work/$time" >"$work/$time.log") || { cat "$work/$time.log"; exit 1; }
  rm -rf "$work/$time/_CPack_Packages"
  sleep 1.1  # another second, lest the time of packaging show
done
deb=$(ls "$work"/first/*.deb)
cmp "$deb" "$work/second/$(basename "$deb")" || fail "packaged twice, the .deb differs"

dpkg-deb --extract "$deb" "$work/root"
for file in bin/lfm-cuda include/lfm/detector.h share/man/man1/lfm-cuda.1 share/bash-completion/completions/lfm-cuda \
  share/zsh/site-functions/_lfm-cuda share/fish/vendor_completions.d/lfm-cuda.fish share/lfm-cuda/default.lfmw share/doc/lfm-cuda/copyright; do
  [ -s "$work/root/usr/$file" ] || fail "the package lacks /usr/$file"
done
for pattern in liblfm.* lfm.pc lfm-config.cmake; do
  [ -n "$(find "$work/root/usr/lib" -name "$pattern")" ] || fail "the package lacks $pattern"
done
[ -z "$(find "$work/root" -type f ! -path "$work/root/usr/*")" ] || fail "the package has files outside /usr"
! dpkg-deb --contents "$deb" | grep -v 'root/root' || fail "the package has files that aren't root's"
"$work/root/usr/bin/lfm-cuda" doctor >/dev/null || fail "the packaged program doesn't work"

field() { dpkg-deb --field "$deb" "$1"; }
version=$(sed -n 's/^project(lfm-cuda VERSION \([0-9.]*\).*/\1/p' "$source/CMakeLists.txt")
[ "$(field Package) $(field Version)" = "lfm-cuda $version" ] || fail "it is $(field Package) $(field Version)"
depends=$(field Depends)
# Each library that the program itself names comes with one of the packages that it depends on.
for library in $(readelf -dW "$work/root/usr/bin/lfm-cuda" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p'); do
  file=$(ldd "$work/root/usr/bin/lfm-cuda" | sed -n "s|^\s*$library => \(/\S*\).*|\1|p")
  owner=$(dpkg-query --search "$(readlink -f "$file")" "$file" 2>/dev/null | grep -v '^diversion' | head -1 | cut -d: -f1 || true)
  [ -z "$owner" ] || grep -qE "(^|[ |])${owner//+/\\+}([ ,(:]|$)" <<<"$depends" || fail "$library is of $owner, but it depends on: $depends"
done

# Each library that it loads when a picture needs it, too, comes with a package that it recommends.
recommends=$(field Recommends)
for library in $(cat "$work"/root/usr/bin/lfm-cuda $(find "$work/root/usr/lib" -name 'liblfm.so.*') | strings -n 8 | grep -E '^lib(heif|tiff|jxl|raw|av[a-z]+|swscale)\.so\.[0-9.]+$' | sort -u); do
  file=$(ldconfig -p | sed -n "s|^\s*${library//./\\.} .* => ||p" | head -1)
  owner=$(dpkg-query --search "$(readlink -f "$file")" "$file" 2>/dev/null | grep -v '^diversion' | head -1 | cut -d: -f1 || true)
  [ -z "$owner" ] || grep -qE "(^|[ |])${owner//+/\\+}([ ,(:]|$)" <<<"$recommends" || fail "$library is of $owner, but it recommends: $recommends"
done

python3 "$source/packaging/sbom" --build "$build" --package "$deb" --output "$work/bill.spdx.json"
python3 - "$work/bill.spdx.json" "$depends" <<'PYTHON'
import json, re, sys
bill, depends = json.load(open(sys.argv[1])), sys.argv[2]
assert bill["spdxVersion"] == "SPDX-2.3" and bill["dataLicense"] == "CC0-1.0", bill["spdxVersion"]
names = {package["name"] for package in bill["packages"]}
ids = {package["SPDXID"] for package in bill["packages"]} | {"SPDXRef-DOCUMENT"}
assert len(ids) == len(bill["packages"]) + 1, "two packages have one id"
for relation in bill["relationships"]:
    assert relation["spdxElementId"] in ids and relation["relatedSpdxElement"] in ids, relation
for wanted in re.findall(r"(?:^|, )([a-z0-9.+-]+)", depends):
    assert wanted in names, f"the SBOM lacks {wanted}: {sorted(names)}"
PYTHON

# The folder of which tools/release makes the tarball needs nothing but glibc and libstdc++, as old as Ubuntu 22.04's.
folder=$work/bundle
mkdir -p "$folder" && cp -r "$work/root/usr/share" "$folder/"
"$source/packaging/bundle" "$build/bin/lfm-cuda" "$folder"
(cd / && env -i "$folder/bin/lfm-cuda" doctor >/dev/null) || fail "bundled, the program doesn't work"
! ldd "$folder/bin/lfm-cuda" | grep -vE "$folder|lib(c|m|stdc\+\+|gcc_s)\.so|ld-linux|linux-vdso" || fail "bundled, it still needs these"
mapfile -t bundled < <(find "$folder/bin" "$folder/lib" -type f | grep -vE '/lib(mpi|open-|event|hwloc|udev)')  # without MPI's, as the tarball is
newest() { objdump -T "${bundled[@]}" | grep -oE "$1[0-9.]+" | sed "s/$1//" | sort -uV | tail -1; }
printf '%s\n' "$(newest GLIBC_)" 2.35 | sort -VC || fail "bundled, it needs glibc $(newest GLIBC_)"
printf '%s\n' "$(newest GLIBCXX_)" 3.4.30 | sort -VC || fail "bundled, it needs libstdc++ of GLIBCXX_$(newest GLIBCXX_)"

if [ "${LFM_CHROOT:-}" != 1 ] || ! command -v debootstrap >/dev/null || [ "$(id -u)" -ne 0 ]; then
  echo "not installed in a clean Debian: that needs root, debootstrap and LFM_CHROOT=1"
  exit 0
fi
root=$work/debian
mirror=$(sed -nE 's/^(URIs:|deb) +(\S+\/debian)( .*)?$/\2/p' /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null | head -1 || true)
debootstrap --variant=minbase "$(. /etc/os-release && echo "$VERSION_CODENAME")" "$root" ${mirror:+"$mirror"} >"$work/debootstrap.log" ||
  { tail "$work/debootstrap.log"; fail "debootstrap failed"; }
cp "$deb" "$root/tmp/lfm-cuda.deb"
cp "$source/samples/astronaut.png" "$root/tmp/"
cp -r "$folder" "$root/tmp/bundle"
(cd "$root" && find . -xdev -not -path './var/*' -not -path './tmp/*' -not -path './proc/*' | sort) >"$work/before"
mount -t proc proc "$root/proc" && trap 'umount "$root/proc"' EXIT  # where a program finds what lies beside it
inside() { chroot "$root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root DEBIAN_FRONTEND=noninteractive "$@"; }
inside /tmp/bundle/bin/lfm-cuda detect /tmp/astronaut.png || fail "bundled, it scores nothing where nothing is installed"
inside apt-get install -y -qq --no-install-recommends /tmp/lfm-cuda.deb >"$work/install.log" 2>&1 || { tail "$work/install.log"; fail "it can't be installed"; }
inside lfm-cuda doctor || fail "doctor finds fault where it is installed"
inside lfm-cuda detect /tmp/astronaut.png || fail "it scores nothing where it is installed"
inside apt-get purge -y -qq lfm-cuda >"$work/purge.log" 2>&1
inside apt-get autoremove --purge -y -qq >>"$work/purge.log" 2>&1
(cd "$root" && find . -xdev -not -path './var/*' -not -path './tmp/*' -not -path './proc/*' | sort) >"$work/after"
! diff "$work/before" "$work/after" | grep -i lfm || fail "purged, it leaves files"
umount "$root/proc"
trap - EXIT
rm -rf "$root"

#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# ./dev bundle makes a folder that runs wherever it lies, on a system that has the C library of
# Debian 12 and nothing else. UPRES_BUNDLE=FILE.tar.xz tests that one instead of a new one.
set -euo pipefail

root=$(cd "$(dirname "$0")/../.." && pwd)
packed=${UPRES_BUNDLE:-$root/build/bundle/upres.tar.xz}
if [ -z "${UPRES_BUNDLE:-}" ]; then
  "$root/dev" bundle
fi
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
failed=0
fail() {
  echo "FAILED: $*"
  failed=1
}

# A system of its own: the C library, the bundle in a folder of another name, and the sample.
system=$folder/system moved="/opt/an other place"
mkdir -p "$system$moved" "$system"/{lib,proc,tmp,home}
ln -s lib "$system/lib64"
tar -C "$system$moved" -xf "$packed"
bundle=$system$moved/upres
c_library='lib(c|m|dl|rt|pthread|resolv|mvec)\.so\.[0-9]+|ld-linux-x86-64\.so\.2'
ldconfig -p | awk '/x86-64/ { print $NF }' | grep -E "/($c_library)\$" | sort -u |
  xargs -I{} cp -L {} "$system/lib"
cp "$root/docs/sample/sample.jpg" "$system/tmp"
printf '%-24s %s MiB, %s MiB unpacked\n' "size" "$(($(stat -c %s "$packed") >> 20))" \
  "$(du -sm "$bundle" | cut -f 1)"
[ "$(stat -c %s "$packed")" -le $((60 << 20)) ] || fail "larger than 60 MiB"

newest=$(find "$bundle/bin" "$bundle/lib" -type f ! -name '*.la' ! -name '*.xml' \
  -exec objdump -T {} + | grep -oE 'GLIBC_2\.[0-9]+' | sort -uV | tail -n 1)
printf '%-24s %s\n' "C library" "$newest or later"
[ "$(printf '%s\n' "$newest" GLIBC_2.36 | sort -V | tail -n 1)" = GLIBC_2.36 ] ||
  fail "newer than Debian 12's"

# Here, where the system has all of these libraries too: none of its own is taken.
env -i HOME=/nonexistent OMP_WAIT_POLICY=passive LD_DEBUG=libs LD_DEBUG_OUTPUT="$folder/libs" \
  "$bundle/bin/upres" doctor >"$folder/doctor"
sed -n 's/.*calling init: //p' "$folder"/libs.* | sort -u >"$folder/loaded"
printf '%-24s %s\n' "libraries loaded" "$(grep -cF "$bundle/" "$folder/loaded") of the bundle"
foreign=$(grep -vF "$bundle/" "$folder/loaded" |
  grep -vE "/($c_library|lib(cuda|nvidia-.*)\.so\..*)\$" || true)  # a driver is the system's
[ -z "$foreign" ] || fail "libraries from outside: $foreign"
missing=$(sed -n 's/^not here *//p' "$folder/doctor")
[ -z "$missing" ] || fail "formats that are missing: $missing"

# There, where nothing else is: every format is written and read.
there() {
  # shellcheck disable=SC2016  # the inner shell expands
  unshare -rm sh -c 'mount --rbind /proc "$0/proc" &&
    exec env -i HOME=/home /usr/sbin/chroot "$0" "$@"' "$system" "$moved/upres/bin/upres" "$@"
}
if ! unshare -rm true 2>/dev/null; then
  echo "SKIPPED 1: no namespaces here to hide the system in"
else
  there doctor >"$folder/doctor" || fail "doctor: $?"
  for format in png jpg webp tiff avif heic jxl jp2 bmp ppm gif; do
    if ! there image /tmp/sample.jpg -o "/tmp/a.$format" --size 48x30 --quiet; then
      fail "writing $format"
    elif ! there image "/tmp/a.$format" -o /tmp/b.png --overwrite >"$folder/said"; then
      fail "reading $format"
    else
      printf '%-24s %s\n' "$format" "$(stat -c %s "$system/tmp/a.$format") bytes,$(
        sed 's/.*b\.png//' "$folder/said" | tail -n 1) from it"
    fi
  done
fi
exit $failed

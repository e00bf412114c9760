#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Packs an installed upres with all that it needs but the C library: ./dev bundle calls it.
# usage: bundle.sh BUILD FOLDER: installs what CMake built in BUILD into FOLDER, and packs
# FOLDER.tar.xz. upres finds its libraries by its DT_RPATH ($ORIGIN/../lib), which holds for those
# that they need and those that are loaded later, too; DT_RUNPATH would not. Debian only.
set -euo pipefail
build=$1 folder=$2
limit_mib=60

rm -rf "$folder" "$folder.tar.xz"
cmake --install "$build" --prefix "$folder" --strip >/dev/null
# shellcheck disable=SC2016  # the loader expands $ORIGIN
if ! readelf -d "$folder/bin/upres" | grep -q '(RPATH).*\[$ORIGIN/../lib\]'; then
  echo "$build: upres is not linked for a bundle" >&2
  exit 1
fi

# Of libvips' modules those that upres uses; of ImageMagick's one. upres tells both where they are.
# libvips adds its folder's name, x86_64-linux-gnu, to what it is told.
system=$(dirname "$(ldd "$folder/bin/upres" | awk '/libvips\.so/ { print $3 }')")
modules=$(echo "$system"/vips-modules-*)
coders=$(echo "$system"/ImageMagick-6*/modules-Q16/coders)
vips=$folder/lib/upres/${system##*/}/${modules##*/} magick=$folder/lib/upres/magick
mkdir -p "$vips" "$magick"
cp "$modules"/vips-{heif,jxl,magick}.so "$vips"
cp "$coders/bmp.so" /etc/ImageMagick-6/policy.xml "$magick"
sed '/^libdir=/d' "$coders/bmp.la" >"$magick/bmp.la"  # so that bmp.so is looked for beside it

# What is the C library's stays the system's.
mapfile -t libraries < <(ldd "$folder/bin/upres" "$vips"/*.so "$magick"/*.so |
  awk '$3 ~ "^/" { print $3 }' | sort -u | grep -v "^$(realpath "$folder")/" |
  grep -vE '/lib(c|m|dl|rt|pthread|resolv|util|anl|mvec|nsl|nss_[a-z]*)\.so')
cp -L "${libraries[@]}" "$folder/lib"

# Licences: upres' own, and those of the packages that the libraries and headers are of, which
# packages.txt lists with their sources. A package knows a library by its name in /usr/lib, or /lib.
cp LICENSE docs/third-party.md "$folder"
licences=$folder/licences
mkdir "$licences"
cp -rL /usr/share/common-licenses "$licences/common"
{
  realpath "${libraries[@]}" "$modules/vips-heif.so" "$coders/bmp.so" | sed 's|^/usr||; s|^|*|' |
    xargs dpkg-query -S | sed 's|:.*||'
  printf '%s\n' libcli11-dev nlohmann-json3-dev
} | sort -u | while read -r package; do
  cp -L "/usr/share/doc/$package/copyright" "$licences/$package"
  # shellcheck disable=SC2016  # dpkg-query expands
  dpkg-query -W -f '${Package} ${Version} of ${source:Package} ${source:Version}\n' "$package" |
    head -n 1 >>"$licences/packages.txt"
done
nvcc=$(sed -n 's/^UPRES_NVCC:[A-Z]*=//p' "$build/CMakeCache.txt")
if [ -x "$nvcc" ]; then  # the runtime is part of upres: from a toolkit, or from PyPI
  toolkit=$(dirname "$(dirname "$(realpath "$nvcc")")")
  for licence in "$toolkit"/EULA.txt "$toolkit"/../../nvidia_cuda_runtime-*/licenses/License.txt; do
    if [ -e "$licence" ]; then
      cp "$licence" "$licences/nvidia-cuda-runtime"
    fi
  done
  if [ ! -e "$licences/nvidia-cuda-runtime" ]; then
    echo "$folder: without the licence of NVIDIA's CUDA runtime, which $toolkit does not have" >&2
  fi
fi

tar -C "$(dirname "$folder")" --sort=name --owner=0 --group=0 --numeric-owner \
  -c "$(basename "$folder")" | xz -T0 --x86 --lzma2=preset=6,dict=64MiB >"$folder.tar.xz"
bytes=$(stat -c %s "$folder.tar.xz")
du -sm "$folder" | awk -v packed="$bytes" -v name="$folder" \
  '{ printf "%s: %d MiB, %.1f MiB packed in %s.tar.xz\n", name, $1, packed / 1048576, name }'
if [ "$bytes" -gt $((limit_mib << 20)) ]; then
  echo "$folder.tar.xz: larger than $limit_mib MiB" >&2
  exit 1
fi

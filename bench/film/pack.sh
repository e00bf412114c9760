#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Packs what bench/film/gpu.sh needs on a machine with a GPU into build/film: upres.tar.xz, the
# program that `./dev bundle 90` makes with all its libraries, and parts.tar.xz: the backend's tests,
# weights and films from ../shared/data, and films that are made of one of these: two of 1920x1080, one
# that is interlaced.
set -euo pipefail
root=$(cd "$(dirname "$(realpath "$0")")/../.." && pwd)
cd "$root"
./dev bundle 90 >&2
ninja -C build/bundle-release test_backend >&2
out=build/film
parts=$out/parts
rm -rf "$out"
mkdir -p "$parts/films"
cp build/bundle/upres.tar.xz "$out"
cp build/bundle-release/test_backend "$parts"
strip "$parts/test_backend"
cp ../shared/data/weights/ncnn/realesr-animevideov3-x4.{bin,param} "$parts"
cp ../shared/data/videos/{sample.mp4,bt709_full_range.mp4,h265_10bits.mp4,h264_10bits.mp4} \
  ../shared/data/videos/{var_fps_video.mp4,sample_with_color_info.mp4,roadtrip-vp92-10bit.webm} \
  ../shared/data/videos/{av1_video.mkv,silent-black-10s.mp4,sample_sef_slow_motion.mp4} \
  ../shared/data/videos/nasa_13013.mp4 "$parts/films"
ffmpeg -v error -i ../shared/data/videos/nasa_13013.mp4 -an -frames:v 120 -vf crop=480:268,interlace \
  -c:v libx264 -flags +ildct+ilme "$parts/films/interlaced_h264.mkv"
ffmpeg -v error -i ../shared/data/videos/nasa_13013.mp4 -an -frames:v 48 -vf scale=160:120 -pix_fmt yuv444p \
  -c:v libaom-av1 -cpu-used 8 "$parts/films/av1_444.mkv"
large() {
  ffmpeg -v error -stream_loop -1 -i ../shared/data/videos/nasa_13013.mp4 -an -frames:v 1800 \
    -vf scale=1920:1080:flags=bicubic,format="$1" "${@:3}" "$parts/films/$2"
}
large yuv420p large_h264_8bit.mkv -c:v libx264 -preset fast -crf 30
large yuv420p10le large_hevc_10bit.mkv -c:v libx265 -preset fast -crf 32 -x265-params log-level=error
git describe --always --dirty >"$parts/commit"
tar -C "$out" -c parts | xz -2 -T2 >"$out/parts.tar.xz"
rm -rf "$parts"
cp bench/film/gpu.sh "$out"
du -b "$out"/* >&2

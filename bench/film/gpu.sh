#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Films on a GPU, in what bench/film/pack.sh packed. bench/film/table.py makes a table of what it
# prints. The arguments pick parts:
#   probe     the GPU, what of its driver decodes, and what upres says of both
#   tests     conversions on the GPU against the processor's loops
#   sanitize  compute-sanitizer over them
#   same      NVDEC and libav's decoders give the same files, byte for byte, frames' times among them;
#             to the processor's whole way a few levels are allowed, since it sums otherwise
#   several   -g 0,1 gives the same file as -g 0
#   encoder   NVENC, or the word that it is not there
#   speed     1920x1080 to 7680x4320 and nowhere: frames a second, and how busy the network is
set -uo pipefail
cd "$(dirname "$(realpath "$0")")" || exit
[ -d upres ] || tar -xf upres.tar.xz
[ -d parts ] || tar -xf parts.tar.xz
upres=$PWD/upres/bin/upres
model=$PWD/parts/realesr-animevideov3-x4.bin
films=parts/films
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0

# fail WORDS
fail() {
  echo "FAILED: $*"
  failed=1
}
# film NAME OPTIONS…: of $films, on the GPU.
film() {
  "$upres" video "$films/$1" -n "$model" --overwrite "${@:2}" </dev/null
}
# equal A B LABEL
equal() {
  if cmp -s "$1" "$2" && [ -s "$1" ]; then
    echo "equal: $3, $(stat -c %s "$1") bytes"
  else
    fail "$3"
  fi
}

probe() {
  nvidia-smi --query-gpu=name,driver_version,pcie.link.gen.current,pcie.link.width.current \
    --format=csv,noheader
  ldconfig -p | grep -E 'libnvcuvid|libnvidia-encode|libcuda\.so' || echo "no libraries of the driver in ldconfig"
  find / -xdev \( -name 'libnvcuvid*' -o -name 'libnvidia-encode*' \) 2>/dev/null | head
  "$upres" doctor
  film sample.mp4 -b cuda -o "$work/probe.mkv" -c ffv1 -v || fail probe
}

tests() {
  LD_LIBRARY_PATH=$PWD/upres/lib parts/test_backend --gtest_filter='CudaFilm*' --gtest_brief=1 ||
    fail "the backend's tests"
}

sanitize() {
  local tool
  for tool in memcheck racecheck; do
    echo "compute-sanitizer $tool"
    LD_LIBRARY_PATH=$PWD/upres/lib compute-sanitizer --tool $tool --error-exitcode 9 \
      parts/test_backend --gtest_brief=1 \
      --gtest_filter='CudaFilm.PutsChroma*:CudaFilm.MakesOther*:CudaFilm.KnowsFrames*:CudaFilm.Tiles*' |
      tail -3 || fail "compute-sanitizer $tool"
  done
}

# raw_difference A B WORD_BYTES: the largest of two files of samples, and the mean.
raw_difference() {
  python3 - "$@" <<'END'
import array, sys
a, b = (array.array("B" if sys.argv[3] == "1" else "H", open(f, "rb").read()) for f in sys.argv[1:3])
if len(a) != len(b) or not len(a):
    sys.exit(f"FAILED: {len(a)} and {len(b)} samples")
differences = [abs(x - y) for x, y in zip(a, b)]
print(f"to the processor's: at most {max(differences)}, {sum(differences) / len(a):.4f} on the mean")
END
}

same() {
  local name how where
  for name in sample.mp4 bt709_full_range.mp4 h265_10bits.mp4 h264_10bits.mp4 var_fps_video.mp4 \
    sample_with_color_info.mp4 roadtrip-vp92-10bit.webm av1_video.mkv av1_444.mkv silent-black-10s.mp4 \
    sample_sef_slow_motion.mp4 interlaced_h264.mkv; do
    for how in auto none; do
      film $name -b cuda --end 3 --no-audio --no-subs -c ffv1 -o "$work/$how.mkv" --hwaccel $how -v \
        >"$work/$how.log" 2>&1 || { fail "$name --hwaccel $how"; tail -3 "$work/$how.log"; }
    done
    grep -hE '^film |on the processor|frames/s' "$work/auto.log"
    equal "$work/auto.mkv" "$work/none.mkv" "$name, $(grep -c NVDEC "$work/auto.log") by NVDEC"
  done
  for name in h265_10bits.mp4 sample_sef_slow_motion.mp4; do
    for where in cuda cpu; do
      film $name -b $where --end 0.5 -f rawvideo -o - >"$work/$where.raw" || fail "$name on $where"
    done
    raw_difference "$work/cuda.raw" "$work/cpu.raw" "$([[ $name == *10bit* ]] && echo 2 || echo 1)" ||
      fail "$name, processor and GPU"
  done
}

several() {
  local how gpus round
  if [ "$(nvidia-smi -L | wc -l)" -lt 2 ]; then
    echo "one GPU: SKIPPED"
    return
  fi
  for how in auto none; do
    for gpus in 0 0,1; do
      film nasa_13013.mp4 -g $gpus --hwaccel $how --no-audio -c ffv1 -o "$work/$gpus.mkv" -v 2>&1 |
        grep -E 'frames/s' || fail "-g $gpus"
    done
    equal "$work/0.mkv" "$work/0,1.mkv" "-g 0,1 and -g 0, --hwaccel $how"
  done
  for gpus in 0 0,1; do
    for round in 1 2; do
      echo "-g $gpus, round $round"
      film large_h264_8bit.mkv -g $gpus --every-frame -f null --json | grep '"done"'
    done
  done
}

encoder() {
  film sample.mp4 -b cuda --end 0.5 -c hevc_nvenc -o "$work/nvenc.mp4" || fail "-c hevc_nvenc"
}

speed() {
  local round name how
  for round in 1 2 3; do
    for name in large_h264_8bit.mkv large_hevc_10bit.mkv; do
      for how in auto none; do
        echo "$name --hwaccel $how, round $round"
        film $name -b cuda --hwaccel $how --every-frame -f null --json | grep '"done"' ||
          fail "$name"
      done
    done
  done
}

echo "# commit $(cat parts/commit)"
for part in "${@:-probe}"; do
  echo "# $part"
  $part
done
exit $failed

#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# On a machine with a GPU, in what pack.sh packed. The first argument picks a part:
#   tests     the backend's tests
#   sanitize  compute-sanitizer over the small ones
#   fidelity  distance to single precision on three crops, in every precision
#   speed     networks under continuous load, of noise and of a real picture; the portable kernels too
#   sizes     other sizes of picture; what 513x387 loses: 576x387 fills its strips of 64 columns, of
#             576x440 every stream has equally many rows, of 960x540 twice as many
#   baseline  PyTorch, where Python 3 has torch; what follows is for torch_baseline.py
#   all       all of them
set -uo pipefail
cd "$(dirname "$(realpath "$0")")" || exit
export LD_LIBRARY_PATH=$PWD/lib OMP_WAIT_POLICY=passive
what=${1:-all}
x4plus=weights/realesrgan-x4plus.bin
anime=weights/realesr-animevideov3-x4.bin
general=weights/realesr-general-x4v3.bin
failed=0

# part NAME: whether it is wanted.
part() {
  [[ $what == all || $what == "$1" ]] && echo "# $1"
}
bench() {
  bin/bench_gpu "$@" || failed=1
}
# Only the whole network.
brief() {
  bin/bench_gpu "$@" | head -n 2 || failed=1
}
# sanitize TOOL TESTS
sanitize() {
  echo "compute-sanitizer $1"
  compute-sanitizer --tool "$1" --error-exitcode 9 bin/test_backend --gtest_brief=1 \
    --gtest_filter="$2" | tail -3 || failed=1
}

echo "# commit $(cat commit)"
nvidia-smi --query-gpu=name,driver_version,clocks.sm,power.draw --format=csv,noheader
if part tests; then
  bin/test_backend --gtest_filter='*cuda*:*Cuda*:RowStream*:Layout*' --gtest_brief=1 || failed=1
fi
if part sanitize; then
  small='*EveryEpilogue*/cuda*:*OperatorsOutside*/cuda*:*WhatOverflows*/*fp16:*EmptyResult*/fp32'
  every_kernel='*SixtyFourFeatures*/*fp16:*EveryWidth*/*fp16'
  sanitize memcheck "$small:$every_kernel"
  sanitize racecheck "$small"  # of every kernel it takes many minutes
fi
if part fidelity; then
  for model in $x4plus $anime $general; do
    for precision in fp16 fp16-fast; do
      echo "$model $precision"
      bench --precision $precision "$model" pictures/*.ppm
    done
    echo "$model fp16-fast, portable"
    bench --portable --precision fp16-fast "$model" pictures/*.ppm
  done
fi
if part speed; then
  bench $x4plus 960 540
  brief $x4plus 960 540 pictures/grass.ppm
  bench $anime 1920 1080
  brief $anime 1920 1080 pictures/grass.ppm
  echo "portable kernels"
  bench --portable $x4plus 960 540
  brief --portable $x4plus 960 540 pictures/grass.ppm
  brief --portable $anime 1920 1080
  brief --portable --precision fp16-fast $x4plus 960 540
fi
if part sizes; then
  for size in "720 480" "1280 720" "513 387" "576 387" "576 440" "960 540"; do
    # shellcheck disable=SC2086  # two arguments
    brief $x4plus $size
  done
fi
if [[ $what == baseline ]] || { [[ $what == all ]] && python3 -c 'import torch' 2>/dev/null; }; then
  echo "# baseline"
  # Without the libraries above, which are not those that torch was built with.
  env -u LD_LIBRARY_PATH python3 torch_baseline.py "${@:2}" || failed=1
fi
exit $failed

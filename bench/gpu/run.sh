#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# On a machine with a GPU, in what pack.sh packed: the backend's tests, the sanitizer over the small
# ones, the benchmark, and PyTorch's baseline where Python 3 has torch. The first argument picks one:
# tests, sanitize, bench or baseline; behind the last, what torch_baseline.py is given.
set -uo pipefail
cd "$(dirname "$(realpath "$0")")" || exit
export LD_LIBRARY_PATH=$PWD/lib OMP_WAIT_POLICY=passive
what=${1:-all}
nvidia-smi --query-gpu=name,driver_version,clocks.sm,power.draw --format=csv,noheader
failed=0
if [[ $what == all || $what == tests ]]; then
  bin/test_backend --gtest_filter='*cuda*' --gtest_brief=1 || failed=1
fi
if [[ $what == all || $what == sanitize ]]; then
  for tool in memcheck racecheck; do
    echo "compute-sanitizer $tool"
    compute-sanitizer --tool $tool --error-exitcode 9 bin/test_backend --gtest_brief=1 \
      --gtest_filter='*EveryEpilogue*/cuda:*Operators*/cuda' | tail -3 || failed=1
  done
fi
if [[ $what == all || $what == bench ]]; then
  bin/bench_gpu weights/realesrgan-x4plus.bin 960 540 || failed=1
  bin/bench_gpu weights/realesr-animevideov3-x4.bin 1920 1080 || failed=1
fi
if [[ $what == baseline ]] || { [[ $what == all ]] && python3 -c 'import torch' 2>/dev/null; }; then
  # Without the libraries above, which are not those that torch was built with.
  env -u LD_LIBRARY_PATH python3 torch_baseline.py "${@:2}" || failed=1
fi
exit $failed

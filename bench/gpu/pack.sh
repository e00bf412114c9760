#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Packs what bench/gpu/run.sh needs on a machine with a GPU into build/gpu.tar.xz: the backend's
# tests, the benchmark, PyTorch's baseline, the libraries they link with, and weights and crops of
# pictures from ../shared/data. The first argument is the build's folder, build/release if none.
set -euo pipefail
root=$(cd "$(dirname "$(realpath "$0")")/../.." && pwd)
cd "$root"
build=${1:-build/release}
ninja -C "$build" test_backend bench_gpu >&2
out=build/gpu
rm -rf "$out"
mkdir -p "$out/bin" "$out/lib" "$out/weights"
cp "$build"/test_backend "$build"/bench_gpu "$out/bin"
strip "$out"/bin/*
# What is not part of every Linux.
ldd "$out"/bin/* | awk '$3 ~ "^/" { print $3 }' | sort -u |
  grep -vE '/(libc|libm|libdl|librt|libpthread)\.so' | xargs -I{} cp -L {} "$out/lib"
weights=../shared/data/weights
cp "$weights"/rrdb/realesrgan-x4plus.{bin,param} "$weights"/ncnn/realesr-animevideov3-x4.{bin,param} \
  "$weights"/ncnn/realesr-general-x4v3.{bin,param} "$out/weights"
bench/gpu/crop.py ../shared/data "$out/pictures"
cp bench/gpu/run.sh bench/baselines/torch_baseline.py "$out"
git describe --always --dirty >"$out/commit"
tar -C build -c gpu | xz -2 -T2 >build/gpu.tar.xz
ls -l build/gpu.tar.xz >&2

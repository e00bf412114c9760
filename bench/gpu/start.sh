#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# How long upres takes from the start of its process to the finished file, with all that it reads in
# the page cache: start.sh PROGRAM MODEL PICTURE. Five runs to each of PNG and JPEG, in seconds, and
# the peak of the GPU's memory meanwhile.
set -euo pipefail
program=$1 model=$2 picture=$3
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
for format in png jpg; do
  for _ in 1 2 3 4 5; do
    begin=$EPOCHREALTIME
    "$program" image "$picture" -n "$model" -b cuda -o "$folder/result.$format" --overwrite --quiet
    end=$EPOCHREALTIME
    awk -v begin="$begin" -v end="$end" -v format="$format" 'BEGIN { printf "%s %.2f s\n", format, end - begin }'
  done
done
# CUDA's own context is part of what nvidia-smi counts.
nvidia-smi --query-gpu=memory.used --format=csv,noheader,nounits -lms 20 >"$folder/memory" &
watcher=$!
sleep 0.5
"$program" image "$picture" -n "$model" -b cuda -o "$folder/result.png" --overwrite
"$program" verify "$model" -b cuda || true
kill $watcher
awk 'NR == 1 { first = $1 } $1 > most { most = $1 } END { printf "GPU memory: %d MiB more than before, with CUDA'"'"'s context\n", most - first }' "$folder/memory"

#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What a user meets on a GPU, with all that is read in the page cache: start.sh PROGRAM MODEL PICTURE [MODEL…].
# How long upres takes from the start of its process to the finished file, five runs to each of PNG
# and JPEG, with the default model, and in single precision; the peak of the GPU's memory; what
# becomes of less memory: by --max-vram, and where another program has left little (that takes
# Python 3 with torch). Further models are held to plain loops.
set -euo pipefail
program=$1 model=$2 picture=$3
others=("${@:4}")
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

# timed LABEL FORMAT ARGUMENTS…
timed() {
  local begin=$EPOCHREALTIME
  "$program" image "$picture" -b cuda -o "$folder/result.$2" --overwrite --quiet "${@:3}"
  awk -v begin="$begin" -v end="$EPOCHREALTIME" -v label="$1" \
    'BEGIN { printf "%s %.2f s\n", label, end - begin }'
}
for format in png jpg; do
  for _ in 1 2 3 4 5; do
    timed $format $format -n "$model"
  done
done
timed "default model" png
timed "--precision fp32" png -n "$model" --precision fp32

# CUDA's own context is part of what nvidia-smi counts.
nvidia-smi --query-gpu=memory.used --format=csv,noheader,nounits -lms 20 >"$folder/memory" &
watcher=$!
sleep 0.5
"$program" image "$picture" -n "$model" -b cuda -o "$folder/result.png" --overwrite
"$program" verify "$model" -b cuda || true
kill $watcher
awk 'NR == 1 { first = $1 } $1 > most { most = $1 } END { printf "GPU memory: %d MiB more than before, with CUDA'"'"'s context\n", most - first }' "$folder/memory"

for limit in 400M 200M 20M; do
  echo "--max-vram $limit"
  "$program" image "$picture" -n "$model" -b cuda --max-vram $limit -o "$folder/result.png" --overwrite
done
if python3 -c 'import torch' 2>/dev/null; then
  echo "another program leaves 700 MiB"
  python3 - "$folder/filled" <<'END' &
import pathlib, sys, time
import torch
free = torch.cuda.mem_get_info()[0]
kept = torch.empty(free - (700 << 20), dtype=torch.uint8, device="cuda")
pathlib.Path(sys.argv[1]).touch()
time.sleep(20)
END
  other=$!
  until [ -e "$folder/filled" ] || ! kill -0 $other 2>/dev/null; do sleep 0.2; done
  "$program" image "$picture" -n "$model" -b cuda -o "$folder/result.png" --overwrite
  kill $other 2>/dev/null || true
fi
for other in "${others[@]}"; do
  "$program" verify "$other" -b cuda
  "$program" verify "$other" -b cuda --precision fp32
done

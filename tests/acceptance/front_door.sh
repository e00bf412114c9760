#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The README's two commands in a fresh clone: the first upscales the sample. The second runs the
# tests; they are running now, so it is only looked at unless FRONT_DOOR_TESTS=1.
set -euo pipefail

root=$(cd "$(dirname "$0")/../.." && pwd)
mapfile -t commands < <(grep -E '^ *\./dev ' "$root/README.md" | sed 's/ *#.*//; s/^ *//')
first=${commands[0]} second=${commands[1]}
echo "first:  $first"
echo "second: $second"
[[ $first == "./dev run image docs/sample/sample.jpg -o "* && $second == "./dev test" ]]

if ! git -C "$root" rev-parse -q --verify HEAD >/dev/null; then
  echo "SKIPPED 1: nothing is committed"
  exit 77
fi
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
git clone -q "$root" "$folder/upres"
cd "$folder/upres"

now_ms() { echo $(($(date +%s%N) / 1000000)); }

began=$(now_ms)
eval "$first" </dev/null >"$folder/log" 2>&1 || { cat "$folder/log"; exit 1; }
echo "first run:  $(($(now_ms) - began)) ms"
output=${first##* }
/usr/bin/python3 - docs/sample/sample.jpg "$output" <<'END'
import sys
from PIL import Image
small, large = (Image.open(path).size for path in sys.argv[1:])
print(f"picture:    {small} -> {large}")
sys.exit(large != (4 * small[0], 4 * small[1]))
END

began=$(now_ms)
./dev run --help </dev/null >/dev/null 2>"$folder/err"
took_ms=$(($(now_ms) - began))
echo "second run: $took_ms ms"
if [ -s "$folder/err" ]; then
  echo "the second run says more than the program:"
  cat "$folder/err"
  exit 1
fi
((took_ms < 3000))

if [ "${FRONT_DOOR_TESTS:-}" = 1 ]; then
  eval "$second" </dev/null
fi

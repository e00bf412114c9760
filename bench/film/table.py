#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What bench/film/gpu.sh printed, as a table. usage: bench/film/table.py LOG…"""
import json
import pathlib
import re
import sys

HEAD = f"{'':46} {'frames/s':>9} {'network':>9} {'busy':>6} {'decoder':>9}"
KEPT = re.compile(r"# |to the processor's|\[  PASSED  \]|compute-sanitizer|FAILED|=+ \w+ SUMMARY|\w+: SKIPPED")


def main():
    run = film = None
    for line in "\n".join(pathlib.Path(log).read_text() for log in sys.argv[1:]).splitlines():
        if re.search(r", round \d$", line):
            if line.endswith("round 1") and run is None:
                print(HEAD)
            run = line
        elif line.startswith('{"event":"done"') and run:
            done = json.loads(line)
            print(f"{run:46} {done['frames'] / done['seconds']:9.1f} {done['network_fps']:9.1f} "
                  f"{done['network_busy']:6.3f} {done['decode_fps']:9.0f}")
        elif line.startswith("film "):
            film = line.removeprefix("film").strip()
        elif line.startswith("equal: "):
            print(f"{line:66} {film}")
        elif KEPT.match(line):
            print(line)


main()

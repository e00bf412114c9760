#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Frames a second of upres' way of a film, with an engine that repeats pixels, beside ffmpeg's
scale=neighbor: both as whole processes by the clock, with as many threads that decode (one, and as
many as there are processors) and that encode. usage: bench/film/run.py [BUILD [WIDTHxHEIGHT...]];
in turns, the fastest run of each: what else a machine does only slows them."""
import os
import pathlib
import subprocess
import sys
import tempfile
import time

BUILD = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else "build/release")
SIZES = sys.argv[2:] or ["640x360", "1280x720"]
FRAMES = {"640x360": 600, "1280x720": 200}
ROUNDS = 4
PROCESSORS = str(len(os.sched_getaffinity(0)))
SCALE = "scale=2*iw:2*ih:flags=neighbor"


def timed(command):
    began = time.monotonic()
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return time.monotonic() - began, done.stdout


def main():
    print(f"{'film':21} {'to':18} {'decode':>6} {'upres':>7} {'ffmpeg':>7} {'ratio':>6}")
    with tempfile.TemporaryDirectory() as folder:
        for size in SIZES:
            frames = FRAMES.get(size, 200)
            for pixels in ("yuv420p", "yuv420p10le"):
                film = f"{folder}/{size}_{pixels}.mkv"
                subprocess.run(["ffmpeg", "-v", "error", "-f", "lavfi", "-i",
                                f"testsrc2=s={size}:r=30:d={frames / 30}", "-vf",
                                f"noise=alls=6,format={pixels}", "-c:v", "libx264", "-preset",
                                "fast", film], check=True)
                made = f"{folder}/made.mkv"
                for name, mine, his in (
                        ("null", ("null",), ("-f", "null", "-")),
                        ("libx264 ultrafast", (made, "libx264", "preset=ultrafast"),
                         ("-c:v", "libx264", "-preset", "ultrafast", "-crf", "17", "-threads",
                          PROCESSORS, made))):
                    for threads in sorted({"1", PROCESSORS}):
                        ours, theirs = [], []
                        for _ in range(ROUNDS):
                            took, parts = timed([BUILD / "bench_film", threads, film, *mine])
                            ours.append(frames / took)
                            took, _ = timed(["ffmpeg", "-v", "error", "-y", "-threads", threads,
                                             "-i", film, "-vf", SCALE, "-fps_mode", "passthrough",
                                             *his])
                            theirs.append(frames / took)
                        x, y = max(ours), max(theirs)
                        print(f"{size + ' ' + pixels:21} {name:18} {threads:>6} {x:7.1f} {y:7.1f} "
                              f"{x / y:6.2f}  {parts.split('; ')[1].strip()}", flush=True)


if __name__ == "__main__":
    sys.exit(main())

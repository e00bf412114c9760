#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Frames a second of upres' way of a film, with an engine that repeats pixels, beside ffmpeg's
scale=neighbor with as many decoder threads. usage: bench/film/run.py [BUILD]; in turns, medians."""
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile
import time

BUILD = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else "build/release")
ROUNDS = 3
SCALE = "scale=2*iw:2*ih:flags=neighbor"


def ours(film, target, *encoder):
    done = subprocess.run([BUILD / "bench_film", film, target, *encoder], capture_output=True,
                          text=True, check=True)
    return float(done.stdout.split()[0]), done.stdout.split("; ")[1].strip()


def theirs(film, frames, *arguments):
    began = time.monotonic()
    subprocess.run(["ffmpeg", "-v", "error", "-y", "-i", film, "-vf", SCALE, "-fps_mode",
                    "passthrough", *arguments], check=True)
    return frames / (time.monotonic() - began)


def main():
    print(f"{'film':22} {'to':18} {'upres':>8} {'ffmpeg':>8} {'ratio':>6}")
    with tempfile.TemporaryDirectory() as folder:
        for size, frames in (("640x360", 400), ("1280x720", 150)):
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
                         ("-c:v", "libx264", "-preset", "ultrafast", "-crf", "17", made))):
                    a, b, parts = [], [], ""
                    for _ in range(ROUNDS):
                        fps, parts = ours(film, *mine)
                        a.append(fps)
                        b.append(theirs(film, frames, *his))
                    x, y = statistics.median(a), statistics.median(b)
                    print(f"{size + ' ' + pixels:22} {name:18} {x:8.1f} {y:8.1f} {x / y:6.2f}  "
                          f"{parts}", flush=True)


if __name__ == "__main__":
    sys.exit(main())

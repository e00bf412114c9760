#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Many pictures in one run: 500 of which 20 are broken; folders in folders keep places, names and
times; what would collide is told before anything is written; --json adds up; memory stays bounded
however many pictures wait for their encoders; a run that is killed leaves whole pictures only."""
import json
import os
import random
import signal
import subprocess
import sys
import time

import numpy as np
from PIL import Image

from common import UPRES, Checks, measured, upres, workspace, write_nearest

PICTURES, BROKEN = 500, 20
KILLS = 20
MOST_MIB = 1024


def picture(rand, width, height):
    return Image.fromarray(rand.integers(0, 256, (height, width, 3), np.uint8))


def tree(folder):
    """The files below a folder, by their places."""
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


def is_whole(path, size):
    try:
        with Image.open(path) as image:
            image.load()
            return image.size == size
    except (OSError, SyntaxError):
        return False


def check_five_hundred(checks, folder, model):
    """Also what --json says of them."""
    rand = np.random.default_rng(5)
    source = folder / "in"
    source.mkdir()
    broken = set(random.Random(5).sample(range(PICTURES), BROKEN))
    for i in range(PICTURES):
        path = source / f"{i:03}.{('png', 'jpg', 'webp')[i % 3]}"
        picture(rand, 8 + i % 5, 6 + i % 7).save(path)
        if i in broken:
            content = path.read_bytes()
            path.write_bytes((content[:len(content) // 2], b"not a picture\n", b"")[i % 3])
    for json_flag in ([], ["--json"]):
        target = folder / ("out" + "".join(json_flag))
        done = measured("image", source, "-o", target, "-n", model, *json_flag)
        lines = done.stderr.splitlines()
        named = {name for name in os.listdir(source) if any(name in line for line in lines)}
        whole = [name for name in tree(target) if is_whole(target / name, tuple(
            2 * side for side in Image.open(source / name).size))]
        checks.check(done.returncode == 1 and len(whole) == len(tree(target)) == PICTURES - BROKEN,
                     f"{PICTURES} pictures, {BROKEN} of them broken, {json_flag}: 1",
                     f"exit code {done.returncode}, {len(whole)} results, {done.seconds:.1f} s, "
                     f"{done.peak_mib:.0f} MiB")
        checks.check(len(lines) == len(named) == BROKEN, "a line for each broken one",
                     f"{len(lines)} lines")
    events = [json.loads(line) for line in done.stdout.splitlines()]
    kinds = {kind: [e for e in events if e["event"] == kind] for kind in
             ("loaded", "begun", "done", "failed", "skipped", "ended")}
    counts = {kind: len(of_kind) for kind, of_kind in kinds.items()}
    checks.check(counts["loaded"] == counts["ended"] == 1 and events[-1]["event"] == "ended" and
                 counts["done"] == PICTURES - BROKEN and counts["failed"] == BROKEN,
                 "--json: one event for each outcome", f"{counts}")
    sums = {kind: events[-1][kind] for kind in ("done", "failed", "skipped")}
    checks.check(sums == {kind: counts[kind] for kind in sums}, "--json: the sums are right",
                 f"{sums}")
    outputs = {e["output"] for e in kinds["done"]}
    checks.check(outputs == {str(target / name) for name in tree(target)},
                 "--json: names the results")


def check_places(checks, folder, model):
    source, target = folder / "in", folder / "out"
    (source / "a/b").mkdir(parents=True)
    small = Image.new("RGB", (4, 3), (200, 10, 10))
    names = ["a/b/c.jpg", "a/one.webp", "über uns.png", "x.y.tif"]
    for i, name in enumerate(names):
        small.save(source / name)
        os.utime(source / name, ns=(10 ** 18, 10 ** 18 + 123456789 * i))
    (source / "a/notes.txt").write_text("no picture\n")

    upres("image", source, "-o", target, "-n", model)
    checks.check(tree(target) == ["x.y.tif", "über uns.png"], "without -r one folder only",
                 f"{tree(target)}")
    done = upres("image", source, "-r", "-o", target, "-n", model, "--skip")
    checks.check(done.returncode == 0 and tree(target) == sorted(names),
                 "-r keeps places and names; --skip", f"{tree(target)} {done.stderr}")
    times = [(target / n).stat().st_mtime_ns == (source / n).stat().st_mtime_ns for n in names]
    checks.check(all(times), "times are kept, to the nanosecond", f"{times}")

    before = {name: (target / name).read_bytes() for name in names}
    small.resize((5, 5)).save(source / "x.y.tif")
    done = upres("image", source, "-r", "-o", target, "-n", model)
    same = {name: (target / name).read_bytes() for name in names} == before
    checks.check(done.returncode == 1 and same and len(done.stderr.splitlines()) == len(names),
                 "what exists is refused: 1", done.stderr.splitlines()[-1])
    done = upres("image", source, "-r", "-o", target, "-n", model, "--overwrite")
    checks.check(done.returncode == 0 and Image.open(target / "x.y.tif").size == (10, 10),
                 "--overwrite replaces", done.stderr)

    other = folder / "other"
    done = upres("image", source, "-r", "-o", other, "-n", model, "-f", "webp", "--suffix", "_big")
    wanted = ["a/b/c_big.webp", "a/one_big.webp", "x.y_big.webp", "über uns_big.webp"]
    formats = {Image.open(p).format for p in other.rglob("*.webp")}
    checks.check(tree(other) == wanted and formats == {"WEBP"}, "-f and --suffix",
                 f"{tree(other)} {done.stderr}")

    for _ in range(2):  # results beside their inputs are no inputs of the next run
        upres("image", source / "a", "-n", model, "--overwrite")
    checks.check(tree(source / "a") == ["b/c.jpg", "notes.txt", "one.webp", "one_upres.webp"],
                 "results beside their inputs", f"{tree(source / 'a')}")


def check_collisions(checks, folder, model):
    (folder / "in").mkdir()
    small = Image.new("RGB", (4, 3))
    for name in ("a.png", "a.jpg", "b.png"):
        small.save(folder / "in" / name)
    for claim, code, arguments in (
            ("a.png and a.jpg with -f png", 2, ["-o", folder / "out", "-f", "png"]),
            ("a folder into itself", 5, ["-o", folder / "in"]),
            ("a folder into itself, however it is called", 5, ["-o", folder / "in/../in"])):
        before = tree(folder)
        done = upres("image", folder / "in", "-n", model, "--overwrite", *arguments)
        checks.check(done.returncode == code and len(done.stderr.splitlines()) == 1 and
                     tree(folder) == before and not (folder / "out").exists(),
                     f"{claim}: {code}", done.stderr.strip())


def check_memory(checks, folder, model):
    """Encoders that hold whole pictures are slower than a network that does nothing."""
    rand = np.random.default_rng(7)
    (folder / "in").mkdir()
    soft = picture(rand, 120, 80).resize((1200, 800), Image.BICUBIC)
    for i in range(10):
        soft.save(folder / f"in/{i}.jpg")
    for limit in ([], ["--max-memory", "600M"]):
        target = folder / ("out" + "".join(limit))
        done = measured("image", folder / "in", "-o", target, "-f", "webp", "-n", model, *limit)
        most = 600 * 1.05 if limit else MOST_MIB
        checks.check(done.returncode == 0 and len(tree(target)) == 10 and done.peak_mib < most,
                     f"10 results of 2400x1600 wait for WebP {' '.join(limit)}",
                     f"{done.peak_mib:.0f} MiB, {done.seconds:.1f} s {done.stderr.strip()}")


def check_killed(checks, folder, model):
    rand = np.random.default_rng(3)
    source, target = folder / "in", folder / "out"
    source.mkdir()
    for i in range(40):
        picture(rand, 200, 150).save(source / f"{i:02}.{'png' if i % 2 else 'jpg'}")
    sizes = (400, 300)
    command = [UPRES, "image", source, "-o", target, "-n", model, "--quiet", "--overwrite"]
    began = time.monotonic()
    subprocess.run(command, check=True)
    takes = time.monotonic() - began
    seed = random.randrange(1000)
    moments = random.Random(seed)
    counts, damaged = [], []
    for _ in range(KILLS):
        for path in target.iterdir():
            path.unlink()
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        time.sleep(moments.uniform(0.05, 1) * takes)
        process.send_signal(signal.SIGKILL)
        process.wait()
        left = [target / name for name in os.listdir(target)]
        counts.append(len(left))
        damaged += [p.name for p in left if not is_whole(p, sizes)]
    checks.check(not damaged and max(counts) > 0 and min(counts) < 40,
                 f"kill -9, {KILLS} times, leaves whole pictures only",
                 f"seed {seed}, {takes:.1f} s, {sorted(counts)} results, damaged: {damaged}")


def main():
    checks = Checks()
    for test in (check_five_hundred, check_places, check_collisions, check_memory, check_killed):
        with workspace() as folder:
            model = folder / "nearest.safetensors"
            write_nearest(model, 2)
            test(checks, folder, model)
    return checks.end()


if __name__ == "__main__":
    sys.exit(main())

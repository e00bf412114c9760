#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""upres engine where there is no TensorRT: list and clean do their work, on whole engines and on
what is none; build and -b tensorrt say what is missing, and leave nothing behind."""
import hashlib
import json
import os
import sys

from common import SAMPLE, Checks, upres, workspace, write_nearest

FACTS = {"kind": "engine", "network": "x4, 0.62 M weights", "graph": "ab" * 32,
         "precision": "fp16", "profile": "1x1 to 4096x4096, tuned for 1280x720",
         "gpu": "NVIDIA GeForce RTX 4090, compute capability 8.9, 128 multiprocessors",
         "driver": "580.159.04", "library": "TensorRT", "version": "10.13.0"}


def sealed(facts, content):
    """A file of the cache, as src/backend/tensorrt/sealed_file.h describes it."""
    rest = "".join(f"{name} {text}\n" for name, text in facts.items()).encode() + b"\n" + content
    seal = hashlib.sha256(rest).hexdigest()
    return f"upres sealed file 1\nsha256 {seal}\n".encode() + rest


def fill(cache):
    """Two engines, one of them none; what builds have learned; and what is not upres's."""
    cache.mkdir(parents=True)
    (cache / "a.engine").write_bytes(sealed(FACTS, bytes(2_000_000)))
    (cache / "b.engine").write_text("something else")
    (cache / "c.timings").write_bytes(bytes(100_000))
    (cache / "notes.txt").write_text("the user's own")


def empty(checks, env, cache):
    done = upres("engine", "list", env=env)
    checks.check(done.returncode == 0 and str(cache) in done.stdout and not done.stderr,
                 "list tells where engines would be", done.stdout.splitlines()[:1])
    done = upres("engine", "list", "--json", env=env)
    checks.check(done.returncode == 0 and json.loads(done.stdout) == [], "and JSON of none")
    done = upres("engine", "clean", env=env)
    checks.check(done.returncode == 0 and done.stdout.startswith("0 engines"),
                 "clean of nothing is no failure", done.stdout.strip() + done.stderr)
    checks.check(not cache.exists(), "no folder is made for that")
    nowhere = {name: value for name, value in env.items() if name not in ("HOME", "XDG_CACHE_HOME")}
    for command in ("list", "clean"):
        done = upres("engine", command, env=nowhere)
        checks.check(done.returncode == 0 and "XDG_CACHE_HOME" in done.stdout,
                     f"{command} where no folder is named", done.stdout.splitlines()[:1])


def listed(checks, env, cache):
    done = upres("engine", "list", env=env)
    whole, foreign = (next((line for line in done.stdout.splitlines() if text in line), "")
                      for text in (FACTS["network"], "b.engine"))
    checks.check(done.returncode == 0 and all(text in whole for text in (
        "fp16", "2.0", "TensorRT 10.13.0", FACTS["gpu"], FACTS["profile"])),
        "list has an engine with all that it is for", whole)
    checks.check("is no file of upres" in foreign, "and what is none", foreign.strip())
    checks.check("2 engines" in done.stdout, "and their number")
    engines = {os.path.basename(one["path"]): one
               for one in json.loads(upres("engine", "list", "--json", env=env).stdout)}
    one = engines.get("a.engine", {})
    checks.check(len(engines) == 2 and one.get("fault") is None and one.get("size_bytes") ==
                 (cache / "a.engine").stat().st_size and one.get("graph_sha256") == FACTS["graph"]
                 and all(one.get(name) == FACTS[name] for name in (
                     "network", "precision", "profile", "gpu", "driver", "library", "version")),
                 "JSON has the same", one)
    checks.check(engines.get("b.engine", {}).get("fault") == "is no file of upres",
                 "and says what is wrong")


def cleaned(checks, env, cache):
    done = upres("engine", "clean", env=env)
    checks.check(done.returncode == 0 and done.stdout.startswith("2 engines removed") and
                 "2.1 MB" in done.stdout, "clean tells what it removed", done.stdout.strip())
    left = sorted(path.name for path in cache.iterdir())
    checks.check(left == ["notes.txt"], "and leaves what is not upres's", left)


def missing(checks, env, cache, folder):
    """No TensorRT: this build has no headers of it, or the folder that is named has no library."""
    model, target = folder / "model.safetensors", folder / "out.png"
    write_nearest(model, 2)
    for what, arguments in (("engine build", ("engine", "build", model)),
                            ("image -b tensorrt",
                             ("image", SAMPLE, "-o", target, "-n", model, "-b", "tensorrt")),
                            ("verify -b tensorrt", ("verify", model, "-b", "tensorrt"))):
        done = upres(*arguments, env=env)
        lines = done.stderr.splitlines()
        checks.check(done.returncode == 7 and len(lines) == 1 and not done.stdout and
                     ("-DUPRES_TENSORRT_ROOT" in lines[0] or "UPRES_TENSORRT names" in lines[0]),
                     f"{what} says in one line what is missing", f"{done.returncode}: {lines}")
    checks.check(not target.exists() and not list(cache.glob("*.engine")), "nothing is left behind")


def refused(checks, env, folder):
    for arguments, code in ((("engine",), 2), (("engine", "build"), 2),
                            (("engine", "build", "x", "--precision", "int8"), 2),
                            (("engine", "build", "x", "--tensorrt-size-hint", "12"), 2),
                            (("engine", "build", "x", "-g", "-1"), 2),
                            (("engine", "list", "x"), 2),
                            (("engine", "build", folder / "none.pth"), 4)):
        done = upres(*arguments, env=env)
        checks.check(done.returncode == code and len(done.stderr.splitlines()) == 1,
                     f"upres {' '.join(map(str, arguments))}: exit code {code}",
                     done.stderr.strip())


def main():
    checks = Checks()
    with workspace() as folder:
        cache = folder / "cache/upres/tensorrt"
        (folder / "libraries").mkdir()
        env = {**os.environ, "XDG_CACHE_HOME": str(folder / "cache"),
               "UPRES_TENSORRT": str(folder / "libraries")}
        empty(checks, env, cache)
        fill(cache)
        listed(checks, env, cache)
        cleaned(checks, env, cache)
        missing(checks, env, cache, folder)
        refused(checks, env, folder)
    return checks.end()


if __name__ == "__main__":
    sys.exit(main())

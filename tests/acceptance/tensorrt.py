#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What can be shown of -b tensorrt without a GPU, with TensorRT-RTX from PyPI: engines are built,
kept and found again; what is not as it was kept is built anew, with one line why; two processes
build one engine once; Ctrl-C leaves nothing behind; libraries that are missing, broken or of
another version are named. Needs a upres that was built with TensorRT's headers (./dev
check-tensorrt), and is not run by CI for that reason: it is skipped there."""
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

from common import ROOT, SKIPPED, UPRES, X4PLUS, Checks, need_data, upres, workspace, write_nearest
from pypi import need_packages

CASES = 26

if "tensorrt (not in this build" in upres("doctor").stdout:
    print(f"SKIPPED {CASES}: this upres was built without TensorRT's headers")
    sys.exit(SKIPPED)
need_data(CASES, X4PLUS)
need_packages(CASES, "tensorrt-rtx-cu13")

import tensorrt_rtx_libs  # noqa: E402

LIBRARIES = pathlib.Path(tensorrt_rtx_libs.__path__[0])
MODEL = ROOT / "models/upres-general-x4.fp16.safetensors"


def build(env, model=MODEL, *options):
    return upres("engine", "build", model, *options, env=env)


def kept(cache):
    return sorted(cache.glob("*.engine"))


def builds_and_finds(checks, env, cache):
    done = build(env)
    checks.check(done.returncode == 0 and len(kept(cache)) == 1, "an engine is built and kept",
                 done.stderr.strip().splitlines()[-1:])
    began = time.monotonic()
    done = build(env)
    checks.check(done.returncode == 0 and "is here already" in done.stdout,
                 "and found by the next run", f"{time.monotonic() - began:.2f} s")
    done = build(env, MODEL, "--precision", "fp32")
    checks.check(done.returncode == 0 and len(kept(cache)) == 2, "another precision is another one")
    done = build(env, MODEL, "--tensorrt-size-hint", "640x360")
    checks.check(done.returncode == 0 and len(kept(cache)) == 3, "and so is another size")
    done = build(env, MODEL, "--overwrite")
    checks.check(done.returncode == 0 and "is here already" not in done.stdout,
                 "--overwrite builds it again")
    listed = upres("engine", "list", env=env).stdout
    checks.check(listed.count("TensorRT-RTX") == 3, "all are listed",
                 listed.strip().splitlines()[-1:])


def never_used(checks, env, cache):
    """Files that are not what was kept."""
    upres("engine", "clean", env=env)
    build(env)
    engine = kept(cache)[0]
    whole = engine.read_bytes()
    version = whole.index(b"\nversion ") + len(b"\nversion ")
    changed = bytes([whole[-1] ^ 1])
    for what, content, reason in (
            ("one byte of it changed", whole[:-1] + changed, "is damaged"),
            ("it is cut off", whole[:-100], "is damaged"),
            ("it is empty", b"", "is no file of upres"),
            ("there is text in its place", b"a shopping list\n", "is no file of upres"),
            ("its version was changed", whole[:version] + b"9" + whole[version + 1:],
             "is damaged")):
        engine.write_bytes(content)
        done = build(env)
        lines = [line for line in done.stderr.splitlines() if "it is built anew" in line]
        again = build(env)
        checks.check(done.returncode == 0 and len(lines) == 1 and reason in lines[0] and
                     "is here already" in again.stdout, f"where {what}, it is built anew", lines)
    engine.unlink()
    engine.mkdir()
    done = build(env)
    checks.check(done.returncode == 5 and "Traceback" not in done.stderr,
                 "a folder in its place is told of", done.stderr.strip().splitlines()[-1:])
    engine.rmdir()


def once(checks, env, cache):
    upres("engine", "clean", env=env)
    both = [subprocess.Popen([UPRES, "engine", "build", MODEL], env=env, text=True,
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(2)]
    outputs = [process.communicate() for process in both]
    checks.check(all(process.returncode == 0 for process in both), "two processes both succeed",
                 [error for _, error in outputs if "builds an engine" not in error])
    built = [error for _, error in outputs if "builds an engine" in error]
    checks.check(len(built) == 1, "and one of them builds", len(built))


def interrupted(checks, env, cache, weights):
    upres("engine", "clean", env=env)
    process = subprocess.Popen([UPRES, "engine", "build", weights], env=env, text=True,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    for line in process.stderr:  # until it has begun
        if "builds an engine" in line:
            break
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=120)
    checks.check(process.returncode == 130, "Ctrl-C ends a build", process.returncode)
    checks.check(not kept(cache), "and leaves no engine", kept(cache))


def libraries(checks, env, folder):
    place = folder / "libraries"

    def says(what, words, code=7):
        done = build({**env, "UPRES_TENSORRT": str(place)}, MODEL)
        lines = done.stderr.splitlines()
        checks.check(done.returncode == code and len(lines) == 1 and words in lines[0], what, lines)
        found = upres("doctor", env={**env, "UPRES_TENSORRT": str(place)})
        checks.check(found.returncode == 0 and words in found.stdout, "and doctor says the same")

    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    says("a folder without a library", "which UPRES_TENSORRT names")
    (place / "libtensorrt_rtx.so.1").write_bytes(b"no library")
    says("a library that is none", "TensorRT-RTX 1 cannot be used")
    (place / "libtensorrt_rtx.so.1").unlink()
    os.symlink(LIBRARIES / "libtensorrt_rtx.so.1", place / "libtensorrt_rtx.so.1")
    says("a library without its parser", "libtensorrt_onnxparser_rtx.so.1")
    (place / "libtensorrt_rtx.so.1").unlink()
    libc = next(pathlib.Path("/lib").glob("*-linux-gnu/libm.so.6"))
    for name in ("libtensorrt_rtx.so.1", "libtensorrt_onnxparser_rtx.so.1"):
        os.symlink(libc, place / name)
    says("a library of something else", "is not TensorRT")
    for name in ("libtensorrt_rtx.so.1", "libtensorrt_onnxparser_rtx.so.1"):
        (place / name).unlink()


def without_gpu(checks, env, folder):
    model = folder / "model.safetensors"
    write_nearest(model, 2)
    found = upres("doctor", env=env).stdout
    checks.check("TensorRT-RTX" in found, "doctor names the library",
                 [line for line in found.splitlines() if line.startswith("tensorrt")])
    done = upres("verify", model, "-b", "tensorrt", env=env)
    has_gpu = "no GPU" not in found
    checks.check(has_gpu or (done.returncode == 7 and "needs an NVIDIA GPU" in done.stderr),
                 "no network runs without a GPU", done.stderr.strip())


def main():
    checks = Checks()
    with workspace() as folder:
        cache = folder / "cache/upres/tensorrt"
        env = {**os.environ, "XDG_CACHE_HOME": str(folder / "cache"),
               "UPRES_TENSORRT": str(LIBRARIES)}
        builds_and_finds(checks, env, cache)
        never_used(checks, env, cache)
        once(checks, env, cache)
        interrupted(checks, env, cache, X4PLUS)
        libraries(checks, env, folder)
        without_gpu(checks, env, folder)
    return checks.end()


if __name__ == "__main__":
    sys.exit(main())

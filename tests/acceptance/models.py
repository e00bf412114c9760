#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Every model file at hand is loaded or refused with a sentence that says why, by `upres info`:
prints the table. A refusal leaves no more than 100 MB resident; a loaded model converts to
safetensors and back into the same network and picture."""
import os
import sys
import tempfile
import time

from PIL import Image

from common import DATA, SAMPLE, UPRES, Checks, need_data, upres, upscale, workspace

WEIGHTS = DATA / "weights"
SUFFIXES = {".pth", ".pt", ".safetensors", ".param", ".bin", ".onnx"}
MOST_MB = 100


def measured(*arguments):
    """Runs the program; its exit code, output, errors, milliseconds and peak resident MB."""
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        began = time.monotonic()
        pid = os.posix_spawn(UPRES, [UPRES, *map(str, arguments)], os.environ, file_actions=[
            (os.POSIX_SPAWN_DUP2, output.fileno(), 1), (os.POSIX_SPAWN_DUP2, errors.fileno(), 2)])
        _, status, usage = os.wait4(pid, 0)
        took_ms = 1000 * (time.monotonic() - began)
        output.seek(0)
        errors.seek(0)
        return (os.waitstatus_to_exitcode(status), output.read().decode(), errors.read().decode(),
                took_ms, usage.ru_maxrss / 1024)


def fields(info):
    return dict(line.split(maxsplit=1) for line in info.splitlines())


def check_conversion(checks, name, path, picture, folder):
    """The converted file is the same network, by its facts and by what it makes of a picture."""
    converted = folder / "converted.safetensors"
    done = upres("convert", path, "-o", converted, "--overwrite")
    if not checks.check(done.returncode == 0, f"{name} converts", done.stderr.strip()):
        return
    before, after = (fields(upres("info", file).stdout) for file in (path, converted))
    same = all(before[k] == after[k] for k in ("architecture", "parameters", "scale", "cost"))
    pictures = []
    for file in (path, converted):
        pictures.append(folder / f"{len(pictures)}.png")
        upscale(picture, pictures[-1], "-n", file, "--overwrite")
    same = same and pictures[0].read_bytes() == pictures[1].read_bytes()
    checks.check(same, f"{name} converted is the same network")


def main():
    files = sorted(p for p in WEIGHTS.rglob("*") if p.suffix in SUFFIXES) if WEIGHTS.exists() else []
    need_data(1, WEIGHTS)
    checks = Checks()
    rows = ["| file | ms | MB | what |", "| --- | --- | --- | --- |"]
    with workspace() as folder:
        picture = folder / "picture.png"
        Image.open(SAMPLE).crop((190, 30, 206, 42)).save(picture)
        for path in files:
            name = str(path.relative_to(WEIGHTS))
            code, output, errors, took_ms, peak_mb = measured("info", path)
            if code == 0:
                facts = fields(output)
                what = f"{facts['architecture']}, x{facts['scale']}"
                check_conversion(checks, name, path, picture, folder)
            else:
                what = errors.strip().replace(f"{path}: ", "").removeprefix("upres: ")
                checks.check(code == 4 and len(errors.splitlines()) == 1 and peak_mb < MOST_MB,
                             f"{name} is refused", f"exit code {code}, {peak_mb:.0f} MB")
            rows.append(f"| {name} | {took_ms:.0f} | {peak_mb:.0f} | {what} |")
    print("\n".join(rows))
    return checks.end()


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Every model file at hand is loaded or refused with a sentence that says why, by `upres info`:
prints the table. A refusal leaves no more than 100 MB resident. A loaded model converts to
safetensors with the tensors that an independent reader finds, and that file is the same network."""
import lzma
import sys

from PIL import Image

import weights
from common import (DATA, MOST_MB, MOST_MS, MOST_S, SAMPLE, Checks, measured, need_data, upres,
                    upscale, workspace)

WEIGHTS = DATA / "weights"
MORE_WEIGHTS = DATA / "more-weights"
SUFFIXES = {".pth", ".pt", ".safetensors", ".param", ".bin", ".onnx", ".xz"}


def fields(info):
    return dict(line.split(maxsplit=1) for line in info.splitlines())


def check_tensors(checks, name, path, converted):
    """Returns the digest of the converted file."""
    found = weights.read_safetensors(converted)
    if path.suffix == ".onnx":  # onnx_files.py reads it otherwise
        return weights.digest(found)
    if path.suffix in (".bin", ".param"):  # without names, and shapes are the network's
        same = (weights.digests_of_values(found) ==
                weights.digests_of_values(weights.read_ncnn(path)))
    else:
        same = weights.digest(found) == weights.digest(weights.read_pth(path))
    checks.check(same, f"{name} has the tensors that numpy reads", f"{len(found)} tensors")
    return weights.digest(found)


def check_conversion(checks, name, path, picture, folder):
    """The converted file is the same network, by its tensors, by its facts and by what it makes of a
    picture. Returns the digest of its tensors."""
    converted = folder / "converted.safetensors"
    done = upres("convert", path, "-o", converted, "--overwrite")
    if path.suffix == ".onnx" and "safetensors holds weights alone" in done.stderr:
        return ""  # a graph of no known architecture
    if not checks.check(done.returncode == 0, f"{name} converts", done.stderr.strip()):
        return ""
    digest = check_tensors(checks, name, path, converted)
    before, after = (fields(upres("info", file).stdout) for file in (path, converted))
    same = all(before[k] == after[k] for k in ("architecture", "parameters", "scale", "cost"))
    pictures = []
    for file in (path, converted):
        pictures.append(folder / f"{len(pictures)}.png")
        upscale(picture, pictures[-1], "-n", file, "--overwrite")
    same = same and pictures[0].read_bytes() == pictures[1].read_bytes()
    checks.check(same, f"{name} converted is the same network")
    return digest


def main():
    files = sorted(p for folder in (WEIGHTS, MORE_WEIGHTS) if folder.exists()
                   for p in folder.rglob("*") if p.suffix in SUFFIXES)
    need_data(1, WEIGHTS)
    checks = Checks()
    rows = ["| file | ms | MB | what | tensors (SHA-256) |", "| --- | --- | --- | --- | --- |"]
    slow = 0
    with workspace() as folder:
        picture = folder / "picture.png"
        Image.open(SAMPLE).crop((190, 30, 206, 42)).save(picture)
        for path in files:
            name = str(path.relative_to(DATA))
            file = path
            if path.suffix == ".xz":
                file = folder / "unpacked.pth"
                file.write_bytes(lzma.decompress(path.read_bytes()))
            done = measured("info", file)
            code, output, errors = done.returncode, done.stdout, done.stderr.rstrip()
            took_ms, peak_mb = 1000 * done.seconds, done.peak_mib
            digest = ""
            if code == 0:
                facts = fields(output)
                what = f"{facts['architecture']}, x{facts['scale']}"
                digest = check_conversion(checks, name, file, picture, folder)
            else:
                what = errors.strip().replace(f"{file}: ", "").removeprefix("upres: ")
                slow += took_ms > MOST_MS
                checks.check(code == 4 and len(errors.splitlines()) == 1 and peak_mb < MOST_MB and
                             took_ms < 1000 * MOST_S, f"{name} is refused",
                             f"exit code {code}, {took_ms:.0f} ms, {peak_mb:.0f} MB")
            rows.append(f"| {name} | {took_ms:.0f} | {peak_mb:.0f} | {what} | {digest[:16]} |")
    print("\n".join(rows))
    print(f"{slow} refusals took more than {MOST_MS} ms")
    return checks.end()


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""ncnn's files of animevideov3 for scales of 2 and 3: the network for 4, and a last layer that
resizes its result. That is what numpy makes of the result for 4, by ncnn's rules, and tiles of it are
exact. Such a network is not written as safetensors, which cannot hold the last layer."""
import shutil
import sys

import numpy as np
from PIL import Image

from common import DATA, SAMPLE, Checks, need_data, upres, upscale, workspace

MODELS = DATA / "weights/ncnn"
X2 = MODELS / "realesr-animevideov3-x2.param"
X4 = MODELS / "realesr-animevideov3-x4.param"
WEIGHTS = MODELS / "realesr-animevideov3-x4.bin"  # the same for all scales
BACKENDS = ("cpu", "reference")
A = -0.75


def cubic(distance):
    x = abs(distance)
    return np.where(x <= 1, (A + 2) * x ** 3 - (A + 3) * x ** 2 + 1,
                    np.where(x < 2, A * x ** 3 - 5 * A * x ** 2 + 8 * A * x - 4 * A, 0))


def matrix(length, factor):
    """Of the resizing of a line: ncnn's src/layer/interp.cpp, cubic_coeffs without align_corner."""
    result = np.zeros((int(length * factor), length))
    for i, row in enumerate(result):
        at = (i + 0.5) / factor - 0.5
        for tap in range(int(np.floor(at)) - 1, int(np.floor(at)) + 3):
            row[min(max(tap, 0), length - 1)] += cubic(at - tap)
    return result


def samples(path):
    return np.asarray(Image.open(path)).astype(np.float64)


def main():
    need_data(10, X2, X4, WEIGHTS)
    checks = Checks()
    with workspace() as folder:
        source, target = folder / "in.png", folder / "out.png"
        # Of 16 bits and little contrast: neither rounding nor clamping gets in the way.
        gray = np.asarray(Image.open(SAMPLE).convert("L").crop((180, 20, 290, 97)), np.uint16)
        Image.fromarray(gray * 128 + 16384).save(source)
        upscale(source, target, "-n", X4)
        by_four = samples(target)
        for scale, factor in ((2, "5.000000e-01"), (3, "7.500000e-01")):
            # The last layer of the file for 3 differs by its factor alone.
            model = folder / f"x{scale}.param"
            model.write_text(X2.read_text().replace("5.000000e-01", factor))
            shutil.copy(WEIGHTS, model.with_suffix(".bin"))
            rows, columns = (matrix(length, scale / 4) for length in by_four.shape)
            expected = rows @ by_four @ columns.T
            for backend in BACKENDS:
                results = []
                for tile in (0, 48):
                    upscale(source, target, "-n", model, "-b", backend, "-t", tile, "--overwrite")
                    results.append(samples(target))
                worst = abs(results[-1] - expected).max()
                checks.check(worst < 3, f"x{scale} on {backend}: the x4 result resized",
                             f"largest difference {worst:.2f} of 65535")
                most = {"cpu": 1, "reference": 0}[backend]  # Winograd's sums round as the tiles lie
                checks.check(abs(results[0] - results[1]).max() <= most,
                             f"x{scale} on {backend}: tiles are exact")
            done = upres("convert", model, "-o", folder / "converted.safetensors")
            checks.check(done.returncode == 4, f"x{scale} is not converted", done.stderr.strip())
    return checks.end()


if __name__ == "__main__":
    sys.exit(main())

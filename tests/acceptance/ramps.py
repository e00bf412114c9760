#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""No level is lost: all 65536 of 16 bits, all 256 of 8, gray, colour and alpha, go through a
nearest-neighbour model into every format that can hold them without loss, out of it again through
another run, and are what they were. Floats of TIFF and PFM stay within 1e-6."""
import sys

import numpy as np
from PIL import Image

from common import Checks, upres, upscale, workspace, write_nearest
from pfm_file import read_pfm, write_pfm
from png_file import read_png, write_png

DEEP = {"png": [], "tif": [], "ppm": [], "jxl": ["--lossless"], "jp2": ["--lossless"]}
EIGHT_BITS = {**DEEP, "webp": ["--lossless"], "bmp": []}
WITHOUT_ALPHA = {"ppm"}
# What a format makes of a gray picture.
GRAY_BECOMES_RGB = {"webp", "bmp"}


def ramp(levels, dtype, channels):
    """Every level in every channel, each channel in another order."""
    side = int(levels ** 0.5)
    steps = np.arange(levels, dtype=dtype).reshape(side, side)
    turned = [steps, steps[::-1], steps.T, steps[::-1, ::-1]]
    return np.stack(turned[:channels] if channels != 2 else [steps, steps.T], axis=2)


def twice_as_large(picture, times=2):
    return np.repeat(np.repeat(picture, times, 0), times, 1)


def check_integers(checks, folder, model, formats, levels, dtype):
    for channels in (1, 2, 3, 4):
        picture = ramp(levels, dtype, channels)
        write_png(folder / "in.png", picture)
        for name, options in formats.items():
            if channels in (2, 4) and name in WITHOUT_ALPHA:
                continue
            between = folder / f"between.{name}"
            upscale(folder / "in.png", between, "-n", model, "--overwrite", *options)
            upscale(between, folder / "out.png", "-n", model, "--overwrite")
            made = read_png(folder / "out.png")
            wanted = twice_as_large(picture, 4)
            if made.shape != wanted.shape and channels <= 2 and name in GRAY_BECOMES_RGB:
                wanted = wanted[..., [0, 0, 0, 1] if channels == 2 else [0, 0, 0]]
            kind = f"{8 * picture.itemsize} bits, {channels} channels, through {name}"
            same = made.shape == wanted.shape and made.dtype == wanted.dtype
            apart = np.abs(made.astype(int) - wanted).max() if same else f"{made.shape} {made.dtype}"
            checks.check(same and apart == 0, kind, f"largest difference {apart}")


def check_floats(checks, folder, model):
    for channels, order in ((1, "<"), (3, "<"), (1, ">"), (3, ">")):
        steps = np.linspace(0, 1, 64 * 64, dtype=np.float32).reshape(64, 64)
        picture = np.stack([steps, steps.T, 1 - steps][:channels], axis=2)
        write_pfm(folder / "in.pfm", picture, order)
        for name in ("pfm", "tif"):
            upscale(folder / "in.pfm", folder / f"between.{name}", "-n", model, "--overwrite")
            upscale(folder / f"between.{name}", folder / "out.pfm", "-n", model, "--overwrite")
            made = read_pfm(folder / "out.pfm")
            wanted = twice_as_large(picture, 4)
            apart = np.abs(made - wanted).max() if made.shape == wanted.shape else made.shape
            checks.check(made.shape == wanted.shape and apart < 1e-6,
                         f"floats, {channels} channels, {order}, through {name}",
                         f"largest difference {apart}")
    Image.fromarray(steps, "F").save(folder / "in.tif")  # which shows, too, where PFM begins
    upscale(folder / "in.tif", folder / "out.pfm", "-n", model, "--overwrite")
    apart = np.abs(read_pfm(folder / "out.pfm")[::2, ::2, 0] - steps).max()
    checks.check(apart < 1e-6, "floats of a TIFF by Pillow", f"largest difference {apart}")

    outside = np.array([[[-1.0], [np.nan]], [[2.0], [np.inf]]], np.float32)
    write_pfm(folder / "in.pfm", outside, "<")
    done = upres("image", folder / "in.pfm", "-o", folder / "out.pfm", "-n", model, "--overwrite")
    made = read_pfm(folder / "out.pfm")[::2, ::2, 0].tolist()
    told = done.stderr.strip()
    checks.check(made == [[0, 0], [1, 1]] and told.startswith("upres: values beyond 0..1"),
                 "floats beyond 0..1 are clamped, and it is told once", f"{made}; {told}")
    done = upres("image", folder / "out.pfm", "-o", folder / "in.pfm", "-n", model, "--overwrite")
    checks.check(done.returncode == 0 and not done.stderr, "nothing is told of floats within",
                 done.stderr)


def main():
    checks = Checks()
    with workspace() as folder:
        model = folder / "nearest.safetensors"
        write_nearest(model, 2)
        check_integers(checks, folder, model, DEEP, 65536, np.uint16)
        check_integers(checks, folder, model, EIGHT_BITS, 256, np.uint8)
        check_floats(checks, folder, model)
    return checks.end()


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""RealESRGAN_x4plus on Set5, enlarged by 4: the PSNR that its published weights reach.

As papers measure it: 8-bit result, luma Y of BT.601 in studio range (MATLAB's rgb2ycbcr), a border
of 4 pixels left out."""
import sys

import numpy as np

from common import DATA, X4PLUS, need_data, pixels, psnr, upscale, workspace

EXPECTED, TOLERANCE = 26.63, 0.02
SET5 = DATA / "sr-sets/Set5"
NAMES = ("baby", "bird", "butterfly", "head", "woman")


def luma(rgb):
    weights = np.array([65.481, 128.553, 24.966]) / 255
    return 16 + rgb.astype(np.float64) @ weights


def main():
    need_data(len(NAMES), X4PLUS, SET5)
    figures = []
    print("| picture | PSNR-Y, dB |\n| --- | --- |")
    with workspace() as folder:
        for name in NAMES:
            result = folder / f"{name}.png"
            upscale(SET5 / f"LR_bicubic/X4/{name}x4.png", result, "-n", X4PLUS)
            truth, made = luma(pixels(SET5 / f"HR/{name}.png")), luma(pixels(result))
            truth = truth[:made.shape[0], :made.shape[1]]  # HR sizes need not be multiples of 4
            figures.append(psnr(made[4:-4, 4:-4], truth[4:-4, 4:-4]))
            print(f"| {name} | {figures[-1]:.3f} |", flush=True)
    mean = np.mean(figures)
    print(f"| mean | {mean:.3f} |")
    print(f"expected: {EXPECTED} ± {TOLERANCE}")
    return abs(mean - EXPECTED) > TOLERANCE


if __name__ == "__main__":
    sys.exit(int(main()))

#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""--denoise and --blend: at the ends they are the two models themselves, between them neither; a
strength of 0.3 is a share of 0.7 of the partner; what cannot be mixed is refused."""
import sys

from PIL import Image

from common import DATA, SAMPLE, Checks, need_data, upres, upscale, workspace

MODELS = DATA / "weights/ncnn"
DENOISING = MODELS / "realesr-general-x4v3.bin"
KEEPING_NOISE = MODELS / "realesr-general-wdn-x4v3.bin"
OTHER_SHAPE = MODELS / "realesr-animevideov3-x4.bin"


def main():
    need_data(9, DENOISING, KEEPING_NOISE, OTHER_SHAPE)
    checks = Checks()
    with workspace() as folder:
        source = folder / "in.png"
        Image.open(SAMPLE).crop((220, 20, 268, 52)).save(source)

        def made_with(*arguments):
            target = folder / "out.png"
            upscale(source, target, "--overwrite", "-m", MODELS, *arguments)
            return target.read_bytes()

        denoising = made_with("-n", DENOISING)
        keeping = made_with("-n", KEEPING_NOISE)
        by_name = ("-n", "realesr-general-x4v3")
        between = made_with(*by_name, "--denoise", "0.3")
        checks.check(made_with(*by_name, "--denoise", "1") == denoising, "--denoise 1: the model")
        checks.check(made_with(*by_name, "--denoise", "0") == keeping, "--denoise 0: its partner")
        checks.check(between not in (denoising, keeping), "--denoise 0.3: neither")
        checks.check(made_with("-n", DENOISING, "--blend", f"{KEEPING_NOISE}:0.7") == between,
                     "--blend PARTNER:0.7: --denoise 0.3")
        swapped = made_with("-n", KEEPING_NOISE, "--blend", "realesr-general-x4v3:1")
        checks.check(swapped == denoising, "--blend NAME:1: that model")

        for code, claim, *arguments in (
                (2, "--denoise of another model", "-n", OTHER_SHAPE, "--denoise", "0.5"),
                (2, "--denoise 2", "-n", DENOISING, "--denoise", "2"),
                (2, "--blend without a share", "-n", DENOISING, "--blend", KEEPING_NOISE),
                (4, "--blend of another shape", "-n", DENOISING, "--blend", f"{OTHER_SHAPE}:0.5")):
            done = upres("image", source, "-o", folder / "refused.png", *arguments)
            checks.check(done.returncode == code and not (folder / "refused.png").exists(),
                         f"{claim}: {code}", done.stderr.strip())
    return checks.end()


if __name__ == "__main__":
    sys.exit(main())

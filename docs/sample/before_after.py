#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Makes the README's picture: a part of the sample, enlarged by bicubic interpolation on the left
and by upres on the right.

    before_after.py sample.jpg sample_x4.png before-after.png

Needs Pillow."""
import sys

from PIL import Image

PART = (206, 10, 320, 170)  # of the sample
SCALE, GAP = 4, 8


def main(sample, upscaled, output):
    before = Image.open(sample).convert("RGB")
    before = before.resize((before.width * SCALE, before.height * SCALE), Image.BICUBIC)
    box = tuple(v * SCALE for v in PART)
    width, height = box[2] - box[0], box[3] - box[1]
    picture = Image.new("RGB", (2 * width + GAP, height), "white")
    picture.paste(before.crop(box), (0, 0))
    picture.paste(Image.open(upscaled).convert("RGB").crop(box), (width + GAP, 0))
    picture.save(output, optimize=True)


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    main(*sys.argv[1:])

#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Measures what an overlap of tiles is worth: PSNR to the untiled picture, for networks whose halo
is larger than a tile. Prints the table in docs/tiles.md. Takes about ten minutes."""
import sys

from PIL import Image

from common import ANIME_6B, REAL, X4PLUS, need_data, pixels, psnr, upscale, workspace

# With any of the overlaps a picture of this size is cut into 2x2 tiles of this side.
SIDE, SIZE = 96, (180, 164)
OVERLAPS = (0, 8, 16, 24, 32, 48, 64)
PICTURES = ("comic3.png", "oldphoto6.png", "foreman.png")
# What an automatic tile of RealESRGAN_x4plus reads, about: its activations take 1 GiB.
AUTOMATIC = 320
MODELS = {"x4plus": X4PLUS, "anime_6B": ANIME_6B}


def work(overlap):
    """Pixels that go through the network to those of a large picture, with automatic tiles."""
    return (AUTOMATIC / (AUTOMATIC - overlap)) ** 2


def main():
    need_data(len(OVERLAPS) * len(PICTURES) * len(MODELS), REAL, *MODELS.values())
    columns = [f"{m}: mean, dB | worst, dB | largest difference" for m in MODELS]
    print(f"Tiles of {SIDE}, pictures of {SIZE[0]}x{SIZE[1]}: {', '.join(PICTURES)}")
    print(f"| overlap | work | {' | '.join(columns)} |")
    print("| --- " * (2 + 3 * len(MODELS)) + "|")
    with workspace() as folder:
        whole = {}
        for picture in PICTURES:
            image = Image.open(REAL / picture).convert("RGB")
            x, y = ((image.width - SIZE[0]) // 2, (image.height - SIZE[1]) // 2)
            image.crop((x, y, x + SIZE[0], y + SIZE[1])).save(folder / picture)
            for name, model in MODELS.items():
                upscale(folder / picture, folder / "whole.png", "-n", model, "-t", 0, "--overwrite")
                whole[name, picture] = pixels(folder / "whole.png").astype(int)
        for overlap in OVERLAPS:
            cells = []
            for name, model in MODELS.items():
                figures, largest = [], 0
                for picture in PICTURES:
                    upscale(folder / picture, folder / "tiled.png", "-n", model, "-t", SIDE,
                            "--overlap", overlap, "--overwrite")
                    tiled = pixels(folder / "tiled.png").astype(int)
                    figures.append(psnr(tiled, whole[name, picture]))
                    largest = max(largest, abs(tiled - whole[name, picture]).max())
                mean = sum(figures) / len(figures)
                cells.append(f"{mean:.2f} | {min(figures):.2f} | {largest}")
            print(f"| {overlap} | {work(overlap):.2f} | {' | '.join(cells)} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())

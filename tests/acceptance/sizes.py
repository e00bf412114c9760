#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Any size: each option gives the size it names, and the pixels that Pillow's LANCZOS gives of the
network's own result; alpha is right at its edges; --repeat runs the network again; 16 bits stay 16.
What a format cannot hold is named before anything is started."""
import sys

import numpy as np
from PIL import Image

from common import SAMPLE, Checks, measured, psnr, upres, upscale, workspace, write_nearest
from png_file import read_png, write_png

SCALE = 4


def lanczos(picture, size):
    """Pillow's LANCZOS, of floats, since of bytes it clamps between the two directions."""
    def resize(plane):
        return np.asarray(Image.fromarray(plane.astype(np.float32), "F").resize(size, Image.LANCZOS))

    planes = [picture[..., i] / 255 for i in range(picture.shape[2])]
    if len(planes) == 4:
        alpha = resize(planes[3])
        visible = np.where(alpha > 1e-6, alpha, 1)
        planes = [resize(plane * planes[3]) / visible for plane in planes[:3]] + [alpha]
    else:
        planes = [resize(plane) for plane in planes]
    return np.floor(np.clip(np.dstack(planes), 0, 1) * 255 + 0.5).astype(np.uint8)


def nearest(picture, times=SCALE):
    return np.repeat(np.repeat(picture, times, 0), times, 1)


def check_sizes(checks, folder, model):
    picture = np.asarray(Image.open(SAMPLE).convert("RGB").crop((200, 20, 297, 91)))  # 97x71
    Image.fromarray(picture).save(folder / "in.png")
    native = nearest(picture)
    cases = [(["-s", "1.5"], (146, 107)), (["-s", "0.4"], (39, 28)), (["-s", "4"], (388, 284)),
             (["-s", "8"], (776, 568)), (["-s", "2.0625"], (200, 146)),
             (["--width", "200"], (200, 146)), (["--height", "200"], (273, 200)),
             (["--width", "1"], (1, 1)), (["--size", "120x300"], (120, 300)),
             (["--fit", "200x200"], (200, 146)), (["--fit", "1000x100"], (137, 100)), ([], (388, 284))]
    for options, size in cases:
        upscale(folder / "in.png", folder / "out.png", "-n", model, "--overwrite", *options)
        made = read_png(folder / "out.png")
        wanted = lanczos(native, size)
        if made.shape != wanted.shape:
            checks.check(False, " ".join(options), f"{made.shape} instead of {wanted.shape}")
            continue
        apart = np.abs(made.astype(int) - wanted)
        checks.check(apart.max() <= 1,
                     f"{' '.join(options) or 'no size'}: {size[0]}x{size[1]}",
                     f"{psnr(made, wanted):.1f} dB to Pillow's, at most {apart.max()} off")


def check_alpha(checks, folder, model):
    """White on transparent black stays white at the edge, and a gradient of alpha is smooth."""
    picture = np.zeros((24, 24, 4), np.uint8)
    picture[6:18, 6:18] = (255, 255, 255, 255)
    Image.fromarray(picture).save(folder / "in.png")
    for scale in ("1.5", "3", "7"):
        upscale(folder / "in.png", folder / "out.png", "-n", model, "--overwrite", "-s", scale)
        made = read_png(folder / "out.png")
        size = made.shape[1], made.shape[0]
        wanted = lanczos(nearest(picture), size)
        visible = made[..., 3] > 8
        darkest = made[visible][:, :3].min()
        apart = np.abs(made[..., 3].astype(int) - wanted[..., 3]).max()
        between = ((made[..., 3] > 8) & (made[..., 3] < 247)).sum()
        checks.check(darkest >= 254 and apart <= 1 and between > 0,
                     f"-s {scale}: no dark rim where white meets transparency",
                     f"darkest {darkest}, alpha at most {apart} off Pillow's, {between} between")


def check_depth(checks, folder, model):
    steps = np.linspace(1000, 60000, 40 * 30).astype(np.uint16).reshape(30, 40)
    write_png(folder / "in.png", np.dstack([steps, steps[::-1], steps.T.reshape(30, 40)]))
    upscale(folder / "in.png", folder / "deep.png", "-n", model, "-s", "2.5")
    deep = read_png(folder / "deep.png")
    upscale(folder / "in.png", folder / "flat.png", "-n", model, "-s", "2.5", "--depth", "8")
    flat = read_png(folder / "flat.png")
    apart = np.abs(flat.astype(float) - deep / 257).max()
    checks.check(deep.dtype == np.uint16 and flat.dtype == np.uint8 and apart <= 0.51,
                 "16 bits resampled, and rounded once with --depth 8", f"{apart:.3f} off")
    few = len(np.unique(deep & 255))
    checks.check(few > 200, "the low bytes are not invented", f"{few} of 256 occur")


def check_repeat(checks, folder, model):
    picture = np.asarray(Image.open(SAMPLE).convert("RGB").crop((210, 30, 231, 47)))  # 21x17
    Image.fromarray(picture).save(folder / "in.png")
    for options, size, times in ((["-s", "16"], (336, 272), 16), (["-s", "10"], (210, 170), 16),
                                 (["-s", "3"], (63, 51), 4)):
        upscale(folder / "in.png", folder / "out.png", "-n", model, "--overwrite", "--repeat",
                *options)
        made = read_png(folder / "out.png")
        wanted = lanczos(nearest(picture, times), size)
        apart = np.abs(made.astype(int) - wanted).max() if made.shape == wanted.shape else made.shape
        checks.check(made.shape == wanted.shape and apart <= 1,
                     f"--repeat {' '.join(options)}: x{times}, then resampled", f"{apart} off")
    # The default model, run by hand with 16 bits between, gives the same.
    upscale(folder / "in.png", folder / "twice.png", "--repeat", "-s", "16")
    upscale(folder / "in.png", folder / "once.png", "--depth", "16")
    upscale(folder / "once.png", folder / "again.png", "--depth", "8")
    same = (read_png(folder / "twice.png") == read_png(folder / "again.png")).all()
    checks.check(same, "--repeat is what two runs are")


def check_refusals(checks, folder, model):
    """A wide picture, of alpha and of 16 bits, into what cannot hold it: within a second."""
    write_png(folder / "long.png", np.zeros((1, 20000, 3), np.uint8))
    write_png(folder / "alpha.png", np.zeros((300, 300, 4), np.uint8))
    write_png(folder / "deep.png", np.zeros((300, 300, 3), np.uint16))
    write_png(folder / "good.png", np.zeros((300, 300, 3), np.uint8))
    before = sorted(p.name for p in folder.iterdir())
    cases = [("long.png", "out.webp", 5, "WebP cannot hold 80000 pixels a side", []),
             ("good.png", "out.webp", 5, "WebP cannot hold 16384 pixels a side", ["--width", "16384"]),
             ("good.png", "out.avif", 5, "AVIF cannot hold 16385 pixels a side", ["--width", "16385"]),
             ("good.png", "out.heic", 5, "HEIC cannot hold 16384 pixels a side", ["--width", "16384"]),
             ("long.png", "out.jpg", 5, "JPEG cannot hold 80000 pixels a side", []),
             ("alpha.png", "out.jpg", 5, "give --flatten COLOUR", []),
             ("deep.png", "out.jpg", 5, "give --depth 8", []),
             ("deep.png", "out.webp", 5, "give --depth 8", []),
             ("deep.png", "out.bmp", 5, "give --depth 8", []),
             ("good.png", "out.pfm", 5, "give --depth float", []),
             ("good.png", "out.png", 3, "more than", ["-s", "1e9"]),
             ("good.png", "out.png", 2, "--quality", ["-q", "50"]),
             ("good.png", "out.jpg", 2, "--lossless", ["--lossless"]),
             ("good.png", "out.avif", 2, "--lossless", ["--lossless"]),
             ("good.png", "out.png", 2, "--width", ["--width", "10", "--height", "10"]),
             ("good.png", "out.png", 3, "claims 300x300 pixels", ["--max-pixels", "80000"])]
    for source, target, code, words, options in cases:
        done = measured("image", folder / source, "-o", folder / target, "-n", model, *options)
        left = sorted(p.name for p in folder.iterdir())
        checks.check(done.returncode == code and words in done.stderr and left == before and
                     len(done.stderr.splitlines()) == 1 and done.cpu_seconds < 1,
                     f"{source} to {target} {' '.join(options)}: {code}", done.stderr.strip())
    for options, target in ((["--flatten", "white"], "white.jpg"), (["--flatten", "f80"], "f80.png")):
        upscale(folder / "alpha.png", folder / target, "-n", model, *options)
        made = np.asarray(Image.open(folder / target))
        wanted = (255, 255, 255) if "white" in options else (255, 136, 0)
        checks.check((made == wanted).all(), f"{' '.join(options)}: {target}", f"{made[0, 0]}")
    done = upres("image", folder / "deep.png", "-o", folder / "flat.jpg", "-n", model,
                 "--depth", "8")
    checks.check(done.returncode == 0, "--depth 8 makes a JPEG of 16 bits", done.stderr)


def main():
    checks = Checks()
    for test in (check_sizes, check_alpha, check_depth, check_repeat, check_refusals):
        with workspace() as folder:
            model = folder.parent / f"{folder.name}.safetensors"
            write_nearest(model, SCALE)
            test(checks, folder, model)
            model.unlink()
    return checks.end()


if __name__ == "__main__":
    sys.exit(main())

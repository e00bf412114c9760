#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""usage: images.py [NAME…]
Every picture of ../shared/data/images, or those whose path holds a NAME, goes through a
nearest-neighbour model, each in a process of its own: a good one must come out with the pixels that
Pillow finds in it, another one be refused with one line that says why; the damaged ones within
seconds and a gibibyte. Prints a table of processor time, peak memory and outcome."""
import concurrent.futures
import io
import sys
import warnings

import numpy as np
from PIL import Image, ImageCms, ImageOps

from common import DATA, Checks, measured, need_data, workspace, write_nearest
from pfm_file import read_pfm
from png_file import read_png

PICTURES = DATA / "images"
MOST_SECONDS, MOST_MIB = 2, 1024  # of processor time, which other programs do not add to

UNKNOWN = "is not a picture that upres knows; upres reads PNG"

# What is refused, and words of the reason.
REFUSED = {
    "apng/syntax_num_frames_zero.png": "IEND: out of place",
    "bmpsuite/b_badbitcount.bmp": "unsupported bits per pixel",
    "bmpsuite/b_badfilesize.bmp": "improper image header",
    "bmpsuite/b_badpalettesize.bmp": "insufficient image data",
    "bmpsuite/b_badplanes.bmp": "planes value not equal to 1",
    "bmpsuite/b_badwidth.bmp": "claims -127x64 pixels",
    "bmpsuite/b_reallybig.bmp": "claims 3000000x2000000 pixels",
    "bmpsuite/b_shortfile.bmp": "improper image header",
    "bmpsuite/q_rgb24png.bmp": "unsupported bits per pixel",  # a PNG in a BMP's clothes
    "corrupt/broken.png": "goes beyond its end",
    "corrupt/broken_data_stream.png": "goes beyond its end",
    "corrupt/decompression_bomb.gif": "Unexpected end of GIF",
    "corrupt/negative_size.ppm": "no whitespace before start of binary data",
    "corrupt/sharp_corrupt-header.jpg": "Premature end of input file",
    "corrupt/sharp_truncated.jpg": "Premature end of input file",
    "corrupt/sharp_truncated.png": "not enough data",
    "corrupt/truncated_image.png": "not enough data",
    "corrupt/truncated_jpeg.jpg": "Premature end of input file",
    "jpeg/ultrahdr.jpg": "Premature end of input file",  # Pillow finds it cut off, too
    "other/hopper.ico": UNKNOWN,
    "other/hopper.qoi": UNKNOWN,
    "other/rgb32rle.tga": UNKNOWN,
    "other/rgba16.tga": UNKNOWN,
    "pngsuite/PngSuite.LICENSE": UNKNOWN,
    "pngsuite/PngSuite.README": UNKNOWN,
    "pngsuite/xc1n0g08.png": "Invalid IHDR data",
    "pngsuite/xc9n2c08.png": "Invalid IHDR data",
    "pngsuite/xcrn0g04.png": UNKNOWN,  # its signature was damaged, as of those below
    "pngsuite/xcsn0g01.png": "IDAT: CRC error",
    "pngsuite/xd0n2c08.png": "Invalid IHDR data",
    "pngsuite/xd3n2c08.png": "Invalid IHDR data",
    "pngsuite/xd9n2c08.png": "Invalid IHDR data",
    "pngsuite/xdtn0g01.png": "IEND: out of place",
    "pngsuite/xhdn0g08.png": "IHDR: CRC error",
    "pngsuite/xlfn0g04.png": UNKNOWN,
    "pngsuite/xs1n0g01.png": UNKNOWN,
    "pngsuite/xs2n0g01.png": UNKNOWN,
    "pngsuite/xs4n0g01.png": UNKNOWN,
    "pngsuite/xs7n0g01.png": UNKNOWN,
    "tiff/10ct_32bit_128.tiff": "required field 262 missing",
    "tiff/tiff_tiled_planar_lzw.tiff": "tiled separate planes not supported",
}

# What Pillow does not read, or gets wrong, and another file that shows the same. The number is how
# far the mean may be off.
SAME_AS = {
    "bmpsuite/b_badheadersize.bmp": ("bmpsuite/g_pal1.bmp", 0),
    "bmpsuite/g_pal4rle.bmp": ("bmpsuite/g_pal4.bmp", 0),
    "bmpsuite/g_rgb32bf.bmp": ("bmpsuite/g_rgb24.bmp", 0),
    "other/avif_hopper.avif": ("other/hopper.ppm", 4),
}

# PNG files that Pillow refuses for what is beside the picture.
REFUSED_BY_PILLOW = {"chunk_no_fctl.png", "png_decompression_dos.png"}

# What has no twin. Somebody has looked.
UNCOMPARED = {
    "bmpsuite/b_badrle.bmp": "damaged; as far as ImageMagick follows it",
    "bmpsuite/b_pal8badindex.bmp": "damaged; ImageMagick's choice of missing colours",
    "bmpsuite/q_rgba32.bmp": "Pillow refuses its bit fields",
    "corrupt/truncated_end_chunk.png": "all its pixels are there",
    "other/avif_rot1mir1.avif": "Pillow reads no AVIF; upright",
    "other/avif_star.avifs": "Pillow reads no AVIF; the first picture of a film: a star",
    "pngsuite/tbbn0g04.png": "Pillow misses transparent gray of 4 bits",
}

# How far from Pillow: the mean and the largest difference. Fifths and sixths of a byte are rounded
# in two ways; Pillow takes the alpha out of 8 bits, where the file has 16.
TOLERANCES = {
    "bmpsuite/g_rgb16.bmp": (0.5, 1),
    "bmpsuite/g_rgb16-565.bmp": (0.5, 1),
    "bmpsuite/g_rgb16-565pal.bmp": (0.5, 1),
    "tiff/tiff_16bit_RGBa.tiff": (2, 255),
}


def to_rgba(image):
    """8 bits; a palette's or a colour's transparency becomes alpha."""
    if image.mode in ("I", "I;16", "I;16B"):
        gray = (np.asarray(image).astype(np.uint32) >> 8).astype(np.uint8)
        return np.dstack([gray, gray, gray, np.full_like(gray, 255)])
    return np.asarray(image.convert("RGBA"))


def by_profile(image):
    """CMYK or Lab as sRGB, by the picture's profile."""
    if image.mode == "LAB":
        profile = ImageCms.createProfile("LAB")
    elif "icc_profile" in image.info:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(image.info["icc_profile"]))
    else:
        return image.convert("RGB")
    return ImageCms.profileToProfile(image, profile, ImageCms.createProfile("sRGB"),
                                     outputMode="RGB")


def floats_as_16_bits(samples):
    return np.floor(np.clip(samples, 0, 1) * 65535 + 0.5).astype(np.uint16)[..., None]


def is_for_read_png(path):
    """Of 16 bits, of which Pillow takes 8, and not interlaced; or refused by Pillow."""
    header = path.read_bytes()[:29]
    deep = header[1:4] == b"PNG" and header[24] == 16 and header[28] == 0
    return deep or path.name in REFUSED_BY_PILLOW


def with_transparent_colour(samples, path):
    """A deep PNG's colour that stands for transparency, as alpha."""
    content = path.read_bytes()
    at = content.find(b"tRNS")
    if at < 0:
        return samples
    colour = np.frombuffer(content[at + 4:at + 4 + 2 * samples.shape[2]], ">u2")
    alpha = np.where((samples == colour).all(axis=2), 0, 65535).astype(np.uint16)
    return np.dstack([samples, alpha])


def expected(path):
    """What another decoder finds: the samples (deep, or 8-bit RGBA), and how far the mean and the
    worst may be off."""
    if is_for_read_png(path):
        return with_transparent_colour(read_png(path), path), 0, 0
    if path.suffix == ".pfm":
        return floats_as_16_bits(read_pfm(path)[..., 0]), 0, 0
    with Image.open(path) as image:
        mode, kind = image.mode, image.format
        image.load()
        if kind != "TIFF":  # Pillow has turned it already
            image = ImageOps.exif_transpose(image)
        if mode in ("CMYK", "LAB"):
            return to_rgba(by_profile(image)), 30, 255
        if mode in ("I", "I;16", "I;16B"):
            return np.asarray(image).astype(np.uint16)[..., None], 0, 0
        return to_rgba(image), 0, 0


def as_rgba(samples):
    if samples.dtype == np.uint16:
        samples = (samples >> 8).astype(np.uint8)
    if samples.shape[2] in (1, 3):
        samples = np.dstack([samples, np.full(samples.shape[:2], 255, np.uint8)])
    return samples if samples.shape[2] == 4 else samples[..., [0, 0, 0, 1]]


def difference(made, wanted):
    """Mean and largest, of visible colours and of alpha."""
    if wanted.shape[2] == 4 and wanted.dtype == np.uint8:
        made = as_rgba(made)
    if made.shape != wanted.shape or made.dtype != wanted.dtype:
        return f"{made.shape} {made.dtype} instead of {wanted.shape} {wanted.dtype}"
    apart = np.abs(made.astype(int) - wanted.astype(int))
    if wanted.shape[2] == 4:
        apart[wanted[..., 3] == 0, :3] = 0
    return apart.mean(), apart.max()


def judge(path, run, target):
    """Whether the outcome is right, and what it was."""
    name = str(path.relative_to(PICTURES))
    lines = run.stderr.splitlines()
    damaged = name.startswith(("corrupt/", "bmpsuite/b_"))
    if damaged and (run.cpu_seconds > MOST_SECONDS or run.peak_mib > MOST_MIB):
        return False, "takes too much"
    if run.returncode != 0:
        reason = lines[-1].split(path.name, 1)[-1].lstrip(": ") if lines else ""
        clean = run.returncode == 3 and len(lines) == 1 and not target.exists()
        known = name in REFUSED and REFUSED[name] in lines[-1]
        return clean and known, f"refused ({run.returncode}): {reason}"
    if lines and not lines[0].startswith("upres: note"):
        return False, f"says {lines}"
    if name in REFUSED:
        return False, "was to be refused"
    made = read_png(target)
    kind = f"{made.shape[1] // 2}x{made.shape[0] // 2}x{made.shape[2]} of {made.itemsize * 8} bits"
    if not (np.repeat(np.repeat(made[::2, ::2], 2, 0), 2, 1) == made).all():
        return False, f"{kind}: not whole pixels"
    if name in UNCOMPARED:
        return True, f"{kind}: {UNCOMPARED[name]}"
    twin, off = SAME_AS.get(name, (name, 0))
    try:
        wanted, mean, most = expected(PICTURES / twin)
    except Exception as error:  # Pillow's are of many kinds
        return False, f"{kind}: Pillow: {type(error).__name__} {error}"
    mean, most = TOLERANCES.get(name, (off, 255) if off else (mean, most))
    apart = difference(made[::2, ::2], wanted)
    if isinstance(apart, str):
        return False, apart
    return apart[0] <= mean and apart[1] <= most, \
        f"{kind}: difference {apart[0]:.3g}, at most {apart[1]}"


def main():
    need_data(1, PICTURES)
    warnings.simplefilter("ignore")
    Image.MAX_IMAGE_PIXELS = None  # b_reallybig.bmp is refused by upres itself
    paths = [p for p in sorted(PICTURES.rglob("*")) if p.is_file()]
    paths = [p for p in paths if not sys.argv[1:] or any(n in str(p) for n in sys.argv[1:])]
    checks = Checks()
    with workspace() as folder:
        model = folder / "nearest.safetensors"
        write_nearest(model, 2)

        def run(numbered):
            number, path = numbered
            target = folder / f"{number}.png"
            depth = ["--depth", "16"] if path.suffix == ".pfm" else []
            done = measured("image", path, "-o", target, "-n", model, "--quiet", *depth)
            return path, done, target

        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            for path, done, target in pool.map(run, enumerate(paths)):
                right, outcome = judge(path, done, target)
                checks.check(right, f"{str(path.relative_to(PICTURES)):50}",
                             f"{done.cpu_seconds:5.2f} s {done.peak_mib:5.0f} MiB  {outcome}")
                target.unlink(missing_ok=True)
        left = sorted(p.name for p in folder.iterdir())
        checks.check(left == [model.name], "nothing is left behind", f"{left}")
    return checks.end()


if __name__ == "__main__":
    sys.exit(main())

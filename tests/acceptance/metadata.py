#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What a picture file holds beside its pixels, field by field as exiftool reads it, from every
format that can hold it into every format: it is there in the result, or one line says that it is
not. The orientation is applied and reset, EXIF's size is the result's, its thumbnail is gone."""
import io
import json
import shutil
import struct
import subprocess
import sys

import numpy as np
from PIL import Image, ImageCms, PngImagePlugin

from common import DATA, SAMPLE, Checks, need_data, upres, upscale, workspace, write_nearest

PROFILE = DATA / "images/png/sharp_p3.png"  # a picture in Display P3

FIELDS = {
    "ICC": {"ICC_Profile:ProfileDescription": "Display P3", "ICC-header:ProfileCreator": "appl"},
    "EXIF": {"IFD0:Artist": "somebody", "IFD0:Model": "camera", "GPS:GPSLatitude": 51.5,
             "GPS:GPSLatitudeRef": "N", "ExifIFD:DateTimeOriginal": "2020:01:02 03:04:05",
             "ExifIFD:ISO": 400},
    "XMP": {"XMP-dc:Title": "a picture", "XMP-xmp:Rating": 4},
    "IPTC": {"IPTC:Keywords": "sea", "IPTC:City": "Bergen"},
}
RESOLUTION = 300  # per inch

# What each format brings along, and what is written into each: FormatTraits::keeps. JPEG XL's
# profile is not in a form that exiftool reads.
BRINGS = {"jpg": "ICC EXIF XMP IPTC", "png": "ICC EXIF XMP IPTC", "webp": "ICC EXIF XMP",
          "tif": "ICC EXIF XMP IPTC", "avif": "ICC EXIF XMP", "heic": "ICC EXIF XMP"}
KEEPS = {"jpg": "ICC EXIF XMP IPTC", "png": "ICC EXIF XMP", "webp": "ICC EXIF XMP",
         "tif": "ICC EXIF XMP IPTC", "avif": "ICC EXIF XMP", "heic": "ICC EXIF XMP", "jxl": "ICC",
         "jp2": "", "ppm": "", "bmp": "ICC", "gif": ""}
NAMES = {"jpg": "JPEG", "png": "PNG", "webp": "WebP", "tif": "TIFF", "avif": "AVIF",
         "heic": "HEIC", "jxl": "JPEG XL", "jp2": "JPEG 2000", "ppm": "PPM", "bmp": "BMP",
         "gif": "GIF"}
HOLD_RESOLUTION = {"jpg", "png", "webp", "tif", "avif", "heic"}


def exiftool(*arguments):
    done = subprocess.run(["exiftool", *map(str, arguments)], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"exiftool: {done.stderr}")
    return done.stdout


def fields(paths):
    """All fields of each file, by name."""
    read = json.loads(exiftool("-j", "-G1", "-n", *paths))
    return {entry["SourceFile"].rsplit("/", 1)[-1]: entry for entry in read}


def make_inputs(folder, model):
    """One of each format, with all that exiftool writes into it, lying on its side."""
    profile = Image.open(PROFILE).info["icc_profile"]
    picture = Image.open(SAMPLE).convert("RGB").resize((24, 16))
    picture.resize((12, 8)).save(folder / "thumbnail.jpg")
    for name in ("jpg", "png", "tif"):
        picture.save(folder / f"in.{name}", icc_profile=profile)
    for name in ("avif", "heic"):
        upscale(folder / "in.png", folder / f"in.{name}", "-n", model)
    inputs = [folder / f"in.{name}" for name in BRINGS if name != "webp"]
    exiftool("-q", "-m", "-overwrite_original", "-Orientation#=6", "-ExifImageWidth=24",
             "-ExifImageHeight=16", f"-XResolution={RESOLUTION}", f"-YResolution={RESOLUTION}",
             "-ResolutionUnit=inches", f"-ThumbnailImage<={folder / 'thumbnail.jpg'}",
             *(f"-{name.replace('ICC_Profile', 'ICC')}={value}" for kind in ("EXIF", "XMP", "IPTC")
               for name, value in FIELDS[kind].items()), *inputs)
    with Image.open(folder / "in.jpg") as jpeg:  # exiftool does not write WebP
        xmp = subprocess.run(["exiftool", "-b", "-XMP", folder / "in.jpg"], capture_output=True,
                             check=True).stdout
        picture.save(folder / "in.webp", exif=jpeg.info["exif"], icc_profile=profile, xmp=xmp)


def differing(found, kinds):
    return [f"{name}: {found.get(name)}" for kind in kinds for name, value in FIELDS[kind].items()
            if found.get(name) != value]


def resolution(found):
    """Pixels per inch."""
    if "PNG-pHYs:PixelsPerUnitX" in found:
        return round(found["PNG-pHYs:PixelsPerUnitX"] * 0.0254)
    per_cm = found.get("IFD0:ResolutionUnit") == 3
    return round(found.get("IFD0:XResolution", 0) * (2.54 if per_cm else 1))


def wrong_fields(found, kinds, target):
    """Whatever is not as it should be in a result that is to hold these kinds."""
    wrong = differing(found, kinds)
    if "IFD0:Orientation" in found and found["IFD0:Orientation"] != 1:
        wrong.append(f"orientation {found['IFD0:Orientation']}")
    if "IFD1:ThumbnailImage" in found or "IFD1:ThumbnailLength" in found:
        wrong.append("a thumbnail")
    size = [found.get("File:ImageWidth"), found.get("File:ImageHeight")]
    stated = [found.get("ExifIFD:ExifImageWidth"), found.get("ExifIFD:ExifImageHeight")]
    if "EXIF" in kinds and stated[0] is None:
        wrong.append("no EXIF size")
    if stated[0] is not None and None not in size and stated != size:
        wrong.append(f"EXIF says {stated} of {size}")
    if target in HOLD_RESOLUTION and resolution(found) != RESOLUTION:
        wrong.append(f"{resolution(found)} dpi")
    return wrong


def said(source, target, model):
    done = upres("image", source, "-o", target, "-n", model)
    return done.stderr.strip() if done.returncode == 0 else f"FAILED: {done.stderr}"


def check_sizes(checks, folder, model):
    """What is too large is told, and keeps nothing else from being written."""
    picture = Image.open(SAMPLE).convert("RGB").resize((24, 16))
    exif = Image.Exif()
    exif[0x13B] = "somebody"
    for size, kept in ((60_000, True), (70_000, False), (3_000_000, False)):
        exif[0x10E] = "x" * size  # ImageDescription
        for source in ("png", "tif"):
            picture.save(folder / f"large.{source}", exif=exif)
            for target in ("jpg", "png", "tif"):
                out = folder / f"large_{size}_{source}.{target}"
                told = said(folder / f"large.{source}", out, model)
                wanted = "" if kept else "upres: EXIF of more than 64 kB is not read"
                found = fields([out])[out.name].get("IFD0:ImageDescription", "")
                checks.check(told == wanted and len(found) == size * kept,
                             f"EXIF of {size} bytes, {source} to {target}",
                             f"{len(found)} written; says '{told}'")
    picture.save(folder / "large.webp", xmp=b"<x:xmpmeta>" + b" " * 100_000 + b"</x:xmpmeta>")
    told = said(folder / "large.webp", folder / "xmp.jpg", model)
    checks.check(told == "upres: JPEG files are written without XMP",
                 "XMP that JPEG has no room for", told)


def check_png_texts(checks, folder, model):
    """As ImageMagick writes them, and damaged."""
    def text(name, content, count=None):
        key = f"Raw profile type {name}"
        texts.add_text(key, f"\n{name}\n{count or len(content):8}\n{content.hex()}\n", zip=True)

    inside = {kind: subprocess.run(["exiftool", "-b", f"-{kind}", folder / "in.jpg"],
                                   capture_output=True, check=True).stdout
              for kind in ("EXIF", "XMP")}
    with Image.open(folder / "in.jpg") as jpeg:
        photoshop = b"".join(b"8BIM" + struct.pack(">HHL", kind, 0, len(block)) + block +
                             b"\0" * (len(block) % 2)
                             for kind, block in jpeg.info["photoshop"].items()
                             if isinstance(block, bytes))
    exif, xmp = inside["EXIF"].removeprefix(b"Exif\0\0"), inside["XMP"]
    exif = b"Exif\0\0" + exif
    cases = {"exif, xmp, iptc": (("exif", exif), ("xmp", xmp), ("iptc", photoshop)),
             "APP1, 8bim": (("APP1", exif), ("8bim", photoshop)),
             "APP1 of XMP": (("APP1", b"http://ns.adobe.com/xap/1.0/\0" + xmp),)}
    picture = Image.open(SAMPLE).convert("RGB").resize((24, 16))
    for name, profiles in cases.items():
        texts = PngImagePlugin.PngInfo()
        for profile in profiles:
            text(*profile)
        picture.save(folder / "text.png", pnginfo=texts)
        told = said(folder / "text.png", folder / f"{name}.jpg", model)
        kinds = [kind for kind, word in (("EXIF", exif), ("XMP", xmp), ("IPTC", photoshop))
                 if any(content.endswith(word) for _, content in profiles)]
        wrong = differing(fields([folder / f"{name}.jpg"])[f"{name}.jpg"], kinds)
        checks.check(not wrong and not told, f"PNG's text of {name}: {' '.join(kinds)}",
                     f"{wrong or ''} {told}")
    for name, content, count in (("damaged", photoshop, 1_000_000), ("large", bytes(10_000_000), None)):
        texts = PngImagePlugin.PngInfo()
        text("iptc", content, count)
        picture.save(folder / "text.png", pnginfo=texts)
        told = said(folder / "text.png", folder / f"{name}.jpg", model)
        checks.check(told == "upres: IPTC that is damaged or too large is not read",
                     f"PNG's text of IPTC, {name}", told)


def check_lossy_jxl(checks, folder, model):
    """With a profile it becomes sRGB, and that is told. Of colours that sRGB has."""
    profile = ImageCms.ImageCmsProfile(io.BytesIO(Image.open(PROFILE).info["icc_profile"]))
    colours = Image.new("RGB", (128, 16))
    for i, colour in enumerate(((128, 128, 128), (180, 120, 90), (90, 140, 110), (40, 50, 80))):
        colours.paste(colour, (32 * i, 0, 32 * i + 32, 16))
    colours.save(folder / "colours.png", icc_profile=profile.tobytes())
    upscale(folder / "colours.png", folder / "colours.jxl", "-n", model, "-q", "98")
    told = said(folder / "colours.jxl", folder / "back.png", model)
    with Image.open(folder / "back.png") as made:
        plain = "icc_profile" not in made.info
        found = np.asarray(made.convert("RGB")).astype(int)[32, 64::128]
    wanted = ImageCms.profileToProfile(colours, profile, ImageCms.createProfile("sRGB"),
                                       renderingIntent=ImageCms.INTENT_RELATIVE_COLORIMETRIC)
    apart = np.abs(found - np.asarray(wanted).astype(int)[8, 16::32]).max()
    checks.check(told == "upres: the colour profile of lossy JPEG XL files is not read" and plain
                 and apart <= 4, "lossy JPEG XL with a profile becomes sRGB",
                 f"{apart} off; says '{told}'")
    upscale(SAMPLE, folder / "plain.jxl", "-n", model)
    told = said(folder / "plain.jxl", folder / "plain.png", model)
    checks.check(not told, "lossy JPEG XL without a profile stays as it is", told)


def main():
    need_data(1, PROFILE)
    if not shutil.which("exiftool"):
        sys.exit("exiftool is missing: libimage-exiftool-perl")
    checks = Checks()
    with workspace() as folder:
        model = folder / "nearest.safetensors"
        write_nearest(model, 2)
        make_inputs(folder, model)
        told = {}
        for source in BRINGS:
            for target in KEEPS:
                out = folder / f"{source}.{target}"
                done = upres("image", folder / f"in.{source}", "-o", out, "-n", model)
                told[out.name] = done.stderr.strip() if done.returncode == 0 else "FAILED"
        found = fields([folder / name for name in told])
        sources = fields([folder / f"in.{name}" for name in BRINGS])
        for source, brings in BRINGS.items():
            wrong = differing(sources[f"in.{source}"], brings.split())
            checks.check(not wrong, f"{source} as exiftool made it", f"{wrong or ''}")
            for target, keeps in KEEPS.items():
                kept = [kind for kind in brings.split() if kind in keeps.split()]
                lost = [kind for kind in brings.split() if kind not in keeps.split()]
                notice = f"upres: {NAMES[target]} files are written without {', '.join(lost)}"
                name = f"{source}.{target}"
                seen = [k for k in kept if (k, target) != ("ICC", "jxl")]
                wrong = wrong_fields(found.get(name, {}), seen, target)
                if told[name] != (notice if lost else ""):
                    wrong.append(f"says '{told[name]}'")
                checks.check(not wrong, f"{source} to {target}: {' '.join(kept) or 'nothing'}",
                             f"{wrong or ''}")

        check_sizes(checks, folder, model)
        check_png_texts(checks, folder, model)

        # A profile that exiftool does not see, by way of a format where it does.
        upscale(folder / "in.jpg", folder / "wide.jxl", "-n", model, "--lossless")
        upscale(folder / "wide.jxl", folder / "wide.png", "-n", model)
        wrong = differing(fields([folder / "wide.png"])["wide.png"], ["ICC"])
        checks.check(not wrong, "a profile goes through lossless JPEG XL", f"{wrong or ''}")
        check_lossy_jxl(checks, folder, model)
    return checks.end()


if __name__ == "__main__":
    sys.exit(main())

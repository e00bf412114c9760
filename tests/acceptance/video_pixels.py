#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What upres video makes of pixels: frames of RGB films are those of upres image; films of every depth,
chroma, range and matrix come out as they went in through a network that repeats pixels; alpha, gray,
light levels and colour tags are kept."""
import sys

import numpy as np

from common import Checks, upres, upscale, workspace, write_nearest
from films import Film, decoded, ffmpeg, need_ffmpeg, upscale_film
from png_file import write_png

SOURCE = "testsrc2=s=64x48:r=5:d=1"  # of ffmpeg: bars, ramps and moving edges
SIZE = (64, 48)


STORED = {"gbrp": "bgr0", "gbrap": "bgra"}  # what FFV1 calls RGB of 8 bits


def packed(planes):
    """Red, green and blue of each pixel, of planes of green, blue and red."""
    return planes[[2, 0, 1]].transpose(1, 2, 0)


def rgb_is_that_of_image(checks, folder):
    """Held to one level of the film's depth, by the default model."""
    for pixels, word in (("gbrp", np.uint8), ("gbrp10le", "<u2")):
        film = folder / f"{pixels}.mkv"
        ffmpeg("-f", "lavfi", "-i", SOURCE, "-vf", "noise=alls=20", "-pix_fmt", pixels, "-c:v",
               "ffv1", film)
        made = folder / f"{pixels}_x4.mkv"
        upscale_film(film, made, "-c", "ffv1")
        found = np.frombuffer(decoded(made, pixels), word).reshape(5, 3, 192, 256)
        most = 1023 if word == "<u2" else 255
        frames = np.frombuffer(decoded(film, pixels), word).reshape(5, 3, 48, 64)
        furthest = 0
        for i in range(5):
            frame, picture = folder / "frame.png", folder / "picture.png"
            write_png(frame, (packed(frames[i]) * (65535 / most) + 0.5).astype(np.uint16))
            upscale(frame, picture, "--overwrite")
            expected = np.frombuffer(decoded(picture, "rgb48le"), "<u2").reshape(192, 256, 3)
            apart = np.abs(expected * (most / 65535) - packed(found[i])).max()
            furthest = max(furthest, apart)
        checks.check(Film(made).video["pix_fmt"] == STORED.get(pixels, pixels) and furthest <= 1,
                     f"{pixels} becomes what upres image makes of it",
                     f"at most {furthest:.3f} levels apart")


# Films whose chroma is what the network's repeated pixels have: of each block of chroma the luma is
# of one value, so that nothing but rounding lies between in and out.
LAYOUTS = [(f"yuv{chroma}p{depth}", chroma, bits)
           for chroma in ("420", "422", "444") for depth, bits in (("", 8), ("10le", 10), ("12le", 12))]
LAYOUTS += [("gray", "gray", 8), ("gray10le", "gray", 10), ("gbrp", "rgb", 8), ("gbrp12le", "rgb", 12)]


def layouts_keep_their_values(checks, folder, model):
    """A flat field of each of some colours: through matrix, range and depth, and back, all is within one
    code value. Both ranges, all matrices."""
    for pixels, chroma, bits in LAYOUTS:
        word = "<u2" if bits > 8 else np.uint8
        for tv in (True, False):
            for space in ("smpte170m", "bt709", "bt2020nc"):
                if chroma in ("gray", "rgb") and space != "bt709":
                    continue
                if chroma == "rgb" and tv:
                    continue
                step = 2 ** (bits - 8)
                # Colours within the gamut of R'G'B': luma in the middle, chroma near grey.
                fields = [(60, 120, 130), (126, 128, 128), (180, 140, 118), (200, 120, 132)]
                frames = b""
                for field in fields:
                    for c, value in enumerate(field):
                        if chroma == "gray" and c > 0:
                            continue
                        w, h = SIZE
                        if c > 0:
                            w //= 2 if chroma in ("420", "422") else 1
                            h //= 2 if chroma == "420" else 1
                        frames += np.full((h, w), value * step, word).tobytes()
                film = folder / "field.mkv"
                # ffv1 has no 12 bits of 4:2:0 that all decoders take: raw frames in nut say all.
                tags = ["-color_range", "tv" if tv else "pc"]
                if chroma != "rgb":
                    tags += ["-colorspace", space]
                ffmpeg("-f", "rawvideo", "-pix_fmt", pixels, "-s", "64x48", "-r", "5", *tags,
                       "-i", "-", "-c:v", "ffv1", "-level", "3", "-strict", "-2", *tags, film,
                       input=frames)
                made = folder / "field_x2.mkv"
                upscale_film(film, made, "-n", model, "-c", "ffv1", "--overwrite", "--every-frame")
                video = Film(made).video
                out = np.frombuffer(decoded(made, pixels), word).astype(int)
                want = np.concatenate([
                    np.full(w * h, field[c] * step)
                    for field in fields for c, (w, h) in enumerate(planes_x2(chroma))])
                kept = (video["pix_fmt"] == STORED.get(pixels, pixels)
                        and (chroma in ("gray", "rgb") or video.get("color_space") == space)
                        and video.get("color_range") == ("tv" if tv else "pc"))
                if len(out) != len(want):
                    checks.check(False, f"{pixels} {space} keeps its shape")
                    continue
                off = np.abs(out - want).max()
                checks.check(kept and off <= 1,
                             f"{pixels}, {space}, {'limited' if tv else 'full'} range",
                             f"{off} off" + ("" if kept else f"; {video}"))


def planes_x2(chroma):
    w, h = SIZE[0] * 2, SIZE[1] * 2
    if chroma == "gray":
        return [(w, h)]
    cw = w // 2 if chroma in ("420", "422") else w
    ch = h // 2 if chroma == "420" else h
    return [(w, h), (cw, ch), (cw, ch)]


def levels_beyond_8_bits_pass(checks, folder, model):
    """All 1024 levels of 10 bits come out of a network for one value each: none is rounded away."""
    ramp = np.arange(1024, dtype="<u2").reshape(16, 64)
    film = folder / "ramp.mkv"
    ffmpeg("-f", "rawvideo", "-pix_fmt", "gray10le", "-s", "64x16", "-r", "1", "-i", "-", "-c:v",
           "ffv1", "-color_range", "pc", film, input=ramp.tobytes())
    made = folder / "ramp_x2.mkv"
    upscale_film(film, made, "-n", model, "-c", "ffv1")
    out = np.frombuffer(decoded(made, "gray10le"), "<u2").reshape(32, 128)
    checks.check((out == ramp.repeat(2, 0).repeat(2, 1)).all(), "10 bits pass level by level")


def alpha_is_kept(checks, folder, model):
    for pixels, channels in (("yuva444p10le", 4), ("gbrap", 4)):
        film, made = folder / f"{pixels}.mkv", folder / f"{pixels}_x2.mkv"
        ffmpeg("-f", "lavfi", "-i", SOURCE, "-vf",
               f"format=gbrap,geq=r='r(X,Y)':g='g(X,Y)':b='b(X,Y)':a='X*3+Y',format={pixels}",
               "-c:v", "ffv1", film)
        upscale_film(film, made, "-n", model, "-c", "ffv1")
        word = "<u2" if "10" in pixels else np.uint8
        plane = SIZE[0] * SIZE[1]
        before = np.frombuffer(decoded(film, pixels), word).reshape(5, channels, 48, 64)[:, 3]
        after = np.frombuffer(decoded(made, pixels), word).reshape(5, channels, 96, 128)[:, 3]
        checks.check((after == before.repeat(2, 1).repeat(2, 2)).all() and plane,
                     f"alpha of {pixels} passes sample by sample")
        done = upres("video", film, "-o", folder / f"{pixels}.mp4", "-n", model)
        checks.check(done.returncode == 0 and "alpha is left out" in done.stderr,
                     f"that mp4 loses alpha of {pixels} is told", done.stderr.strip())


def light_levels_are_kept(checks, folder, model):
    film = folder / "hdr.mkv"
    display = ("G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,50)")
    ffmpeg("-f", "lavfi", "-i", SOURCE, "-pix_fmt", "yuv420p10le", "-c:v", "libx265",
           "-x265-params",
           f"log-level=error:colorprim=bt2020:transfer=smpte2084:colormatrix=bt2020nc:"
           f"master-display={display}:max-cll=1000,400", film)
    for suffix in (".mp4", ".mkv"):
        made = folder / f"hdr_x2{suffix}"
        upscale_film(film, made, "-n", model)
        before, after = Film(film), Film(made)
        kinds = ("Mastering display metadata", "Content light level metadata")
        tags = ("color_space", "color_transfer", "color_primaries", "color_range", "pix_fmt")
        checks.check(all(before.side_data(k) and before.side_data(k) == after.side_data(k)
                         for k in kinds)
                     and all(before.video[t] == after.video[t] for t in tags),
                     f"PQ, BT.2020 and light levels are in the {suffix}",
                     "" if after.side_data(kinds[0]) else str(after.video))


def strange_colours_are_refused(checks, folder, model):
    for space in ("ictcp", "bt2020c"):
        film = folder / f"{space}.mkv"
        ffmpeg("-f", "lavfi", "-i", SOURCE, "-pix_fmt", "yuv420p10le", "-c:v", "libx265",
               "-x265-params", f"log-level=error:colormatrix={space}", film)
        done = upres("video", film, "-n", model)
        checks.check(done.returncode == 3 and "no plain sum" in done.stderr,
                     f"{space} is refused", done.stderr.strip())


def main():
    need_ffmpeg()
    checks = Checks()
    with workspace() as folder:
        model = folder / "nearest.safetensors"
        write_nearest(model, 2)
        rgb_is_that_of_image(checks, folder)
        layouts_keep_their_values(checks, folder, model)
        levels_beyond_8_bits_pass(checks, folder, model)
        alpha_is_kept(checks, folder, model)
        light_levels_are_kept(checks, folder, model)
        strange_colours_are_refused(checks, folder, model)
    return checks.end()


if __name__ == "__main__":
    sys.exit(main())

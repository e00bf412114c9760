#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Animated pictures through upres video: GIF, APNG and WebP, each into each. Frames, delays and how
often they are shown are those of the source, as Pillow reads both; each pixel becomes four."""
import json
import os
import subprocess
import sys
import time

import numpy as np
from PIL import Image, ImageDraw

from common import (DATA, SAMPLE, UPRES, Checks, measured, need_data, pixels, psnr, upres, upscale,
                    workspace, write_nearest)
from films import Film, decoded, ffmpeg, need_ffmpeg, upscale_film

KINDS = {"gif": "GIF", "png": "PNG", "webp": "WEBP"}
SIZE = (48, 36)
MOVING = "testsrc2=s=48x36:r={},noise=alls=30:allf=t"  # no two frames are the same


class Animation:
    """What Pillow sees: frames (RGBA, what cannot be seen all 0), delays in ms, plays (0: for ever).
    Frames like the one before are a part of it, as libwebp makes them."""

    def __init__(self, path, plays=None):
        self.frames, self.delays = [], []
        with Image.open(path) as file:
            self.format, self.count = file.format, getattr(file, "n_frames", 1)
            loop = file.info.get("loop")
            hidden = file.info.get("default_image", False)  # of an APNG: for those who know none
            for i in range(int(hidden), self.count):
                file.seek(i)
                frame = np.array(file.convert("RGBA"))
                delay = file.info.get("duration", 0)
                frame[frame[..., 3] == 0] = 0
                if self.frames and (frame == self.frames[-1]).all():
                    self.delays[-1] += delay
                else:
                    self.frames.append(frame)
                    self.delays.append(delay)
            loop = file.info.get("loop", loop)
        # GIF counts repetitions; without any word it is shown once.
        self.plays = 1 if loop is None else loop + 1 if self.format == "GIF" and loop else loop

    def enlarged(self):
        return [f.repeat(2, 0).repeat(2, 1) for f in self.frames]


def save(path, frames, delays, plays, **options):
    """By Pillow, in the words of the format."""
    if path.suffix == ".gif":
        options |= {"loop": plays - 1 if plays else 0} if plays != 1 else {}
    else:
        options |= {"loop": plays}
    if path.suffix == ".webp":
        options |= {"lossless": True, "exact": True}
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=delays, **options)


def drawn(mode, count, background):
    """Frames of few colours in which something moves."""
    frames = []
    for i in range(count):
        frame = Image.new(mode, SIZE, background)
        draw = ImageDraw.Draw(frame)
        draw.rectangle((4 * i, 6, 4 * i + 9, 20), fill=(250, 40 * i, 30) + (255,) * (mode == "RGBA"))
        draw.ellipse((30 - 3 * i, 18, 42 - 3 * i, 30), fill=(20, 90, 30 * i) + (255,) * (mode == "RGBA"))
        frames.append(frame)
    return frames


def last(done):
    """The last sentence that was told."""
    return (done.stderr.strip().splitlines() or [""])[-1]


def apng(kind):
    """What names a PNG that is to be an animation."""
    return ["-f", "apng"] if kind == "png" else []


def upscaled(source, kind, model):
    made = source.parent if os.access(source.parent, os.W_OK) and DATA not in source.parents else model.parent
    made = made / f"{source.stem}_{source.suffix[1:]}_x2.{kind}"
    upscale_film(source, made, "-n", model, *apng(kind))
    return made


def compare(checks, source, made, what, exact=True):
    before, after = Animation(source), Animation(made)
    same = (len(before.frames) == len(after.frames)
            and before.frames[0].shape[0] * 2 == after.frames[0].shape[0])
    off = [float(np.abs(a.astype(int) - b).max()) for a, b in zip(before.enlarged(), after.frames)] \
        if same else []
    times = np.abs(np.cumsum(before.delays) - np.cumsum(after.delays)).max() if same else None
    checks.check(same and (max(off) == 0 or not exact), f"{what}: each frame as it was",
                 "" if same and max(off) == 0 else f"{len(before.frames)} {len(after.frames)} {off}")
    if before.count > 1:
        limit = 5 if after.format == "GIF" else 0.51
        checks.check(same and times <= limit, f"{what}: its delays",
                     "" if same and times <= limit else f"{before.delays} {after.delays}")
        checks.check(before.plays == after.plays, f"{what}: shown {before.plays} times",
                     f"{after.plays}")
    return after


def pairs(checks, folder, model):
    """Few colours: nothing is lost in any of them."""
    delays = [50, 70, 300, 20, 1200, 90]
    kinds = {"opaque": ("RGB", (60, 130, 200)), "alpha": ("RGBA", (0, 0, 0, 0))}
    for name, (mode, background) in kinds.items():
        for i, kind in enumerate(KINDS):
            source = folder / f"{name}.{kind}"
            save(source, drawn(mode, len(delays), background), delays, [0, 1, 3][i],
                 **({"disposal": 2} if kind == "gif" and mode == "RGBA" else {}))
            for other in KINDS:
                compare(checks, source, upscaled(source, other, model), f"{name} {kind} to {other}")


def holes(checks, folder, model):
    """Pictures that are transparent where the one before was not, and the other way."""
    frames = []
    for i in range(8):
        frame = np.zeros((*SIZE[::-1], 4), np.uint8)
        frame[..., 0], frame[..., 3] = 30 * i, 255
        frame[5:20, 5:20, 1] = 200
        if i % 2:
            frame[10:25, 10 + i:30] = 0
        if i == 4:
            frame[...] = 0
        if i == 6:
            frame[:-1] = 0  # only the last row
        frames.append(Image.fromarray(frame))
    for kind in ("png", "webp"):
        source = folder / f"holes.{kind}"
        save(source, frames, [100] * len(frames), 0)
        for other in KINDS:
            made = upscaled(source, other, model)
            compare(checks, source, made, f"holes, {kind} to {other}")
            if other == "gif":
                shown = np.frombuffer(decoded(made, "rgba"), np.uint8).reshape(
                    len(frames), SIZE[1] * 2, SIZE[0] * 2, 4).copy()
                shown[shown[..., 3] == 0] = 0
                same = [(a == b).all() for a, b in zip(Animation(made).frames, shown)]
                checks.check(all(same), "as libav sees it, too", f"{same}")


def photographs(checks, folder, model):
    """More colours than a GIF has."""
    picture = Image.open(SAMPLE).convert("RGB").resize((160, 120), Image.LANCZOS)
    frames = []
    for i in range(5):
        frame = picture.copy()
        frame.paste(picture.crop((10 * i, 10, 10 * i + 60, 50)), (90, 70))
        frames.append(frame)
    source = folder / "photo.png"
    save(source, frames, [100] * 5, 0)
    for other in KINDS:
        made = upscaled(source, other, model)
        after = compare(checks, source, made, f"photographs in {other}", exact=other != "gif")
        if other == "gif":
            like = [psnr(a[..., :3], b[..., :3])
                    for a, b in zip(Animation(source).enlarged(), after.frames)]
            checks.check(min(like) > 34, "dithered", f"{min(like):.1f} dB")
            still = [(f[:130] == after.frames[0][:130]).all() for f in after.frames]
            checks.check(all(still), "what does not change does not flicker", f"{still}")
            told = upres("video", source, "-o", folder / "told.gif", "-n", model).stderr
            checks.check("256 colours" in told and "alpha" not in told, "which is told")
    soft = []
    for i in range(3):
        frame = np.zeros((*SIZE[::-1], 4), np.uint8)
        frame[..., 1], frame[..., 3] = 200, np.arange(SIZE[0]) * 5
        frame[0, 0] = (i * 90, 0, 0, 255)
        for x in range(0, 39, 3):
            frame[8 + x % 20, x:x + 3 * i] = (9 * x % 256, 40 * i, 77, 20 + 6 * x)
        soft.append(Image.fromarray(frame))
    save(folder / "soft.webp", soft, [100] * 3, 0, minimize_size=True)
    source = folder / "soft.png"
    save(source, soft, [100] * 3, 0)
    for one in (folder / "soft.webp", source):
        for other in ("png", "webp"):
            compare(checks, one, upscaled(one, other, model), f"partial alpha, {one.suffix[1:]} to {other}")
    done = upres("video", source, "-o", folder / "soft.gif", "-n", model)
    alpha = np.array([f[..., 3] for f in Animation(folder / "soft.gif").frames])
    wanted = np.array([np.where(f[..., 3] >= 128, 255, 0) for f in Animation(source).enlarged()])
    checks.check((alpha == wanted).all() and "no partial alpha" in done.stderr,
                 "partial alpha in gif becomes all or nothing", last(done))


def loops(checks, folder, model):
    frames = drawn("RGB", 3, (0, 0, 0))
    source = folder / "loops.gif"
    save(source, frames, 100, 4)
    for kind in KINDS:
        for plays in (0, 1, 7):
            made = folder / f"plays{plays}.{kind}"
            upscale_film(source, made, "-n", model, "--loop", plays, *apng(kind))
            found = Animation(made).plays
            checks.check(found == plays, f"--loop {plays} in {kind}", f"{found}")
    film = folder / "loops.mkv"
    done = upscale_film(source, film, "-n", model)
    checks.check("do not say how often" in done.stderr, "that mkv has none is told",
                 last(done))
    checks.check(Animation(upscaled(film, "webp", model)).plays == 0,
                 "what comes from a film is shown for ever")
    for arguments, what in ((["-o", folder / "x.mkv", "--loop", "1"], "have no --loop"),
                            (["-o", folder / "x.gif", "--loop", "65536"], "not in range"),
                            (["-o", folder / "x.gif", "--loop", "-1"], "not in range")):
        done = upres("video", source, "-n", model, *arguments)
        checks.check(done.returncode == 2 and what in done.stderr and not arguments[1].exists(),
                     f"{' '.join(map(str, arguments[2:]))} for {arguments[1].name}: exit code 2",
                     last(done))


def times(checks, folder, model):
    film = folder / "times.mkv"
    ffmpeg("-f", "lavfi", "-i", MOVING.format("30000/1001"), "-frames:v", "31", "-c:v", "ffv1", film)
    length = 31 * 1001 / 30
    for kind, unit in (("gif", 10), ("webp", 1), ("png", 1)):
        made = folder / f"times.{kind}"
        done = upscale_film(film, made, "-n", model, *apng(kind))
        delays = Animation(made).delays
        checks.check(len(delays) == 31 and abs(sum(delays) - length) <= unit
                     and max(delays) - min(delays) <= unit + 1e-6,
                     f"29.97 frames a second do not drift in {kind}", f"{sum(delays)} of {length:.1f}")
    told = upscale_film(film, folder / "fast60.gif", "-n", model, "--fps", "60").stderr
    checks.check("1/100 s" in told and "--fps 50" in told, "what viewers do not follow is told")
    ffmpeg("-f", "lavfi", "-i", MOVING.format(240), "-frames:v", "24", "-c:v", "ffv1",
           folder / "fast.mkv")
    upscale_film(folder / "fast.mkv", folder / "fast.gif", "-n", model)
    checks.check(Animation(folder / "fast.gif").count == 24, "240 a second are all there in gif")
    source = folder / "zero.webp"
    save(source, drawn("RGB", 3, (9, 9, 9)), [0, 40, 0], 0)
    found = Animation(upscaled(source, "png", model)).delays
    checks.check(found == [100, 40, 100], "a WebP's frames without a delay are shown for 100 ms",
                 f"{found}")


def one_frame(checks, folder, model):
    """What has one frame becomes a still picture, or a GIF of one."""
    with Image.open(DATA / "images/other/anim_frame1.webp") as file:
        still = file.convert("RGB").resize(SIZE)
    for kind in KINDS:
        source = folder / f"one.{kind}"
        still.quantize(200).convert("RGB").save(source, **({"lossless": True} if kind == "webp" else {}))
        for other in KINDS:
            made = upscaled(source, other, model)
            after = compare(checks, source, made, f"one frame, {kind} to {other}")
            checks.check(after.count == 1, f"and no more ({kind} to {other})")
    # An animation of one frame, which Pillow does not write: a second frame is cut off.
    source = folder / "two.webp"
    save(source, drawn("RGB", 2, (9, 90, 9)), [70, 80], 3)
    data = source.read_bytes()
    end = data.rindex(b"ANMF")
    only = folder / "only.webp"
    only.write_bytes(b"RIFF" + (end - 8).to_bytes(4, "little") + data[8:end])
    compare(checks, only, upscaled(only, "webp", model), "a WebP animation of one frame")


def damage(checks, folder, model):
    frames = [Image.fromarray(np.random.default_rng(i).integers(0, 256, (60, 80, 3), np.uint8))
              for i in range(6)]
    for kind in KINDS:
        source = folder / f"whole.{kind}"
        save(source, frames, 100, 0)
        data = source.read_bytes()
        cut = folder / f"cut.{kind}"
        cut.write_bytes(data[:len(data) * 3 // 5])
        made = folder / f"cut_{kind}.webp"
        done = upres("video", cut, "-o", made, "-n", model)
        count = Animation(made).count
        checks.check(done.returncode == 3 and "is damaged" in done.stderr and 2 <= count <= 4,
                     f"{kind} that is cut off is made as far as it goes", f"{count} {last(done)}")
        done = upres("video", cut, "-o", made, "-n", model, "--lenient", "--overwrite")
        checks.check(done.returncode == 0, f"--lenient takes it so ({kind})")
    data = bytearray((folder / "whole.webp").read_bytes())
    fourth = [i for i in range(len(data) - 4) if data[i:i + 4] == b"ANMF"][3]
    data[fourth + 300:fourth + 5000] = b"\xff" * 4700
    (folder / "bad.webp").write_bytes(data)
    made = folder / "bad_x2.webp"
    done = upres("video", folder / "bad.webp", "-o", made, "-n", model)
    checks.check(done.returncode == 3 and "is damaged" in done.stderr
                 and Animation(made).delays == [100, 100, 200, 100, 100],
                 "a damaged frame is left out of a WebP, and its time passes", last(done))
    whole = bytes((folder / "whole.webp").read_bytes())
    rng = np.random.default_rng(7)
    codes = set()
    for i in range(100):
        data = bytearray(whole[:rng.integers(0, 400)] if i % 3 == 0 else whole)
        for at in rng.integers(0, min(len(data), 120), 3) if data else []:
            data[at] = rng.integers(0, 256)
        (folder / "hostile.webp").write_bytes(data)
        done = measured("video", folder / "hostile.webp", "-f", "null", "-n", model, "--max-pixels",
                        100_000, timeout_s=30)
        codes.add(done.returncode)
        if done.returncode not in (0, 3) or done.peak_mib > 300:
            checks.check(False, f"hostile WebP {i}", f"{done.peak_mib:.0f} MiB {last(done)}")
    checks.check(codes <= {0, 3}, "100 WebP files with wrong bytes end with exit code 0 or 3", f"{codes}")


def ways(checks, folder, model):
    """Animated WebP is a film like others."""
    source = folder / "ways.webp"
    delays = [40, 60, 100, 200, 100, 500]
    save(source, drawn("RGB", 6, (1, 60, 90)), delays, 2)
    film = folder / "ways.mkv"
    upscale_film(source, film, "-n", model, "-c", "ffv1")
    starts = [float(t) for t in Film(film).frames()]
    checks.check(np.allclose(starts, np.cumsum([0, *delays[:-1]]) / 1000), "its times in mkv", f"{starts}")
    part = folder / "part.webp"
    upscale_film(source, part, "-n", model, "--start", "0.1", "--end", "0.45")
    checks.check(Animation(part).delays == [100, 200, 100], "--start and --end",
                 f"{Animation(part).delays}")
    done = upres("video", source, "-o", folder / "preview.png", "--preview", "0.2", "-n", model)
    with Image.open(folder / "preview.png") as shown:
        right = np.asarray(shown.convert("RGB"))[:, SIZE[0] * 2:]
    checks.check((right == Animation(source).enlarged()[3][..., :3]).all(), "--preview",
                 done.stdout.strip())
    done = upres("video", source, "-o", folder / "events.webp", "-n", model, "--json")
    events = [json.loads(line) for line in done.stdout.splitlines()]
    begun = [e for e in events if e["event"] != "notice"]
    checks.check(done.returncode == 0 and any(6 in e.values() for e in begun), "its frames are counted",
                 f"{begun[-1]}")
    done = subprocess.run(f"cat {source} | {UPRES} video - -o {folder}/piped.mkv -n {model}", shell=True,
                          capture_output=True, text=True)
    checks.check(done.returncode == 3 and "not from a pipe" in done.stderr, "it is not read from a pipe",
                 last(done))
    for arguments, code, what in ((["--max-pixels", "100"], 3, "more than --max-pixels"),
                                  (["--input-option", "x=1"], 2, "no option x"),
                                  (["--map", "a"], 2, "none of the film's streams")):
        done = upres("video", source, "-o", folder / "x.mkv", "-n", model, *arguments)
        checks.check(done.returncode == code and what in done.stderr,
                     f"{' '.join(arguments)}: exit code {code}", last(done))
    for kind in KINDS:
        source, still = folder / f"first.{kind}", folder / f"still_{kind}.png"
        save(source, drawn("RGB", 3, (7, 8, 90)), 100, 0)
        upscale(source, still, "-n", model)
        same = (pixels(still) == Animation(source).enlarged()[0][..., :3]).all()
        checks.check(same, f"upres image takes the first frame of {kind}")
    peaks = []
    for count in (30, 300):
        source = folder / f"long{count}.webp"
        save(source, [Image.new("RGB", (320, 240), (i % 256, i // 2, 99)) for i in range(count)], 40, 0)
        peaks.append(measured("video", source, "-f", "null", "-n", model).peak_mib)
    checks.check(peaks[1] < peaks[0] + 20, "memory does not grow with a WebP's length",
                 f"{peaks[0]:.0f} MiB for 30 frames, {peaks[1]:.0f} for 300")


def resumed(checks, folder, model):
    """A film of a WebP is made in segments, and goes on where it was interrupted."""
    source, other = folder / "resumed.webp", folder / "changed.webp"
    for path, first in ((source, 0), (other, 5)):
        save(path, [Image.new("RGB", (400, 300), (first + i, 0, 2 * i)) for i in range(60)], 50, 0)
    whole, film = folder / "whole.mkv", folder / "resumed.mkv"
    arguments = ["-n", model, "-c", "ffv1", "--segment", "0.5s"]
    upscale_film(source, whole, *arguments)
    process = subprocess.Popen([UPRES, "video", str(source), "-o", str(film), *map(str, arguments)],
                               stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    journal = folder / "resumed.mkv.part/journal"
    while process.poll() is None and (not journal.exists() or b"segment" not in journal.read_bytes()):
        time.sleep(0.005)
    process.kill()
    process.wait()
    os.rename(source, folder / "kept.webp")
    os.rename(other, source)
    done = upres("video", source, "-o", film, *arguments, "--resume")
    checks.check(done.returncode == 2 and "--input" in done.stderr,
                 "--resume with another WebP of its name is refused", last(done))
    os.rename(folder / "kept.webp", source)
    done = upres("video", source, "-o", film, *arguments, "--resume")
    checks.check(done.returncode == 0 and film.read_bytes() == whole.read_bytes(),
                 "--resume makes the same film", last(done))


# Files of which Pillow and libav do not see the same: disposal to a background that is not nothing,
# blending of partial alpha over a picture, APNG of 16 bits, and what is no APNG by its rules.
OTHERS = """dispose_bgnd.gif mode_16bit.png mode_grayscale_alpha.png mode_palette_1bit_alpha.png
blend_op_over_near_transparent.png chunk_no_fctl.png chunk_no_fdat.png chunk_repeat_fctl.png fctl_actl.png
sequence_fdat_fctl.png sequence_gap.png sequence_reorder.png sequence_reorder_chunk.png
sequence_repeat.png sequence_repeat_chunk.png sequence_start.png syntax_num_frames_high.png
syntax_num_frames_invalid.png syntax_num_frames_low.png syntax_num_frames_zero.png""".split()


def real_files(checks, folder, model):
    images = DATA / "images"
    need_data(100, images)
    files = [*sorted((images / "apng").glob("*.png")),
             *(images / "other" / n for n in ("different_transparency.gif", "hopper.gif",
                                              "dispose_bgnd.gif", "transparent.gif",
                                              "sharp_animated-loop-3.webp", "sharp_big-height.webp"))]
    for source in files:
        for other in KINDS:
            if source.name in OTHERS:
                made = folder / f"{source.stem}_other.{other}"
                done = upres("video", source, "-o", made, "-n", model, *apng(other))
                checks.check(done.returncode in (0, 3) and made.exists() == ("cannot read" not in done.stderr
                             and "not one frame" not in done.stderr),
                             f"{source.name} to {other}: exit code {done.returncode}", last(done))
                continue
            made = upscaled(source, other, model)
            before, after = Animation(source), Animation(made)
            frames = before.enlarged()
            if other == "gif":  # without partial alpha, and with 255 colours
                seen = [f[..., 3:] >= 128 for f in frames]
                frames = [np.where(s, f | np.array([0, 0, 0, 255], np.uint8), 0) for s, f in zip(seen, frames)]
            off = [int(np.abs(a.astype(int) - b).max()) for a, b in zip(frames, after.frames)]
            limit = 50 if other == "gif" else 0
            same_times = before.count == 1 or len(after.frames) == 1 or 0 in before.delays or (
                np.abs(np.cumsum(before.delays) - np.cumsum(after.delays)).max()
                <= (5 if other == "gif" else 0.51) and before.plays == after.plays)
            checks.check(len(frames) == len(after.frames) and max(off) <= limit and same_times,
                         f"{source.name} to {other}", f"{len(frames)} frames, {max(off)} levels")


def main():
    need_ffmpeg()
    checks = Checks()
    wanted = sys.argv[1:]
    with workspace() as folder:
        model = folder / "nearest.safetensors"
        write_nearest(model, 2)
        for test in (pairs, holes, photographs, loops, times, one_frame, damage, ways, resumed, real_files):
            if not wanted or test.__name__ in wanted:
                test(checks, folder, model)
    return checks.end()


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The ways into upres video and out of it: pipes, raw frames, image sequences, animated pictures, a part
of a film, another rate, a preview, interlaced films, duplicates, streams that are chosen or converted;
what is wrong is told in one sentence, with the exit code of its cause."""
import json
import os
import re
import subprocess
import sys
from fractions import Fraction

import numpy as np
from PIL import Image

from common import UPRES, Checks, upres, workspace, write_nearest
from films import Film, decoded, ffmpeg, need_ffmpeg, upscale_film

MOVING = "testsrc2=s=64x48:r=25"


def piped(command, given=b""):
    done = subprocess.run(["bash", "-o", "pipefail", "-c", command], input=given,
                          capture_output=True)
    return done.returncode, done.stdout, done.stderr.decode()


def pipes(checks, folder, model):
    film = folder / "pipe.mkv"
    ffmpeg("-f", "lavfi", "-i", MOVING + ":d=1", "-pix_fmt", "yuv420p10le", "-c:v", "ffv1", film)
    made = folder / "pipe_x2.mkv"
    upscale_film(film, made, "-n", model, "-c", "ffv1")
    expected = decoded(made, "yuv420p10le")
    code, out, errors = piped(
        f"ffmpeg -v error -i {film} -strict -1 -f yuv4mpegpipe - | {UPRES} video - -o - -n {model} | "
        "ffmpeg -v error -i - -f rawvideo -pix_fmt yuv420p10le -")
    checks.check(code == 0 and out == expected, "Y4M of 10 bits through stdin and stdout", errors)
    code, out, errors = piped(
        f"ffmpeg -v error -i {film} -f rawvideo - | {UPRES} video - -o - -f rawvideo --input-format "
        "rawvideo --input-option video_size=64x48 --input-option pixel_format=yuv420p10le "
        f"--input-option framerate=25 -n {model}")
    checks.check(code == 0 and out == expected, "raw frames through stdin and stdout", errors)

    film, made = folder / "sound.mkv", folder / "sound_x2.mkv"
    ffmpeg("-f", "lavfi", "-i", MOVING + ":d=2", "-f", "lavfi", "-i", "sine=d=2", "-c:v", "libx264",
           "-c:a", "aac", film)
    code, _, errors = piped(f"cat {film} | {UPRES} video - -o {made} -n {model}")
    before, after = Film(film), Film(made)
    checks.check(code == 0 and before.frames() == after.frames()
                 and before.packets(before.others[0]) == after.packets(after.others[0]),
                 "a film on stdin keeps its sound and its times", errors)
    code, _, errors = piped(f"cat {film} | {UPRES} video - -o {made} -n {model} --resume --overwrite")
    checks.check(code == 2, "--resume and --overwrite exclude each other", errors)
    code, _, errors = piped(f"cat {film} | {UPRES} video - -o {folder}/p.mkv -n {model} --resume")
    checks.check(code == 2 and "cannot be resumed" in errors, "pipes have no --resume", errors)
    code, _, errors = piped(f"{UPRES} video {film} -o - -n {model} | head -c 100 >/dev/null")
    checks.check(code in (5, 141) , "a reader that goes away ends it", errors)


def sequences(checks, folder, model):
    (folder / "in").mkdir()
    (folder / "out").mkdir()
    ffmpeg("-f", "lavfi", "-i", MOVING, "-frames:v", "7", "-pix_fmt", "rgb48be",
           folder / "in/%06d.png")
    source = folder / "in/%06d.png"
    done = upres("video", source, "-o", folder / "out/%04d.png", "-n", model)
    names = sorted(os.listdir(folder / "out"))
    same = all(
        decoded(folder / f"out/{i:04}.png", "rgb48le") == np.frombuffer(
            decoded(folder / f"in/{i:06}.png", "rgb48le"), "<u2").reshape(48, 64, 3)
        .repeat(2, 0).repeat(2, 1).tobytes() for i in range(1, 8)) if len(names) == 7 else False
    checks.check(done.returncode == 0 and same and names[0] == "0001.png",
                 "frames in files of their own keep all their 16 bits", done.stderr.strip())
    done = upres("video", source, "-o", folder / "out/%04d.png", "-c", "png", "-n", model)
    checks.check(done.returncode == 5 and "exists" in done.stderr, "those that exist are kept")
    done = upres("video", source, "-o", folder / "out/%04d.jpg", "-n", model)
    with Image.open(folder / "out/0007.jpg") as made:
        checks.check(done.returncode == 0 and (made.format, made.size) == ("JPEG", (128, 96)),
                     "their names say what they are", done.stderr.strip())
    done = upres("video", source, "-o", folder / "out/%04d.ppm", "-n", model)
    checks.check(done.returncode == 5 and "-c" in done.stderr, "or -c does")
    made = folder / "sequence.mkv"
    upscale_film(source, made, "--fps", "24", "-n", model, "-c", "ffv1")
    times = Film(made).frames()
    checks.check(len(times) == 7 and abs(times[6] - Fraction(6, 24)) < Fraction(1, 1000),
                 "--fps is the rate of frames in files")
    done = upres("video", source, "-n", model)
    checks.check(done.returncode == 2 and "need an -o" in done.stderr, "which need an -o")


def animations(checks, folder, model):
    source = folder / "anim.gif"
    ffmpeg("-f", "lavfi", "-i", "testsrc2=s=64x48:r=10:d=1", source)
    webp, apng = folder / "anim.webp", folder / "anim.png"
    upscale_film(source, webp, "-n", model)
    with Image.open(webp) as made, Image.open(source) as gif:
        frames, delays = made.n_frames, [made.seek(i) or made.info.get("duration")
                                         for i in range(made.n_frames)]
        checks.check((frames, made.size) == (gif.n_frames, (128, 96)) and made.info["loop"] == 0,
                     "GIF becomes animated WebP, frame by frame", f"{delays}")
        made.seek(3)
        gif.seek(3)
        want = np.asarray(gif.convert("RGB")).repeat(2, 0).repeat(2, 1)
        checks.check((np.asarray(made.convert("RGB")) == want).all(), "without loss")
    upscale_film(source, apng, "-f", "apng", "-n", model)
    with Image.open(apng) as made:
        checks.check(made.n_frames == 10 and made.info["duration"] == 100,
                     "and APNG, with its delays", f"{made.n_frames} {made.info}")
    again = folder / "again.png"
    upscale_film(apng, again, "-f", "apng", "-n", model)
    with Image.open(again) as made:
        checks.check(made.n_frames == 10 and made.size == (256, 192), "which comes in, too")


def parts_and_rates(checks, folder, model):
    film = folder / "part.mp4"
    chapters = folder / "chapters.txt"
    chapters.write_text(";FFMETADATA1\ntitle=A film\n" + "".join(
        f"[CHAPTER]\nTIMEBASE=1/1000\nSTART={i}000\nEND={i + 1}000\ntitle=c{i}\n" for i in range(4)))
    ffmpeg("-f", "lavfi", "-i", MOVING + ":d=4", "-f", "lavfi", "-i", "sine=d=4", "-i", chapters,
           "-map", "0", "-map", "1", "-map_metadata", "2", "-pix_fmt", "yuv444p", "-c:v", "libx264", "-g", "60", "-c:a", "aac",
           film)
    made = folder / "cut.mp4"
    upscale_film(film, made, "--start", "1.2", "--end", "0:02.8", "-n", model)
    whole, part = Film(film), Film(made)
    expected = [t - Fraction(6, 5) for t in whole.frames() if Fraction(6, 5) <= t < Fraction(14, 5)]
    checks.check(part.frames() == expected, "--start and --end keep the frames between them",
                 f"{len(part.frames())} of {len(expected)}")
    sound = [t for t, _ in part.packets(part.others[0])]
    checks.check(-0.03 < sound[0] <= 0 and 1.57 < sound[-1] < 1.6,
                 "and the sound of that time", f"{float(sound[0]):.4f} to {float(sound[-1]):.4f}")
    told = [(c["tags"]["title"], round(float(c["start_time"]), 2), round(float(c["end_time"]), 2))
            for c in part.chapters]
    checks.check(told == [("c1", 0, 0.8), ("c2", 0.8, 1.6)] and part.tags["title"] == "A film",
                 "and its chapters", f"{told}")
    upscale_film(film, folder / "rate.mp4", "--fps", "10", "-n", model)
    times = Film(folder / "rate.mp4").frames()
    checks.check(times == [Fraction(i, 10) for i in range(40)], "--fps gives another rate",
                 f"{len(times)} frames")
    done = upres("video", film, "-o", folder / "none.mp4", "--start", "9", "-n", model)
    checks.check(done.returncode == 3 and "no frames between" in done.stderr,
                 "a part without frames is told", done.stderr.strip())
    done = upres("video", film, "-o", folder / "preview.png", "--preview", "2", "-n", model)
    shown = np.asarray(Image.open(folder / "preview.png").convert("RGB")).astype(int)
    raw = np.frombuffer(decoded(film, "rgb24", "-ss", "2"), np.uint8)[:64 * 48 * 3]
    after = raw.reshape(48, 64, 3).repeat(2, 0).repeat(2, 1)
    off = np.abs(shown[:, 128:] - after).mean()
    checks.check(done.returncode == 0 and shown.shape == (96, 256, 3) and off < 2,
                 "--preview shows the frame of its time, before and after", f"{off:.2f} levels")


def late_parts(checks, folder, model):
    """Of a long film what is before a part is not decoded, and the part is as if it were."""
    made = folder / "late_part.mkv"
    part = ["-n", model, "-c", "ffv1", "--start", "20.1", "--end", "20.9", "--overwrite"]
    for codec, name in (("libx264", "open.mkv"), ("libx264", "open.mp4"), ("mpeg4", "open4.mp4"),
                        ("mpeg2video", "open2.mkv")):
        film, whole = folder / name, folder / "late_whole.mkv"
        ffmpeg("-f", "lavfi", "-i", MOVING + ":d=24", "-vf", "noise=alls=20:allf=t", "-pix_fmt", "yuv420p",
               "-c:v", codec, "-g", "40", "-bf", "2",
               *(["-x264-params", "open-gop=1"] if codec == "libx264" else []), film)
        upscale_film(film, whole, "-n", model, "-c", "ffv1", "--overwrite")
        upscale_film(film, made, *part)
        size = 128 * 96 * 3 // 2
        times, frames = Film(whole).frames(), decoded(whole, "yuv420p")
        wanted = [i for i, t in enumerate(times) if Fraction(201, 10) <= t < Fraction(209, 10)]
        same = decoded(made, "yuv420p") == frames[wanted[0] * size:(wanted[-1] + 1) * size]
        checks.check(same and len(Film(made).frames()) == len(wanted) == 20,
                     f"a part late in {name} has its frames", f"{len(wanted)}")
    film = bytearray((folder / "open.mkv").read_bytes())
    film[5000:len(film) // 3] = bytes(len(film) // 3 - 5000)
    (folder / "open.mkv").write_bytes(film)
    whole = upres("video", folder / "open.mkv", "-f", "null", "-n", model)
    done = upres("video", folder / "open.mkv", "-f", "null", "-n", model, *part[4:-1])
    checks.check(done.returncode == 0 and whole.returncode == 3,
                 "what is damaged long before it is not looked at", done.stderr.strip())


def interlaced(checks, folder, model):
    """Held to ffmpeg's own bwdif: bit-equal but for the first frame and the last, and, of more than 8
    bits, the outermost lines (where ffmpeg mirrors one line too early)."""
    film = folder / "interlaced.mkv"
    for field, pixels, offset in (("tff", "yuv420p", 30), ("bff", "yuv422p10le", 120)):
        ffmpeg("-f", "lavfi", "-i", "testsrc2=s=96x64:r=50:d=1", "-vf",
               f"hue=s=0,format={pixels},lutyuv=y='val*0.7+{offset}',noise=c0s=8,interlace=scan={field},"
               f"setfield={field}", "-pix_fmt", pixels, "-c:v", "ffv1", "-flags", "+ildct", film)
        made, word = folder / "whole.mkv", "<u2" if "10" in pixels else np.uint8
        done = upscale_film(film, made, "-n", model, "-c", "ffv1", "--overwrite")
        expected = luma(decoded(film, pixels, "-vf", "bwdif=mode=send_frame"), pixels, word)
        found = luma(decoded(made, pixels), pixels, word)
        outermost = 96 * (2 if word == "<u2" else 0)
        inner = slice(outermost, 96 * 64 - outermost)
        same = [bool((a[inner] == b[inner]).all()) for a, b in zip(found, expected)]
        checks.check("each frame was made whole" in done.stderr and len(found) == len(expected) == 25
                     and all(same[1:-1]),
                     f"interlaced {pixels}, {field}, is what bwdif makes of it", f"{same}")
        checks.check(Film(made).video.get("field_order", "progressive") == "progressive",
                     "and is no longer called interlaced")
    kept = folder / "kept.mkv"
    upscale_film(film, kept, "-n", model, "-c", "ffv1", "--deinterlace", "off")
    checks.check((luma(decoded(kept, pixels), pixels, word)
                  == luma(decoded(film, pixels), pixels, word)).all(), "--deinterlace off keeps it")


def luma(frames, pixels, word):
    """[frame, sample] of frames of 96x64; chroma does not come back from a picture as it was."""
    samples = 96 * 64 * 3 // 2 if "420" in pixels else 96 * 64 * 2
    return np.frombuffer(frames, word).reshape(-1, samples)[:, :96 * 64]


def duplicates(checks, folder, model):
    film = folder / "still.mkv"
    ffmpeg("-f", "lavfi", "-i", "testsrc2=s=64x48:r=5:d=2", "-vf", "fps=25", "-c:v", "ffv1", film)
    once, each = folder / "once.mkv", folder / "each.mkv"
    done = upscale_film(film, once, "-n", model, "-c", "ffv1", "--json")
    told = [json.loads(line) for line in done.stdout.splitlines()]
    count = [e["duplicates"] for e in told if e["event"] == "done"]
    checks.check(count == [40] and [e["event"] for e in told][:2] == ["loaded", "notice"],
                 "frames like the one before are run once, and counted", f"{count}")
    upscale_film(film, each, "-n", model, "-c", "ffv1", "--every-frame")
    checks.check(once.read_bytes() == each.read_bytes(), "which changes nothing in the result")


def streams(checks, folder, model):
    subtitles, font = folder / "s.srt", folder / "font.ttf"
    subtitles.write_text("1\n00:00:00,100 --> 00:00:00,600\nHello\n\n"
                         "2\n00:00:01,000 --> 00:00:01,500\n<i>again</i>\n\n")
    font.write_bytes(b"no font" * 100)
    film = folder / "streams.mkv"
    ffmpeg("-f", "lavfi", "-i", MOVING + ":d=2", "-f", "lavfi", "-i", "sine=d=2", "-f", "lavfi", "-i",
           "sine=f=880:d=2", "-i", subtitles, "-map", "0", "-map", "1", "-map", "2", "-map", "3",
           "-attach", font, "-metadata:s:t", "mimetype=font/ttf", "-metadata:s:t",
           "filename=font.ttf", "-metadata:s:a:1", "language=fra", "-disposition:a:1",
           "comment", "-c:v", "libx264", "-c:a", "aac", "-c:s", "srt", film)
    made = folder / "streams_x2.mkv"
    upscale_film(film, made, "-n", model)
    def kinds(film):
        return [(s["codec_type"], s.get("codec_name")) for s in Film(film).streams]
    checks.check(kinds(made) == kinds(film), "attachments stay in mkv", f"{kinds(made)}")

    mp4 = folder / "streams.mp4"
    done = upscale_film(film, mp4, "-n", model)
    def shown(film):
        return ffmpeg("-i", film, "-map", "s:0", "-f", "srt", "-").decode()
    def times_of(text):
        return re.findall(r"(\S+) --> (\S+)", text)
    text, times = shown(mp4), times_of(shown(film))
    checks.check(len(times) == 2 and times_of(text) == times
                 and "Hello" in text and "<i>again</i>" in text and "attachment" in done.stderr,
                 "in mp4 SRT becomes mov_text, and what it does not hold is told", repr(text))
    back = folder / "back.mkv"
    upscale_film(mp4, back, "-n", model)
    text = shown(back)
    checks.check(times_of(text) == times and "Hello" in text,
                 "mov_text becomes SRT in mkv", repr(text))

    chosen = folder / "chosen.mkv"
    upscale_film(film, chosen, "-n", model, "--map", "v", "--map", "a:1")
    after = Film(chosen)
    checks.check([s.get("tags", {}).get("language") for s in after.others] == ["fra"]
                 and after.others[0]["disposition"]["comment"] == 1, "--map chooses streams")
    upscale_film(film, folder / "mute.mkv", "-n", model, "--no-audio", "--no-subs")
    checks.check({t for t, _ in kinds(folder / "mute.mkv")} == {"video", "attachment"},
                 "--no-audio and --no-subs leave them out")
    done = upres("video", film, "-o", folder / "x.webm", "-n", model)
    checks.check(done.returncode == 5 and "do not hold stream 1 (audio, aac)" in done.stderr,
                 "sound that a container does not hold ends it before the work",
                 done.stderr.strip())


def encoders(checks, folder, model):
    """Where there is no GPU that encodes, the processor does. A machine that has one shows the other
    side, which is not looked into here."""
    film = folder / "part.mp4"
    for asked, codec in (("h264_nvenc", "h264"), ("hevc_nvenc", "hevc")):
        made = folder / f"{asked}.mp4"
        done = upscale_film(film, made, "-n", model, "-c", asked, "--preset", "p4", "--crf", "25")
        told = "encodes on the processor instead" in done.stderr
        checks.check(Film(made).video["codec_name"] == codec and (told or os.path.exists("/dev/nvidia0")),
                     f"-c {asked} without such a GPU is told", done.stderr.strip()[-150:])


def wrong_things(checks, folder, model):
    film = folder / "streams.mkv"
    empty, text, cut = folder / "empty.mp4", folder / "text.mp4", folder / "cut_off.mkv"
    empty.write_bytes(b"")
    text.write_text("This is no film.\n")
    cut.write_bytes(film.read_bytes()[:film.stat().st_size * 2 // 3])
    cases = [
        ([folder / "missing.mp4"], 3, "No such file"),
        ([empty], 3, "as a film"),
        ([text], 3, "as a film"),
        ([folder], 3, "as a film"),
        ([film, "-o", film], 5, "which is the input"),
        ([film, "-o", folder / "a.xyz"], 5, "cannot tell what to write"),
        ([film, "-o", folder / "a.png"], 5, "cannot tell what to write"),
        ([film, "-o", folder / "a.mkv", "--loop", "2"], 2, "have no --loop"),
        ([film, "-o", folder / "no/where.mkv"], 5, "cannot write into"),
        ([film, "-c", "nonsense"], 2, "no encoder nonsense"),
        ([film, "-e", "nonsense=1"], 2, "no option nonsense"),
        ([film, "-e", "nonsense"], 2, "is not KEY=VALUE"),
        ([film, "--pix-fmt", "rgb24"], 2, "does not take --pix-fmt rgb24"),
        ([film, "--pix-fmt", "nonsense"], 2, "none that libav knows"),
        ([film, "-c", "ffv1", "--crf", "3"], 2, "no constant quality"),
        ([film, "-c", "ffv1", "--preset", "fast"], 2, "no presets"),
        ([film, "--map", "v:7"], 2, "none of the film's streams"),
        ([film, "--map", "!!"], 2, "is no stream"),
        ([film, "--start", "2", "--end", "1"], 2, "not behind --start"),
        ([film, "--start", "1:99"], 2, "is no time"),
        ([film, "--fps", "0"], 2, "is no rate"),
        ([film, "-f", "null"], 2, "leave -o out"),
        ([film, "--segment", "0"], 2, "is no length"),
        ([film, "--deinterlace", "maybe"], 2, "not auto, on or off"),
        ([film, "--input-format", "nonsense"], 2, "none that libav reads"),
        ([film, "--input-option", "nonsense=1"], 2, "has no option nonsense"),
        ([film, "-s", "2000"], 5, "more than films can have"),
        ([film, "--max-pixels", "100"], 3, "more than --max-pixels"),
        ([film, "--map", "a"], 3, "no moving pictures"),
        ([film, "-g", "-1,-1"], 2, "twice"),
        ([film, "-n", "nonsense"], 4, "nonsense"),
    ]
    for arguments, code, what in cases:
        output = [] if "-o" in arguments else ["-o", folder / "refused.mkv"]
        done = upres("video", *arguments, *output, *([] if "-n" in arguments else ["-n", model]))
        checks.check(done.returncode == code and what in done.stderr
                     and not (folder / "refused.mkv").exists()
                     and not (folder / "refused.mkv.part").exists(),
                     f"{' '.join(map(str, arguments[1:])) or arguments[0].name}: exit code {code}",
                     "" if what in done.stderr and done.returncode == code
                     else f"{done.returncode} {done.stderr.strip()}")
    done = upres("video", cut, "-o", folder / "cut_x2.mkv", "-n", model)
    checks.check(done.returncode == 3 and "is damaged" in done.stderr
                 and Film(folder / "cut_x2.mkv").frames(),
                 "a film that was cut off is made as far as it goes", done.stderr.strip())
    done = upres("video", cut, "-o", folder / "cut_x2.mkv", "-n", model, "--lenient", "--overwrite")
    checks.check(done.returncode == 0 and "is damaged" in done.stderr, "--lenient takes it so")
    before = (folder / "cut_x2.mkv").read_bytes()
    done = upres("video", film, "-o", folder / "cut_x2.mkv", "-n", model)
    again = upres("video", film, "-o", folder / "cut_x2.mkv", "-n", model, "--skip")
    checks.check(done.returncode == 5 and again.returncode == 0
                 and (folder / "cut_x2.mkv").read_bytes() == before,
                 "an output that exists is refused, or skipped")


def odd_films(checks, folder, model):
    film, locked = folder / "odd.mp4", folder / "locked.mp4"
    key = "76a6c65c5ea762046bd749a2e632ccbb"
    ffmpeg("-f", "lavfi", "-i", MOVING + ":d=1", "-vf", "setsar=4/3", "-c:v", "libx264", film)
    ffmpeg("-i", film, "-c", "copy", "-encryption_scheme", "cenc-aes-ctr", "-encryption_key", key,
           "-encryption_kid", "a7e61c373e219033c21091fa607bf3b8", locked)
    done = upres("video", locked, "-o", folder / "unlocked.mkv", "-c", "ffv1", "-n", model)
    checks.check(done.returncode == 3 and "is encrypted" in done.stderr
                 and not (folder / "unlocked.mkv").exists(), "an encrypted film is refused",
                 done.stderr.strip())
    upscale_film(locked, folder / "unlocked.mkv", "-c", "ffv1", "-n", model, "--input-option",
                 f"decryption_key={key}")
    upscale_film(film, folder / "odd.mkv", "-c", "ffv1", "-n", model)
    checks.check(decoded(folder / "unlocked.mkv", "yuv420p") == decoded(folder / "odd.mkv", "yuv420p"),
                 "and made with its key")

    upscale_film(film, folder / "wide.mkv", "-n", model, "--size", "128x192")
    wide = Film(folder / "wide.mkv").video
    checks.check((wide["width"], wide["height"], wide["sample_aspect_ratio"]) == (128, 192, "8:3"),
                 "--size keeps a film's proportions", wide["sample_aspect_ratio"])

    small, both = folder / "small.h264", folder / "both.h264"
    ffmpeg("-i", film, "-c", "copy", folder / "odd.h264")
    ffmpeg("-i", film, "-vf", "scale=48:48", small)
    both.write_bytes((folder / "odd.h264").read_bytes() + small.read_bytes())
    done = upscale_film(both, folder / "both.mkv", "-n", model)
    made = Film(folder / "both.mkv")
    checks.check((made.video["width"], made.video["height"], len(made.frames())) == (128, 96, 50)
                 and "25 frames are of another size" in done.stderr,
                 "frames of another size are fitted to the others, with a word", done.stderr.strip())

    cover, covered = folder / "cover.png", folder / "covered.mp4"
    ffmpeg("-f", "lavfi", "-i", "testsrc2=s=32x32", "-frames:v", "1", cover)
    ffmpeg("-i", film, "-i", cover, "-map", "0", "-map", "1", "-c", "copy", "-disposition:v:1",
           "attached_pic", covered)
    for container in ("mp4", "mkv"):
        made = folder / f"covered_x2.{container}"
        upscale_film(covered, made, "-n", model)
        pictures = [s for s in Film(made).others if s["disposition"]["attached_pic"]]
        kept = [ffmpeg("-i", made, "-map", f"0:{s['index']}", "-c", "copy", "-f", "image2pipe", "-")
                for s in pictures]
        checks.check(kept == [cover.read_bytes()], f"a cover stays the same in {container}")


def main():
    need_ffmpeg()
    checks = Checks()
    wanted = sys.argv[1:]
    with workspace() as folder:
        model = folder / "nearest.safetensors"
        for test in (pipes, sequences, animations, parts_and_rates, late_parts, interlaced, duplicates, streams,
                     encoders, odd_films, wrong_things):
            if not wanted or test.__name__ in wanted:
                write_nearest(model, 1 if test == interlaced else 2)
                test(checks, folder, model)
    return checks.end()


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""upres video over every film of the samples: what must come out of each (frames and their times, the
packets of all other streams and theirs, tags, depth, size), or which refusal, as ffprobe sees it."""
import collections
import re
import sys
from fractions import Fraction

from common import Checks, need_data, upres, workspace, write_nearest
from films import VIDEOS, Film, need_ffmpeg

BOX = 192  # --fit: the results are small, and tests fast

# What comes out: the encoder's codec, pixels, size and number of frames.
Result = collections.namedtuple("Result", "codec pixels width height frames")
H264, HEVC = "h264", "hevc"
RESULTS = {
    "av1_video.mkv": Result(H264, "yuv420p", 192, 108, 125),
    "bbb_176x144_192kbps_15fps_mpeg4.mp4": Result(H264, "yuv420p", 192, 158, 15),
    "bbb_800x640_768kbps_30fps_vp9.mp4": Result(H264, "yuv420p", 192, 154, 120),
    "bear-vp9-odd-dimensions.webm": Result("vp9", "yuv420p", 192, 144, 30),
    "bt601.mp4": Result(H264, "yuv420p", 192, 128, 30),
    "bt709_full_range.mp4": Result(H264, "yuvj420p", 192, 108, 30),
    "edit_list_positive_shift.mp4": Result(H264, "yuv420p", 192, 108, 270),
    "h264_10bits.mp4": Result(HEVC, "yuv420p10le", 192, 192, 30),
    "h265_10bits.mp4": Result(HEVC, "yuv420p10le", 192, 192, 30),
    "h265_video.mp4": Result(H264, "yuv420p", 192, 192, 10),
    "hdr10-av1.mp4": Result(HEVC, "yuv420p10le", 108, 192, 127),
    "hlg10-color-test.mp4": Result(HEVC, "yuv420p10le", 192, 108, 9),
    "iibbibb_editlist_videoonly.mp4": Result(H264, "yuv444p", 192, 157, 12),
    "interlaced_h264_576i.ts": Result(H264, "yuv420p", 192, 154, 154),
    "interlaced_mpeg2_422_1080i.ts": Result(H264, "yuv422p", 192, 108, 5),
    "nasa_13013.mp4": Result(H264, "yuv420p", 192, 108, 390),
    "orientation_rot.mp4": Result(H264, "yuv420p", 192, 108, 2),
    "prores_422_10bit.mov": Result(HEVC, "yuv422p10le", 192, 154, 40),
    "roadtrip-vp92-10bit.webm": Result("vp9", "yuv420p10le", 192, 108, 72),
    "sample.avi": Result(H264, "yuv420p", 192, 80, 96),
    "sample.flv": Result(H264, "yuv420p", 192, 128, 30),
    "sample.mp4": Result(H264, "yuv420p", 192, 128, 30),
    "sample_android_slow_motion.mp4": Result(H264, "yuvj420p", 192, 108, 7),
    "sample_av1.mkv": Result(HEVC, "yuv420p10le", 108, 192, 30),
    "sample_empty_track.mp4": Result(H264, "yuv420p", 192, 128, 30),
    "sample_fragmented.mp4": Result(H264, "yuv420p", 192, 128, 30),
    "sample_h262_mpeg_audio.ts": Result(H264, "yuv420p", 192, 128, 3),
    "sample_h264.ts": Result(H264, "yuv420p", 192, 108, 30),
    "sample_mdat_too_long.mp4": Result(H264, "yuv420p", 192, 128, 30),
    "sample_missing_stsd.mp4": Result(H264, "yuv420p", 192, 128, 30),
    "sample_portrait.mp4": Result(H264, "yuv420p", 128, 192, 30),
    "sample_rotate_and_reflect.mp4": Result(H264, "yuv420p", 192, 128, 30),
    "sample_sef_slow_motion.mp4": Result(H264, "yuv420p", 192, 144, 63),
    "sample_srgb.mp4": Result(H264, "yuv420p", 192, 128, 30),
    "sample_with_chapters.mkv": Result(H264, "yuv444p", 192, 144, 150),
    "sample_with_chapters.mp4": Result(H264, "yuv420p", 192, 128, 30),
    "sample_with_color_info.mp4": Result(HEVC, "yuv420p10le", 192, 108, 9),
    "sample_with_colr_mdcv_and_clli.mp4": Result(HEVC, "yuv420p10le", 192, 108, 60),
    "sample_with_invalid_nalu.mp4": Result(H264, "yuv420p", 192, 128, 29),
    "sample_with_pgs_subtitles.mkv": Result(H264, "yuv420p", 192, 128, 30),
    "sample_with_srt.mkv": Result(H264, "yuv420p", 192, 128, 30),
    "sample_with_ssa_subtitles.mkv": Result(H264, "yuv420p", 192, 128, 30),
    "sample_with_vobsub.mkv": Result(H264, "yuv420p", 192, 128, 30),
    "silent-black-10s.mp4": Result(H264, "yuv420p", 192, 144, 300),
    "trim_optimization_failure.mp4": Result(H264, "yuvj420p", 192, 182, 167),
    "truncated_multi_subs.mkv": Result(H264, "yuv420p", 192, 108, 1),
    "var_fps_video.mp4": Result(H264, "yuv444p", 192, 192, 300),
}
REFUSED = {  # with exit code 3, and what the sentence says
    "invalid-bitstream.webm": "there is not one frame in",
    "sample_audio_only.mp4": "there are no moving pictures in",
    "sample_malformed_free_box.mp4": "moov atom not found",
    "sample_vvc.mp4": "vvc1, for which the libav at hand has no decoder",
}
# Made as far as they go, with exit code 3 unless --lenient is given.
DAMAGED = {"interlaced_h264_576i.ts", "interlaced_mpeg2_422_1080i.ts",
           "sample_with_invalid_nalu.mp4", "truncated_multi_subs.mkv"}
EMPTY = {"sample_empty_track.mp4": [1]}  # streams without packets, which mp4 files do not keep
LEFT_OUT = {  # streams that the container has no place for, which is told
    "sample_missing_stsd.mp4": [1],
    "sample_with_color_info.mp4": [2, 3, 4],
}
# Times of which ffprobe does not tell the first: those that it tells are compared by their steps.
STARTS_BROKEN = {"interlaced_h264_576i.ts"}
VIDEO_OF = {"nasa_13013.mp4": 3}  # where it is not the first

# Of the file, not of the film; or of the muxer.
NOT_THE_FILMS = {"encoder", "major_brand", "minor_version", "compatible_brands", "duration",
                 "handler_name", "vendor_id"}
# Of Apple's and Android's cameras: libav reads them, and writes none of them as they were.
UNWRITTEN = {"sample_with_color_info.mp4": {"com.apple.quicktime.location.accuracy.horizontal"}}


def expected_tags(name, source):
    """Matrix, primaries, transfer and range of the result: the source's, and the usual ones."""
    video = source.video
    lines = video["height"]
    matrix = video.get("color_space", "unknown")
    if matrix == "unknown":
        matrix = "bt709" if lines >= 720 else "bt470bg" if lines == 576 else "smpte170m"
    usual = {"bt709": ("bt709", "bt709"), "smpte170m": ("smpte170m", "smpte170m"),
             "bt470bg": ("bt470bg", "smpte170m"), "bt2020nc": ("bt2020", "bt2020-10")}[matrix]
    primaries = video.get("color_primaries", "unknown")
    transfer = video.get("color_transfer", "unknown")
    return {"color_space": matrix,
            "color_primaries": usual[0] if primaries == "unknown" else primaries,
            "color_transfer": usual[1] if transfer == "unknown" else transfer,
            "color_range": "pc" if video.get("color_range") == "pc" else "tv"}


def check_video(name, result, source, made, wrong):
    video = made.video
    found = Result(video["codec_name"], video["pix_fmt"], video["width"], video["height"], None)
    if found != result._replace(frames=None):
        wrong(f"{found}")
    for tag, value in expected_tags(name, source).items():
        if video.get(tag) != value:
            wrong(f"{tag} {video.get(tag)}, not {value}")
    if source.video.get("sample_aspect_ratio", "1:1") != video.get("sample_aspect_ratio", "1:1"):
        wrong("pixel aspect")
    for kind in ("Display Matrix", "Mastering display metadata", "Content light level metadata"):
        if source.side_data(kind) != made.side_data(kind):
            wrong(f"{kind}: {made.side_data(kind)}, not {source.side_data(kind)}")
    if source.video["disposition"] != video["disposition"]:
        wrong("disposition")


def check_times(name, result, source, made, wrong):
    """Gives by how much all times are moved: 0, but where a broadcast's clock becomes 0."""
    before, after = source.frames(), made.frames()
    if len(after) != result.frames:
        wrong(f"{len(after)} frames")
    # mkv has milliseconds only.
    grain = Fraction(1, 1000) if made.time_base == Fraction(1, 1000) else 0
    if name in STARTS_BROKEN:
        return None
    moved = 0
    if name.endswith(".ts"):
        moved = min(Fraction(s["start_pts"]) * Fraction(s["time_base"]) for s in source.streams
                    if "start_pts" in s)
    furthest = max((abs(a - moved - b) for a, b in zip(before, after)), default=0)
    if furthest > grain or len(before) != len(after):
        wrong(f"{len(before)} frames became {len(after)}, up to {float(furthest)} s off")
    return moved


def check_others(name, source, made, moved, wrong):
    gone = LEFT_OUT.get(name, []) + EMPTY.get(name, [])
    kept = [s for s in source.others if s["index"] not in gone]
    if [s["codec_type"] for s in kept] != [s["codec_type"] for s in made.others]:
        return wrong(f"{len(made.others)} other streams, not {len(kept)}")
    for before, after in zip(kept, made.others):
        what = f"stream {before['index']}"
        if before.get("codec_name") != after.get("codec_name"):
            wrong(f"{what} is {after.get('codec_name')}")
        if before["disposition"] != after["disposition"]:
            wrong(f"{what}: disposition")
        for tag in ("language", "title"):
            # mp4 says "und" of what has no language.
            if before.get("tags", {}).get(tag, "und") != after.get("tags", {}).get(tag, "und"):
                wrong(f"{what}: {tag}")
        if before["codec_type"] == "data":  # mp4's chapter names, which are made anew
            continue
        old, new = source.packets(before), made.packets(after)
        if [h for _, h in old] != [h for _, h in new]:
            wrong(f"{what}: {len(old)} packets became {len(new)}, or others")
        if moved is None:
            continue
        base = Fraction(after["time_base"])
        # mkv has milliseconds only; mp4 counts sound in samples, whatever the source did.
        grain = base if base == Fraction(1, 1000) else 0
        if base != Fraction(before["time_base"]):
            grain = max(grain, base / 2)
        furthest = max((abs(a - moved - b) for (a, _), (b, _) in zip(old, new)
                        if a is not None and b is not None), default=0)
        if furthest > grain:
            wrong(f"{what}: up to {float(furthest)} s off")


def plain(tag):
    """A tag without what containers write in more than one way: zeros of a place, T and Z of a date."""
    if tag is None:
        return None
    date = re.fullmatch(r"(\d{4}-\d\d-\d\d)[ T](\d\d:\d\d:\d\d)(\.0+)?Z?", tag)
    if date:
        return date.groups()[:2]
    if re.fullmatch(r"([+-][\d.]+)+/", tag):
        return [round(float(n), 3) for n in re.findall(r"[+-][\d.]+", tag)]
    return tag


def check_chapters_and_tags(name, source, made, wrong):
    def told(film):
        return [(Fraction(c["start_time"]), Fraction(c["end_time"]), c.get("tags", {}))
                for c in film.chapters]
    if told(source) != told(made):
        wrong(f"chapters {told(made)}, not {told(source)}")
    lost = {k: v for k, v in source.tags.items()
            if k not in NOT_THE_FILMS and plain(made.tags.get(k)) != plain(v)}
    if lost.keys() - UNWRITTEN.get(name, set()):
        wrong(f"tags are lost: {lost}")


def check_film(checks, path, model, folder):
    name = path.name
    suffix = path.suffix if path.suffix in (".mp4", ".mov", ".mkv", ".webm") else ".mkv"
    arguments = ["-n", model, "--fit", f"{BOX}x{BOX}"]
    if suffix != ".webm":
        arguments += ["--preset", "ultrafast"]
    target = folder / f"made_{path.stem}{suffix}"
    done = upres("video", path, "-o", target, *arguments)
    if name in REFUSED:
        checks.check(done.returncode == 3 and REFUSED[name] in done.stderr
                     and not target.exists() and done.stderr.count("\n") == 1,
                     f"{name} is refused", done.stderr.strip())
        return
    result, problems = RESULTS[name], []
    wrong = problems.append
    if done.returncode != (3 if name in DAMAGED else 0):
        wrong(f"exit code {done.returncode}: {done.stderr}")
    if name in DAMAGED and "is damaged" not in done.stderr:
        wrong("damage is not told")
    for index in LEFT_OUT.get(name, []):
        if f"do not hold stream {index}" not in done.stderr:
            wrong(f"that stream {index} is left out is not told")
    if target.exists():
        source, made = Film(path, VIDEO_OF.get(name)), Film(target, VIDEO_OF.get(name))
        check_video(name, result, source, made, wrong)
        moved = check_times(name, result, source, made, wrong)
        check_others(name, source, made, moved, wrong)
        check_chapters_and_tags(name, source, made, wrong)
    checks.check(not problems, f"{name}: {result.frames} frames, {len(made.others)} other streams",
                 "; ".join(problems))
    target.unlink(missing_ok=True)


def main():
    need_data(len(RESULTS) + len(REFUSED), VIDEOS)
    need_ffmpeg()
    checks = Checks()
    wanted = sys.argv[1:]
    with workspace() as folder:
        model = folder / "nearest.safetensors"
        write_nearest(model, 1)
        paths = sorted(VIDEOS.iterdir())
        checks.check({p.name for p in paths} == RESULTS.keys() | REFUSED.keys(),
                     "every sample has its line here")
        for path in paths:
            if not wanted or path.name in wanted:
                check_film(checks, path, model, folder)
        checks.check(not list(folder.glob("*.part")), "no interrupted runs are left")
    return checks.end()


if __name__ == "__main__":
    sys.exit(main())

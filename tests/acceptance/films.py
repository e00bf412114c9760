# SPDX-License-Identifier: Apache-2.0
"""What the tests of upres video share: what ffprobe says of films, and films made by ffmpeg."""
import functools
import json
import shutil
import subprocess
import sys
from fractions import Fraction

from common import DATA, UPRES, upres

VIDEOS = DATA / "videos"


def need_ffmpeg():
    if not shutil.which("ffmpeg") or not shutil.which("ffprobe"):
        sys.exit("ffmpeg is missing: ./dev test installs it")


def ffmpeg(*arguments, **options):
    """Runs ffmpeg, which must succeed; gives its stdout."""
    done = subprocess.run(["ffmpeg", "-v", "error", "-nostdin", "-y", *map(str, arguments)],
                          capture_output=True, **options)
    if done.returncode != 0:
        sys.exit(f"ffmpeg {' '.join(map(str, arguments))}: {done.stderr.decode()}")
    return done.stdout


def probe(path, *arguments):
    done = subprocess.run(["ffprobe", "-v", "quiet", "-of", "json", *arguments, str(path)],
                          capture_output=True, text=True)
    return json.loads(done.stdout or "{}")


class Film:
    """What a file holds."""

    def __init__(self, path, video=None):
        self.path = path
        told = probe(path, "-show_streams", "-show_chapters", "-show_format")
        self.streams = told.get("streams", [])
        self.chapters = told.get("chapters", [])
        self.tags = {k.lower(): v for k, v in told.get("format", {}).get("tags", {}).items()}
        moving = [s for s in self.streams
                  if s["codec_type"] == "video" and not s["disposition"]["attached_pic"]]
        self.video = self.streams[video] if video is not None else moving[0]
        self.others = [s for s in self.streams if s is not self.video]
        self.time_base = Fraction(self.video["time_base"])

    def frames(self):
        """Times of the pictures that are shown, in seconds."""
        told = probe(self.path, "-select_streams", str(self.video["index"]), "-show_frames",
                     "-show_entries", "frame=best_effort_timestamp")
        return [int(f["best_effort_timestamp"]) * self.time_base for f in told["frames"]
                if "best_effort_timestamp" in f]

    @functools.cached_property
    def first_frame(self):
        # Of so many packets as a decoder may want before it gives a frame.
        told = probe(self.path, "-select_streams", str(self.video["index"]), "-read_intervals",
                     "%+#60", "-show_frames")
        return told["frames"][0]

    def packets(self, stream):
        """(time in seconds, hash) of each packet."""
        told = probe(self.path, "-select_streams", str(stream["index"]), "-show_packets",
                     "-show_data_hash", "md5")
        base = Fraction(stream["time_base"])
        return [(int(p["pts"]) * base if "pts" in p else None, p.get("data_hash"))
                for p in told.get("packets", [])]

    def side_data(self, kind):
        """Of the stream, or of the first frame."""
        for where in (self.video, self.first_frame):
            for one in where.get("side_data_list", []):
                if one["side_data_type"] == kind:
                    return {k: number(v) for k, v in one.items() if k != "side_data_type"}
        return None


def number(value):
    """"34000/50000" as a fraction, to compare what is written with other denominators."""
    try:
        return Fraction(value)
    except (ValueError, TypeError):
        return value


def decoded(path, pixel_format, *arguments):
    """All pictures of a film as bytes of a pixel format. Nothing is converted where it is its own."""
    return ffmpeg("-i", path, *arguments, "-map", "0:v:0", "-fps_mode", "passthrough", "-f",
                  "rawvideo", "-pix_fmt", pixel_format, "-")


def upscale_film(source, target, *arguments):
    """upres video, which must succeed; gives what it told."""
    done = upres("video", source, "-o", target, *arguments)
    if done.returncode != 0:
        sys.exit(f"{UPRES} video {source} -o {target} {' '.join(map(str, arguments))}: "
                 f"exit code {done.returncode}\n{done.stderr}")
    return done

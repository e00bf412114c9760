#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What interrupts upres video costs one segment: killed at twenty moments and by Ctrl-C, each time gone
on with --resume, the file is the one of an uninterrupted run, byte for byte. Another plan is refused,
with the difference named; a damaged journal, a second run beside the first and a full disk are told.
Memory does not grow with the length of the film."""
import filecmp
import random
import re
import resource
import signal
import subprocess
import sys
import time

from common import UPRES, Checks, upres, workspace, write_nearest
from films import Film, ffmpeg, need_ffmpeg, upscale_film

KILLS = 20


def start(*arguments, **options):
    return subprocess.Popen([UPRES, "video", *map(str, arguments)], stdin=subprocess.DEVNULL,
                            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, **options)


def make_film(path, seconds, size="160x96"):
    """Frames of variable length, with sound, subtitles and B-frames in their order."""
    subtitles = path.with_suffix(".srt")
    subtitles.write_text("".join(
        f"{i + 1}\n00:00:{i:02},000 --> 00:00:{i:02},900\nline {i}\n\n" for i in range(seconds)))
    ffmpeg("-f", "lavfi", "-i", f"testsrc2=s={size}:r=25:d={seconds}", "-f", "lavfi", "-i",
           f"sine=d={seconds}", "-i", subtitles, "-map", "0", "-map", "1", "-map", "2", "-vf",
           "select='not(eq(mod(n,7),3))'", "-fps_mode", "vfr", "-c:v", "libx264", "-preset", "ultrafast",
           "-bf", "2", "-c:a", "aac", "-c:s", "mov_text", path)


def killed_runs_go_on(checks, folder, model):
    film, whole = folder / "film.mp4", folder / "whole.mp4"
    make_film(film, 20)
    options = ["-n", model, "--segment", "1s"]
    began = time.monotonic()
    upscale_film(film, whole, *options)
    length = time.monotonic() - began
    seed = random.randrange(1 << 32)
    print(f"seed {seed}, {length:.1f} s without interruption")
    chance = random.Random(seed)
    before = Film(film)
    checks.check(Film(whole).frames() == before.frames(), "times of a film of variable rate are kept")
    packets = [before.packets(s) for s in before.others]
    checks.check([Film(whole).packets(s) for s in Film(whole).others] == packets,
                 "so are all packets of its sound and subtitles, and their times")
    equal, gone_on = 0, 0
    for i in range(KILLS):
        target = folder / f"killed_{i}.mp4"
        process = start(film, "-o", target, *options)
        time.sleep(chance.uniform(0.05, length))
        process.kill()
        process.communicate()
        part = target.with_name(target.name + ".part")
        if target.exists():  # it was done
            equal += filecmp.cmp(target, whole, shallow=False)
            continue
        resume = ["--resume"] if (part / "journal").exists() else []
        done = upscale_film(film, target, *options, *resume)
        behind = re.search(r"going on behind (\d+) frames", done.stderr)
        gone_on += behind is not None
        same = filecmp.cmp(target, whole, shallow=False) and not part.exists()
        equal += same
        if not same:
            print(f"        killed run {i}, behind {behind and behind[1]}: differs")
        target.unlink()
    checks.check(equal == KILLS and gone_on > 0,
                 f"{KILLS} runs killed at random moments end in the same bytes",
                 f"{gone_on} of them went on behind frames that were done")


def ctrl_c_leaves_a_journal(checks, folder, model):
    film, target = folder / "film.mp4", folder / "stopped.mp4"
    options = ["-n", model, "--segment", "1s"]
    process = start(film, "-o", target, *options)
    part = target.with_name(target.name + ".part")
    journal = part / "journal"
    while not journal.exists() or "\nsegment " not in journal.read_text():
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    errors = process.communicate()[1]
    checks.check(process.returncode == 130 and "--resume goes on behind" in errors
                 and not target.exists() and part.is_dir(),
                 "Ctrl-C leaves what is done, and says how to go on", errors.strip()[-100:])

    done = upres("video", film, "-o", target, *options)
    checks.check(done.returncode == 5 and "--resume" in done.stderr,
                 "a run without --resume does not begin anew by itself")
    for change, name in ((["--crf", "30"], "--encoder-option"), (["-x"], "--tta"),
                         (["-s", "3"], "--size"), (["-c", "libx265"], "--codec"),
                         (["--fps", "10"], "--fps"), (["--end", "5"], "--end")):
        done = upres("video", film, "-o", target, *options, *change, "--resume")
        checks.check(done.returncode == 2 and f"{name} is another one" in done.stderr,
                     f"--resume with another {name} is refused", done.stderr.strip()[-60:])
    other = folder / "other.mp4"
    make_film(other, 3)
    done = upres("video", other, "-o", target, *options, "--resume")
    checks.check(done.returncode == 2 and "--input is another one" in done.stderr,
                 "so is another film")

    # What the disk lost of the last lines, and what is behind the last whole segment, is made again.
    text = journal.read_text()
    journal.write_text(text[:text.rindex("\nsegment ")] + "\nsegm")
    upscale_film(film, target, *options, "--resume")
    checks.check(filecmp.cmp(target, folder / "whole.mp4", shallow=False),
                 "a journal whose last line was cut off goes on before it")

    done = upres("video", film, "-o", folder / "never.mp4", *options, "--resume")
    checks.check(done.returncode == 5 and "nothing to resume" in done.stderr,
                 "--resume of nothing is told", done.stderr.strip())
    target.unlink()
    part.mkdir()
    (part / "journal").write_text("nonsense\n")
    done = upres("video", film, "-o", target, *options, "--resume")
    checks.check(done.returncode == 5 and "no journal" in done.stderr, "so is a foreign journal")
    upscale_film(film, target, *options, "--overwrite")
    checks.check(filecmp.cmp(target, folder / "whole.mp4", shallow=False),
                 "--overwrite begins anew")


def two_runs_do_not_mix(checks, folder, model):
    film, target = folder / "film.mp4", folder / "two.mp4"
    first = start(film, "-o", target, "-n", model)
    while not target.with_name("two.mp4.part").exists():
        time.sleep(0.005)
    time.sleep(0.1)
    second = upres("video", film, "-o", target, "-n", model, "--overwrite")
    first.communicate()
    checks.check(second.returncode == 5 and "another upres" in second.stderr
                 and first.returncode == 0, "two runs do not write one output",
                 second.stderr.strip())


def a_full_disk_is_told(checks, folder, model):
    film, target = folder / "film.mp4", folder / "full.mp4"
    limit = 200_000
    done = upres("video", film, "-o", target, "-n", model,
                 preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)))
    checks.check(done.returncode == 5 and "cannot write" in done.stderr and not target.exists(),
                 "a disk that is full ends it, and no half of a film is there", done.stderr.strip())


def memory_stays_flat(checks, folder, model):
    """Five minutes of 320x180, against half a minute."""
    peaks = []
    for seconds in (30, 300):
        film = folder / f"long_{seconds}.mp4"
        # What does not repeat itself, so that every frame is run.
        ffmpeg("-f", "lavfi", "-i", f"testsrc2=s=320x180:r=10:d={seconds}", "-f", "lavfi", "-i",
               f"sine=d={seconds}", "-c:v", "libx264", "-preset", "ultrafast", "-c:a", "aac", film)
        process = start(film, "-o", folder / f"long_{seconds}_x2.mp4", "-n", model, "--preset",
                        "ultrafast")
        peak = 0
        while process.poll() is None:
            try:
                with open(f"/proc/{process.pid}/status") as status:
                    found = re.search(r"VmHWM:\s*(\d+) kB", status.read())
                peak = max(peak, int(found[1]) / 1024) if found else peak
            except OSError:
                pass
            time.sleep(0.02)
        checks.check(process.returncode == 0, f"{seconds} seconds are done",
                     process.stderr.read().strip())
        peaks.append(peak)
    checks.check(peaks[1] < peaks[0] * 1.1 + 8,
                 "five minutes take no more memory than half a minute",
                 f"{peaks[1]:.0f} and {peaks[0]:.0f} MiB at most")


def main():
    need_ffmpeg()
    checks = Checks()
    with workspace() as folder:
        model = folder / "nearest.safetensors"
        write_nearest(model, 2)
        killed_runs_go_on(checks, folder, model)
        ctrl_c_leaves_a_journal(checks, folder, model)
        two_runs_do_not_mix(checks, folder, model)
        a_full_disk_is_told(checks, folder, model)
        write_nearest(model, 1)
        memory_stays_flat(checks, folder, model)
    return checks.end()


if __name__ == "__main__":
    sys.exit(main())

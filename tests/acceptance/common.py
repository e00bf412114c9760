# SPDX-License-Identifier: Apache-2.0
"""What the acceptance tests share: where the program and its data are, how a test is skipped."""
import contextlib
import dataclasses
import json
import os
import pathlib
import signal
import struct
import subprocess
import sys
import tempfile
import time

import numpy as np
from PIL import Image

ROOT = pathlib.Path(__file__).resolve().parents[2]
UPRES = os.environ.get("UPRES", str(ROOT / "build/release/upres"))
SAMPLE = ROOT / "docs/sample/sample.jpg"
DATA = ROOT.parent / "shared/data"
X4PLUS = DATA / "weights/rrdb/realesrgan-x4plus.bin"
ANIME_6B = DATA / "weights/rrdb/RealESRGAN_x4plus_anime_6B.pth"
REAL = DATA / "sr-sets/RealSRSet"

MOST_MB = 100    # that a refused model file may leave resident, which is held to
MOST_MS = 100    # and take, which tests print: machines are noisy
MOST_S = 1       # what they hold it to instead

SKIPPED = 77  # the exit code that tells ctest so


def need_data(cases, *paths):
    """Ends the test, as skipped, when data outside the project are missing; where CI=true they are
    expected, and it fails. `cases`: how many checks are left out."""
    missing = [str(p.relative_to(ROOT.parent)) for p in paths if not p.exists()]
    if missing:
        print(f"SKIPPED {cases}: missing {', '.join(missing)} beside the project")
        sys.exit(1 if os.environ.get("CI") == "true" else SKIPPED)


def upres(*arguments, **options):
    """Runs the program; the result has returncode, stdout, stderr."""
    return subprocess.run([UPRES, *map(str, arguments)], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, **options)



def upscale(source, target, *arguments):
    """upres image, which must succeed."""
    done = upres("image", source, "-o", target, *arguments)
    if done.returncode != 0:
        sys.exit(f"upres image {source} {' '.join(map(str, arguments))}: "
                 f"exit code {done.returncode}\n{done.stderr}")


@dataclasses.dataclass
class Measured:
    """A run of the program: how it ended, and what it took."""
    returncode: int
    stdout: str
    stderr: str
    seconds: float      # on the clock
    cpu_seconds: float  # of all its threads
    peak_mib: float


# Runs a program and tells of its resources. A child's peak of memory is never below its parent's:
# this one's is small.
LAUNCHER = """
import os, sys, time
began = time.monotonic()
pid = os.posix_spawn(sys.argv[2], sys.argv[2:], os.environ)
_, status, usage = os.wait4(pid, 0)
seconds = time.monotonic() - began
with open(int(sys.argv[1]), "w") as told:
    print(os.waitstatus_to_exitcode(status), seconds, usage.ru_utime + usage.ru_stime,
          usage.ru_maxrss, file=told)
"""


def measured(*arguments, timeout_s=60):
    """Runs the program by itself; it is killed when it takes longer, with returncode -9."""
    reading, writing = os.pipe()
    command = [sys.executable, "-I", "-S", "-c", LAUNCHER, str(writing), UPRES]
    process = subprocess.Popen([*command, *map(str, arguments)], stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                               errors="replace", pass_fds=[writing], start_new_session=True)
    os.close(writing)
    try:
        out, errors = process.communicate(timeout=timeout_s)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        out, errors = process.communicate()
    with open(reading) as told:
        figures = told.read() or f"{-signal.SIGKILL} {timeout_s} 0 0"
    code, seconds, cpu, peak_kib = figures.split()
    return Measured(int(code), out, errors, float(seconds), float(cpu), int(peak_kib) / 1024)


def write_nearest(path, scale, features=8):
    """A model (SRVGGNetCompact) whose weights are all zero: each pixel becomes scale x scale of the
    same value. What goes wrong with such a result went wrong in reading, cutting or writing."""
    shapes = {"body.0.weight": [features, 3, 3, 3], "body.0.bias": [features],
              "body.1.weight": [features],
              "body.2.weight": [features, features, 3, 3], "body.2.bias": [features],
              "body.3.weight": [features],
              "body.4.weight": [3 * scale ** 2, features, 3, 3], "body.4.bias": [3 * scale ** 2]}
    header, end = {}, 0
    for name, shape in shapes.items():
        begin, end = end, end + 4 * int(np.prod(shape))
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [begin, end]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + bytes(end))


@contextlib.contextmanager
def workspace():
    """An empty folder that others may enter, removed at the end."""
    with tempfile.TemporaryDirectory(prefix="upres-") as folder:
        os.chmod(folder, 0o755)
        yield pathlib.Path(folder)


def pixels(path):
    return np.asarray(Image.open(path).convert("RGB"))


def psnr(a, b):
    """Of 8-bit samples, in dB."""
    error = np.mean((a.astype(np.float64) - b.astype(np.float64)) ** 2)
    return float("inf") if error == 0 else 10 * np.log10(255 ** 2 / error)


class Checks:
    """Counts what holds and what does not; end() prints the sum and gives the exit code."""

    def __init__(self):
        self.held = self.failed = self.skipped = 0

    def check(self, holds, claim, detail=""):
        self.held += bool(holds)
        self.failed += not holds
        print(f"{'ok' if holds else 'FAILED':6}  {claim}{'  ' if detail else ''}{detail}")
        return holds

    def skip(self, count, why):
        self.skipped += count
        print(f"SKIPPED {count}: {why}")

    def end(self):
        print(f"{self.held} hold, {self.failed} fail, {self.skipped} skipped")
        return 1 if self.failed else 0

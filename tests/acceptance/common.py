# SPDX-License-Identifier: Apache-2.0
"""What the acceptance tests share: where the program and its data are, how a test is skipped."""
import contextlib
import os
import pathlib
import subprocess
import sys
import tempfile

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


# A process begins with the peak of the one that starts it, so a small one has to.
MEASURE = """
import os, sys, time
began = time.monotonic()
_, status, usage = os.wait4(os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ), 0)
took_ms = 1000 * (time.monotonic() - began)
print(os.waitstatus_to_exitcode(status), took_ms, usage.ru_maxrss / 1024, file=sys.stderr)
"""


def measured(*arguments):
    """Runs the program; its exit code, output, errors, milliseconds and peak resident MB."""
    done = subprocess.run([sys.executable, "-ISc", MEASURE, UPRES, *map(str, arguments)],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace",
                          check=True, timeout=60)
    errors, _, figures = done.stderr.rstrip().rpartition("\n")
    code, took_ms, peak_mb = figures.split()
    return int(code), done.stdout, errors, float(took_ms), float(peak_mb)


def upscale(source, target, *arguments):
    """upres image, which must succeed."""
    done = upres("image", source, "-o", target, *arguments)
    if done.returncode != 0:
        sys.exit(f"upres image {source} {' '.join(map(str, arguments))}: "
                 f"exit code {done.returncode}\n{done.stderr}")


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

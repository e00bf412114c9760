# SPDX-License-Identifier: Apache-2.0
"""Programs of other people that a test or a benchmark compares with, from PyPI, in a folder of the
build's."""
import os
import pathlib
import subprocess
import sys

from common import ROOT, SKIPPED

REQUIREMENTS = pathlib.Path(__file__).with_name("requirements.txt")


def need_packages(cases, *names):
    """Goes on in an interpreter that has the packages, of the versions that requirements.txt
    states. Where they cannot be had the test ends as skipped: `cases` checks are left out."""
    if os.environ.get("UPRES_PYPI") == " ".join(names):
        return
    folder = ROOT / "build/pypi" / f"{sys.version_info[0]}.{sys.version_info[1]}-{'-'.join(names)}"
    python = folder / "bin/python"
    ready = folder / "ready"
    wanted = [line for line in REQUIREMENTS.read_text().split() if line.split("==")[0] in names]
    if not ready.exists() or ready.read_text() != "\n".join(wanted):
        steps = ([sys.executable, "-m", "venv", "--system-site-packages", "--clear", folder],
                 [python, "-m", "pip", "install", "-q", "--disable-pip-version-check", *wanted])
        for step in steps:
            done = subprocess.run(step, capture_output=True, text=True)
            if done.returncode != 0:
                reason = (done.stderr.strip().splitlines() or ["no reason"])[-1]
                print(f"SKIPPED {cases}: {', '.join(names)} cannot be installed: {reason}")
                sys.exit(1 if os.environ.get("CI") == "true" else SKIPPED)
        ready.write_text("\n".join(wanted))
    os.environ["UPRES_PYPI"] = " ".join(names)
    os.execv(python, [python, *sys.argv])

#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""upres verify: every backend of the machine agrees with the reference, told as text and as JSON;
options of the device that make no sense are refused in one line."""
import json
import re
import sys

from common import SAMPLE, Checks, upres, workspace, write_nearest

LEAST_DB = {"fp32": 90, "fp16": 60, "fp16-fast": 54}


def verified(checks, claim, *arguments):
    """What verify tells as JSON, after the checks that hold for every run."""
    done = upres("verify", *arguments, "--json")
    lines = done.stdout.splitlines()
    found = json.loads(lines[0]) if len(lines) == 1 else {}
    least = LEAST_DB.get(found.get("precision"))
    psnr = found.get("psnr_db")
    checks.check(done.returncode == 0 and found.get("within") is True
                 and found.get("least_psnr_db") == least
                 and (psnr >= least if psnr is not None else found.get("largest_levels") == 0),
                 claim, f"{found.get('psnr_db')} dB, {found.get('seconds', 0):.1f} s, the reference "
                        f"{found.get('reference_seconds', 0):.1f} s{done.stderr}")
    return found


def refused(checks, code, words, *arguments):
    done = upres(*arguments)
    checks.check(done.returncode == code and words in done.stderr and done.stderr.count("\n") == 1,
                 f"refused: {' '.join(map(str, arguments))}", done.stderr.strip())


def main():
    checks = Checks()
    with workspace() as folder:
        tiny = folder / "tiny.safetensors"
        write_nearest(tiny, 2)

        found = verified(checks, "the default model on the built-in picture", "upres-general-x4")
        checks.check((found.get("picture"), found.get("width"), found.get("height")) ==
                     ("built in", 128, 96), "which has 128x96 pixels", found.get("picture"))
        for backend in re.findall(r"(\w+) \((?:CUDA|oneDNN|plain)[^:)]*\)", upres("doctor").stdout):
            verified(checks, f"-b {backend}", "upres-general-x4", "-b", backend, "--size", "32x24")
        found = verified(checks, "a picture of one's own", tiny, SAMPLE, "--size", "50x40")
        checks.check((found.get("picture"), found.get("width"), found.get("height")) ==
                     (str(SAMPLE), 50, 40), "the middle of it")
        verified(checks, "one pixel", tiny, "--size", "1x1")

        text = upres("verify", tiny, "-b", "cpu").stdout
        facts = dict(re.findall(r"^(\S+) {2,}(.+)$", text, re.M))
        checks.check(facts.get("verdict") == "good: fp32 is held to 90 dB" and
                     facts.get("device", "").endswith(", fp32") and "psnr" in facts,
                     "people are told the same", text.replace("\n", "; "))

        refused(checks, 2, "computes in fp32, not in fp16;",
                "verify", tiny, "-b", "cpu", "--precision", "fp16")
        refused(checks, 2, "is not auto, fp16, fp16-fast or fp32",
                "verify", tiny, "--precision", "fp64")
        refused(checks, 2, "is not a size", "verify", tiny, "--size", "50")
        refused(checks, 3, "nothing.png", "verify", tiny, folder / "nothing.png")
        refused(checks, 4, "nothing.pth", "verify", folder / "nothing.pth")
        for device in (("-b", "cpu"), ("-b", "reference"), ("-g", "-1"), ("--device", "cpu")):
            refused(checks, 2, "--max-vram is for GPUs",
                    "image", SAMPLE, "-o", folder / "x.png", *device, "--max-vram", "1G")
        refused(checks, 2, "--max-vram", "image", SAMPLE, "-o", folder / "x.png", "--max-vram", "much")
        refused(checks, 2, "computes in fp32, not in fp16-fast;", "image", SAMPLE,
                "-o", folder / "x.png", "-b", "cpu", "--precision", "fp16-fast")
        checks.check(not (folder / "x.png").exists(), "and nothing was written")

        done = upres("image", SAMPLE, "-o", folder / "x.png", "-n", tiny, "-t", "64", "--json")
        events = {event["event"]: event for event in map(json.loads, done.stdout.splitlines())}
        checks.check(events.get("loaded", {}).get("precision") in LEAST_DB
                     and events.get("done", {}).get("tiles", 0) > 1
                     and events["done"].get("repaired_tiles") == 0,
                     "upres image --json tells precision and tiles", events.get("done"))
        verified(checks, "--max-vram where the machine chooses", tiny, "--max-vram", "1G")
    return checks.end()


if __name__ == "__main__":
    sys.exit(main())

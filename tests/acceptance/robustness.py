#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A picture is finished or refused, never half written: killed at any moment, interrupted, on a
full disk, in a folder that may not be written, given what it cannot read. Each failure is one line
on stderr and the exit code of its cause, and leaves nothing behind."""
import os
import pathlib
import random
import resource
import shutil
import signal
import struct
import subprocess
import sys
import time
import zlib

from PIL import Image

from common import DATA, ROOT, SAMPLE, UPRES, Checks, upres, upscale, workspace

MODEL = ROOT / "models/upres-general-x4.fp16.safetensors"
SPAN = DATA / "weights/pth/ntire24_span_ch28_torch2.pth"
KILLS = 8


def names(folder):
    return sorted(p.name for p in folder.iterdir())


def check_refused(checks, claim, code, done, folder, left):
    """It ended with this exit code and one line that says why; the folder holds what it held."""
    lines = done.stderr.splitlines()
    ok = done.returncode == code and len(lines) == 1 and names(folder) == left
    detail = lines[0] if ok else f"exit code {done.returncode}, {names(folder)}\n{done.stderr}"
    checks.check(ok, f"{claim}: {code}", detail)


def start(*arguments):
    return subprocess.Popen([UPRES, *map(str, arguments)], stdin=subprocess.DEVNULL,
                            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def killed(checks, folder):
    """kill -9, at random moments and, more often, about when the result is written."""
    shutil.copy(SAMPLE, folder / "in.jpg")
    target = folder / "out.png"
    began = time.monotonic()
    upscale(folder / "in.jpg", target)
    takes = time.monotonic() - began
    whole = target.read_bytes()
    seed = random.randrange(1000)
    print(f"        a picture takes {takes:.2f} s; seed {seed}")
    rand = random.Random(seed)
    moments = [rand.uniform(0.02, 0.8) for _ in range(KILLS // 2)]
    moments += [rand.uniform(0.8, 1.0) for _ in range(KILLS - KILLS // 2)]
    clean = finished = 0
    for moment in moments:
        target.unlink(missing_ok=True)
        process = start("image", folder / "in.jpg", "-o", target)
        time.sleep(moment * takes)
        process.kill()
        process.communicate()
        # One that was quick may have finished: then the result is there whole.
        done = target.exists() and target.read_bytes() == whole
        finished += done
        clean += names(folder) == (["in.jpg", "out.png"] if done else ["in.jpg"])
    target.unlink(missing_ok=True)
    checks.check(clean == KILLS and finished < KILLS, f"kill -9, {KILLS} times, leaves nothing",
                 f"{finished} had finished")


def interrupted(checks, folder):
    """Ctrl-C in the middle. The reference backend is slow enough to be met at work."""
    process = start("image", folder / "in.jpg", "-o", folder / "out.png", "-b", "reference")
    time.sleep(0.7)
    process.send_signal(signal.SIGINT)
    began = time.monotonic()
    _, errors = process.communicate()
    checks.check(process.returncode == 130 and names(folder) == ["in.jpg"] and
                 len(errors.splitlines()) <= 1, "Ctrl-C: 130",
                 f"exit code {process.returncode}, {time.monotonic() - began:.2f} s, "
                 f"{names(folder)} {errors.strip()}")


def unwritable(checks, folder):
    """A folder that may not be written, and targets that are full. Root is put aside."""
    locked = folder / "locked"
    locked.mkdir()
    shutil.copy(SAMPLE, locked / "in.jpg")
    locked.chmod(0o555)
    program, model = folder / "upres", folder / "model.safetensors"  # where nobody may read them
    shutil.copy(UPRES, program)
    shutil.copy(MODEL, model)
    command = [program, "image", locked / "in.jpg", "-o", locked / "out.png", "-n", model]
    if os.geteuid() == 0:
        command = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", *command]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    check_refused(checks, "read-only folder", 5, done, locked, ["in.jpg"])
    locked.chmod(0o755)

    small = folder / "small"
    small.mkdir()

    def limit():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))

    done = upres("image", SAMPLE, "-o", small / "out.png", preexec_fn=limit)
    check_refused(checks, "no file may be larger than 200 kB", 5, done, small, [])

    script = 'mount -t tmpfs -o size=256k tmpfs "$2" 2>/dev/null || exit 99; ' \
             '"$1" image "$3" -o "$2/out.png"; code=$?; ls -A "$2"; exit $code'
    done = subprocess.run(["unshare", "-m", "sh", "-c", script, "sh", UPRES, small, SAMPLE],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode == 99 or "unshare" in done.stderr:
        checks.skip(1, "a full disk: may not mount one")
    else:
        left = done.stdout.splitlines()
        checks.check(done.returncode == 5 and not left and len(done.stderr.splitlines()) == 1,
                     "full disk: 5", f"{done.stderr.strip()} {left}")


def png_header(width, height):
    """A PNG that claims a size and holds next to nothing."""
    def chunk(kind, content):
        return (struct.pack(">I", len(content)) + kind + content +
                struct.pack(">I", zlib.crc32(kind + content)))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) +
            chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b""))


def jpeg_claiming(content, width, height):
    at = content.index(b"\xff\xc0")
    return content[:at + 5] + struct.pack(">HH", height, width) + content[at + 9:]


def unknown_network():
    header = b'{"layer.weight":{"dtype":"F32","shape":[2,2],"data_offsets":[0,16]}}'
    return struct.pack("<Q", len(header)) + header + bytes(16)


def refused(checks, folder):
    jpeg, model = SAMPLE.read_bytes(), MODEL.read_bytes()
    image = Image.open(SAMPLE)
    image.crop((0, 0, 24, 16)).save(folder / "good.png")
    image.crop((0, 0, 24, 16)).convert("RGBA").save(folder / "alpha.png")
    image.convert("I").crop((0, 0, 24, 16)).save(folder / "deep.png")  # 16 bit
    image.save(folder / "cut.png")
    content = (folder / "cut.png").read_bytes()
    for name, content in {
            "cut.png": content[:len(content) // 2], "cut.jpg": jpeg[:len(jpeg) // 2],
            "text.png": b"not a picture\n", "empty.png": b"", "old.png": b"mine",
            "huge.png": png_header(200_000, 200_000), "huge.jpg": jpeg_claiming(jpeg, 65500, 65500),
            "cut.safetensors": model[:len(model) // 2],
            "long.safetensors": struct.pack("<Q", 1 << 62) + model[8:],
            "text.pth": b"not a model\n", "unknown.safetensors": unknown_network()}.items():
        (folder / name).write_bytes(content)
    (folder / "folder").mkdir()
    left = names(folder)
    good, out = folder / "good.png", ("-o", folder / "out.png")
    cases = [
        ("missing picture", 3, [folder / "missing.png", *out]),
        ("a folder as picture", 3, [folder / "folder", *out]),
        ("JPEG cut off", 3, [folder / "cut.jpg", *out]),
        ("PNG cut off", 3, [folder / "cut.png", *out]),
        ("text called .png", 3, [folder / "text.png", *out]),
        ("empty file", 3, [folder / "empty.png", *out]),
        ("PNG that claims 200000x200000", 3, [folder / "huge.png", *out]),
        ("JPEG that claims 65500x65500", 3, [folder / "huge.jpg", *out]),
        ("missing model", 4, [good, *out, "-n", folder / "missing.pth"]),
        ("unknown model name", 4, [good, *out, "-n", "nonesuch"]),
        ("model cut off", 4, [good, *out, "-n", folder / "cut.safetensors"]),
        ("model with a header of 2^62 bytes", 4, [good, *out, "-n", folder / "long.safetensors"]),
        ("text as model", 4, [good, *out, "-n", folder / "text.pth"]),
        ("picture as model", 4, [good, *out, "-n", good]),
        ("unknown network", 4, [good, *out, "-n", folder / "unknown.safetensors"]),
        ("--overwrite and --skip", 2, [good, *out, "--overwrite", "--skip"]),
        ("-b cpu and -g 0", 2, [good, *out, "-b", "cpu", "-g", "0"]),
        ("unknown backend", 2, [good, *out, "-b", "abacus"]),
        ("unknown option", 2, [good, *out, "--frobnicate"]),
        ("negative tile", 2, [good, *out, "-t", "-5"]),
        ("no picture", 2, []),
        ("output exists", 5, [good, "-o", folder / "old.png"]),
        ("output folder missing", 5, [good, "-o", folder / "nowhere/out.png"]),
        ("output of unknown kind", 5, [good, "-o", folder / "out.xyz"]),
        ("alpha into JPEG", 5, [folder / "alpha.png", "-o", folder / "out.jpg"]),
        ("16 bit into JPEG", 5, [folder / "deep.png", "-o", folder / "out.jpg"]),
    ]
    if not pathlib.Path("/dev/nvidia0").exists():
        cases.append(("-g 0 without a GPU", 7, [good, *out, "-g", "0"]))
    if SPAN.exists():
        cases.append(("SPAN, a network that is not run", 4, [good, *out, "-n", SPAN]))
    else:
        checks.skip(1, f"missing {SPAN.relative_to(ROOT.parent)} beside the project")
        checks.failed += os.environ.get("CI") == "true"
    for claim, code, arguments in cases:
        check_refused(checks, claim, code, upres("image", *arguments), folder, left)
    checks.check((folder / "old.png").read_bytes() == b"mine", "an existing file is left as it was")

    several = folder / "several"
    several.mkdir()
    done = upres("image", good, folder / "text.png", "-o", several)
    checks.check(done.returncode == 1 and len(names(several)) == 1 and
                 len(done.stderr.splitlines()) == 1, "one of two pictures fails: 1",
                 f"exit code {done.returncode}, {names(several)} {done.stderr.strip()}")


def main():
    checks = Checks()
    for test in (killed, interrupted, unwritable, refused):
        with workspace() as folder:
            if test is interrupted:
                shutil.copy(SAMPLE, folder / "in.jpg")
            test(checks, folder)
    return checks.end()


if __name__ == "__main__":
    sys.exit(main())

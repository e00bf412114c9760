#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""usage: large.py [--default-model]
Pictures larger than memory: 6000x4000 become 24000x16000 within 1.5 GiB resident, with a
nearest-neighbour model, of which every pixel is checked, or with the default one. Prints time and
peak memory. Not among ctest's: half a minute with the one, some minutes with the other."""
import struct
import sys
import zlib

import numpy as np

from common import Checks, measured, workspace, write_nearest
from png_file import chunk

WIDTH, HEIGHT, SCALE = 6000, 4000, 4
MOST_MIB = 1536


def row(y):
    """Made so that rows and columns can be told apart, and compress."""
    x = np.arange(WIDTH)
    return np.stack([x // 16 + y, x // 64 * 7, np.full(WIDTH, y // 8)], axis=1).astype(np.uint8)


def write_picture(path):
    pack = zlib.compressobj(1)
    content = b"".join(pack.compress(b"\0" + row(y).tobytes()) for y in range(HEIGHT))
    header = struct.pack(">IIBBBBB", WIDTH, HEIGHT, 8, 2, 0, 0, 0)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) +
                     chunk(b"IDAT", content + pack.flush()) + chunk(b"IEND", b""))


def rows_of(path):
    """A PNG's rows as they pass by. The filter is the one that upres uses: from the row above."""
    unpack, waiting, stride = zlib.decompressobj(), b"", WIDTH * SCALE * 3 + 1
    above = np.zeros(stride - 1, np.uint8)
    with open(path, "rb") as file:
        file.seek(8)
        while head := file.read(8):
            length, kind = struct.unpack(">I4s", head)
            body = file.read(length + 4)[:-4]
            if kind == b"IDAT":
                waiting += unpack.decompress(body)
            while len(waiting) >= stride:
                line, waiting = np.frombuffer(waiting[:stride], np.uint8), waiting[stride:]
                assert line[0] in (0, 2), f"filter {line[0]}"
                above = line[1:] + above if line[0] == 2 else line[1:]
                yield above.reshape(-1, 3)


def is_nearest(path):
    count = 0
    for y, made in enumerate(rows_of(path)):
        if y % SCALE == 0:
            wanted = np.repeat(row(y // SCALE), SCALE, 0)
        if not (made == wanted).all():
            print(f"row {y} is wrong")
            return False
        count += 1
    return count == HEIGHT * SCALE


def main():
    checks = Checks()
    default_model = "--default-model" in sys.argv[1:]
    with workspace() as folder:
        model = folder / "nearest.safetensors"
        write_nearest(model, SCALE)
        write_picture(folder / "in.png")
        options = [] if default_model else ["-n", model]
        done = measured("image", folder / "in.png", "-o", folder / "out.png", "-b", "cpu", *options,
                        timeout_s=7200)
        checks.check(done.returncode == 0 and 0 < done.peak_mib <= MOST_MIB,
                     f"{WIDTH}x{HEIGHT} to {WIDTH * SCALE}x{HEIGHT * SCALE}",
                     f"{done.peak_mib:.0f} MiB, {done.seconds:.0f} s {done.stderr.strip()}")
        if done.returncode == 0 and not default_model:
            checks.check(is_nearest(folder / "out.png"), "every pixel is right")
    return checks.end()


if __name__ == "__main__":
    sys.exit(main())

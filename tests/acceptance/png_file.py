# SPDX-License-Identifier: Apache-2.0
"""PNG files of 8 and 16 bits with 1 to 4 channels, to and from arrays, by zlib and numpy alone:
Pillow knows no 16 bits of colour."""
import struct
import zlib

import numpy as np

COLOUR_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}  # PNG's, by channels


def chunk(kind, content):
    return (struct.pack(">I", len(content)) + kind + content +
            struct.pack(">I", zlib.crc32(kind + content)))


def write_png(path, picture, level=1):
    """[height, width] or [height, width, channels] of uint8 or uint16."""
    picture = picture.reshape(*picture.shape[:2], -1)
    height, width, channels = picture.shape
    samples = picture.astype(picture.dtype.newbyteorder(">"))
    rows = samples.reshape(height, -1).view(np.uint8)
    filtered = np.concatenate([np.zeros((height, 1), np.uint8), rows], axis=1)
    header = struct.pack(">IIBBBBB", width, height, picture.itemsize * 8, COLOUR_TYPES[channels],
                         0, 0, 0)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) +
                     chunk(b"IDAT", zlib.compress(filtered.tobytes(), level)) + chunk(b"IEND", b""))


def paeth(line, above, step):
    """Undoes the filter that guesses from left, above and corner, sample by sample."""
    row, above = [0] * step + line.tolist(), [0] * step + above.tolist()
    for i in range(step, len(row)):
        left, up, corner = row[i - step], above[i], above[i - step]
        guess = left + up - corner
        d_left, d_up, d_corner = abs(guess - left), abs(guess - up), abs(guess - corner)
        if d_left <= d_up and d_left <= d_corner:
            row[i] = (row[i] + left) & 255
        else:
            row[i] = (row[i] + (up if d_up <= d_corner else corner)) & 255
    return np.array(row[step:], np.uint8)


def average(line, above, step):
    row = [0] * step + line.tolist()
    for i, up in enumerate(above.tolist(), step):
        row[i] = (row[i] + (row[i - step] + up) // 2) & 255
    return np.array(row[step:], np.uint8)


def unfiltered(kind, line, above, step):
    if kind == 0:
        return line
    if kind == 1:
        return np.cumsum(line.reshape(-1, step), axis=0, dtype=np.uint8).reshape(-1)
    if kind == 2:
        return line + above
    return (average if kind == 3 else paeth)(line, above, step)


def read_png(path):
    """[height, width, channels] of uint8 or uint16. No palettes, no interlacing, not fewer bits."""
    content, at, data = path.read_bytes(), 8, []
    while at < len(content):
        length, kind = struct.unpack(">I4s", content[at:at + 8])
        body = content[at + 8:at + 8 + length]
        if kind == b"IHDR":
            width, height, bits, colour, _, _, interlace = struct.unpack(">IIBBBBB", body)
        elif kind == b"IDAT":
            data.append(body)
        at += length + 12
    assert interlace == 0 and bits in (8, 16), (interlace, bits)
    channels = {v: k for k, v in COLOUR_TYPES.items()}[colour]
    step, stride = channels * bits // 8, width * channels * bits // 8
    raw = np.frombuffer(zlib.decompress(b"".join(data)), np.uint8).reshape(height, stride + 1)
    rows = np.empty((height, stride), np.uint8)
    above = np.zeros(stride, np.uint8)
    for y in range(height):
        above = rows[y] = unfiltered(raw[y, 0], raw[y, 1:], above, step)
    deep = rows.view(np.uint8 if bits == 8 else ">u2")
    return deep.astype(np.uint8 if bits == 8 else np.uint16).reshape(height, width, channels)

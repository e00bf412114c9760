# SPDX-License-Identifier: Apache-2.0
"""Pictures of floats."""
import numpy as np


def read_pfm(path):
    """[height, width, channels]; the rows are stored from the bottom."""
    kind, size, scale, samples = path.read_bytes().split(b"\n", 3)
    width, height = map(int, size.split())
    order = "<f4" if float(scale) < 0 else ">f4"
    channels = {b"PF": 3, b"Pf": 1}[kind]
    return np.frombuffer(samples, order).reshape(height, width, channels)[::-1]


def write_pfm(path, picture, order="<"):
    height, width, channels = picture.shape
    scale = -1.0 if order == "<" else 1.0
    header = f"{'PF' if channels == 3 else 'Pf'}\n{width} {height}\n{scale}\n".encode()
    path.write_bytes(header + picture[::-1].astype(f"{order}f4").tobytes())

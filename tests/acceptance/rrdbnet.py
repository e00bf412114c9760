#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""RRDBNet's variants under the names of ESRGAN's first release (2018), with random weights: what
numpy makes of a picture, in double precision and by nothing of upres, every backend makes too."""
import json
import struct
import sys

import numpy as np
from PIL import Image

from common import SAMPLE, Checks, upres, upscale, workspace

LUMA = np.array([[0.299, 0.587, 0.114]])
BACKENDS = ("cpu", "reference")

# in and out channels, features, growth, blocks, upsamplings, ESRGAN+, the picture
CASES = (
    (3, 3, 8, 4, 2, 2, False, "RGB"),
    (3, 3, 8, 4, 1, 2, True, "RGB"),
    (3, 3, 6, 3, 1, 0, False, "RGB"),
    (3, 3, 6, 3, 1, 1, True, "RGB"),
    (3, 3, 6, 3, 1, 3, False, "RGB"),
    (3, 3, 6, 3, 1, 4, False, "RGB"),
    (1, 1, 8, 4, 1, 2, False, "RGB"),
    (1, 1, 8, 4, 1, 2, False, "L"),
    (1, 1, 8, 4, 1, 0, True, "L"),
    (1, 3, 8, 4, 1, 1, False, "RGB"),
    (3, 1, 8, 4, 1, 1, False, "RGB"),
)


class Network:
    """Convolutions by name, made where they are first asked for."""

    def __init__(self, seed, blocks, upsamplings, plus):
        self.random = np.random.default_rng(seed)
        self.blocks, self.upsamplings, self.plus = blocks, upsamplings, plus
        self.tensors = {}

    def conv(self, x, name, outputs, kernel=3, mean=0.0):
        inputs, height, width = x.shape
        if name + ".weight" not in self.tensors:
            weight = self.random.normal(size=(outputs, inputs, kernel, kernel))
            self.tensors[name + ".weight"] = weight * 0.7 / np.sqrt(inputs * kernel ** 2)
            if kernel > 1:
                self.tensors[name + ".bias"] = self.random.normal(mean, 0.05, outputs)
        weight = self.tensors[name + ".weight"].astype(np.float32).astype(np.float64)
        bias = self.tensors.get(name + ".bias", np.zeros(outputs)).astype(np.float32)
        padded = np.pad(x, ((0, 0), (kernel // 2,) * 2, (kernel // 2,) * 2))
        return bias[:, None, None] + sum(
            np.tensordot(weight[:, :, dy, dx], padded[:, dy:dy + height, dx:dx + width], 1)
            for dy in range(kernel) for dx in range(kernel))

    def active(self, *arguments):
        sums = self.conv(*arguments)
        return np.where(sums > 0, sums, 0.2 * sums)

    def dense_block(self, x, name, growth):
        x1 = self.active(x, f"{name}.conv1.0", growth)
        x2 = self.active(np.concatenate([x, x1]), f"{name}.conv2.0", growth)
        if self.plus:
            x2 = x2 + self.conv(x, f"{name}.conv1x1", growth, 1)
        x3 = self.active(np.concatenate([x, x1, x2]), f"{name}.conv3.0", growth)
        x4 = self.active(np.concatenate([x, x1, x2, x3]), f"{name}.conv4.0", growth)
        if self.plus:
            x4 = x4 + x2
        x5 = self.conv(np.concatenate([x, x1, x2, x3, x4]), f"{name}.conv5.0", len(x))
        return x5 * 0.2 + x

    def run(self, x, features, growth, outputs):
        first = y = self.conv(x, "model.0", features)
        for block in range(self.blocks):
            x = y
            for dense in (1, 2, 3):
                y = self.dense_block(y, f"model.1.sub.{block}.RDB{dense}", growth)
            y = y * 0.2 + x
        y = first + self.conv(y, f"model.1.sub.{self.blocks}", features)
        for i in range(self.upsamplings):
            y = self.active(y.repeat(2, 1).repeat(2, 2), f"model.{3 * i + 3}", features)
        y = self.active(y, f"model.{3 * self.upsamplings + 2}", features)
        return self.conv(y, f"model.{3 * self.upsamplings + 4}", outputs, 3, 0.5)


def write_safetensors(path, tensors):
    header, content = {}, b""
    for name, tensor in tensors.items():
        data = tensor.astype(np.float32).tobytes()
        header[name] = {"dtype": "F32", "shape": tensor.shape,
                        "data_offsets": [len(content), len(content) + len(data)]}
        content += data
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + content)


def planes(picture):
    """Of a picture [channels, height, width] in 0..1."""
    samples = np.asarray(picture) / 255.0
    return samples[None] if samples.ndim == 2 else samples.transpose(2, 0, 1)


def expected(picture, network, sizes):
    """The result as 8-bit samples. A network for gray sees the luma."""
    inputs, outputs, features, growth = sizes
    colours = np.broadcast_to(planes(picture), (3, picture.height, picture.width))
    x = colours if inputs == 3 else np.tensordot(LUMA, colours, 1)
    result = np.clip(network.run(x, features, growth, outputs), 0, 1)
    result = np.broadcast_to(result, (3,) + result.shape[1:])
    if picture.mode == "L":
        result = np.tensordot(LUMA, result, 1)
    return np.floor(result * 255 + 0.5)


def main():
    checks = Checks()
    with workspace() as folder:
        sample = Image.open(SAMPLE).crop((200, 30, 224, 50))
        model, source, target = (folder / n for n in ("m.safetensors", "in.png", "out.png"))
        for seed, case in enumerate(CASES):
            inputs, outputs, features, growth, blocks, upsamplings, plus, mode = case
            picture = sample.convert(mode)
            picture.save(source)
            network = Network(seed, blocks, upsamplings, plus)
            result = expected(picture, network, (inputs, outputs, features, growth))
            write_safetensors(model, network.tensors)
            name = next(line for line in upres("info", model).stdout.splitlines()
                        if line.startswith("architecture")).split(None, 1)[1]
            for backend in BACKENDS:
                upscale(source, target, "-n", model, "-b", backend, "--overwrite", "--quiet")
                made = planes(Image.open(target)) * 255
                same = made.shape == result.shape
                worst = abs(made - result).max() if same else np.inf
                # Single precision may round a sample on a half to the other side.
                checks.check(worst < 1.5 and np.mean(abs(made - result) > 0.5) < 0.001,
                             f"{name}, x{2 ** upsamplings}, of {mode}, on {backend}",
                             f"largest difference {worst:.0f}")
    return checks.end()


if __name__ == "__main__":
    sys.exit(main())

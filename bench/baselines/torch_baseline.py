#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""How fast PyTorch runs the networks that bench_gpu measures, on the same GPU: one line a case.

It needs nothing but torch. Timed are frames queued one behind the other; the median counts."""
import argparse
import itertools
import statistics
import sys
import time

import torch
from torch import nn
from torch.nn import functional as F


def conv(in_channels, out_channels):
    return nn.Conv2d(in_channels, out_channels, 3, padding=1)


class DenseBlock(nn.Module):
    def __init__(self, width=64, growth=32):
        super().__init__()
        for i in range(5):
            setattr(self, f"conv{i + 1}", conv(width + i * growth, growth if i < 4 else width))

    def forward(self, x):
        parts = [x]
        for layer in (self.conv1, self.conv2, self.conv3, self.conv4):
            parts.append(F.leaky_relu(layer(torch.cat(parts, 1)), 0.2, inplace=True))
        return self.conv5(torch.cat(parts, 1)) * 0.2 + x


class RRDB(nn.Module):
    def __init__(self):
        super().__init__()
        self.rdb1, self.rdb2, self.rdb3 = DenseBlock(), DenseBlock(), DenseBlock()

    def forward(self, x):
        return self.rdb3(self.rdb2(self.rdb1(x))) * 0.2 + x


class RRDBNet(nn.Module):
    def __init__(self, blocks=23, width=64):
        super().__init__()
        self.conv_first, self.conv_last = conv(3, width), conv(width, 3)
        self.body = nn.Sequential(*(RRDB() for _ in range(blocks)))
        for name in ("conv_body", "conv_up1", "conv_up2", "conv_hr"):
            setattr(self, name, conv(width, width))

    def forward(self, x):
        x = self.conv_first(x)
        x = x + self.conv_body(self.body(x))
        for layer in (self.conv_up1, self.conv_up2):
            x = F.leaky_relu(layer(F.interpolate(x, scale_factor=2)), 0.2, inplace=True)
        return self.conv_last(F.leaky_relu(self.conv_hr(x), 0.2, inplace=True))


class SRVGGNetCompact(nn.Module):
    def __init__(self, layers=16, width=64, scale=4):
        super().__init__()
        self.scale = scale
        self.body = nn.Sequential(conv(3, width), nn.PReLU(width))
        for _ in range(layers):
            self.body.extend([conv(width, width), nn.PReLU(width)])
        self.body.append(conv(width, 3 * scale * scale))

    def forward(self, x):
        return F.pixel_shuffle(self.body(x), self.scale) + F.interpolate(x, scale_factor=self.scale)


CASES = {"x4plus": (RRDBNet, "960x540"), "animevideov3": (SRVGGNetCompact, "1920x1080")}
MODES = ("autocast", "channels_last", "compiled")  # the last two: all of it in half precision


def flops_per_pixel(network, side=16):
    """Operations of the convolutions, a pixel of the input."""
    counts = []
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            layer.register_forward_hook(lambda layer, _, output: counts.append(
                2 * output.numel() * layer.weight[0].numel()))
    network(torch.rand(1, 3, side, side))
    return sum(counts) / side**2


def measure(network, mode, size, options):
    """Milliseconds a frame, and the most memory taken while it runs (bytes)."""
    half = torch.float16 if options.device == "cuda" else torch.bfloat16  # what CPUs' layers have
    kind = {"dtype": half, "memory_format": torch.channels_last}
    if mode == "autocast":
        kind = {"dtype": torch.float32, "memory_format": torch.contiguous_format}
    network = network.to(options.device, **kind)
    x = torch.rand(1, 3, size[1], size[0]).to(options.device, **kind)
    run = torch.compile(network, mode=options.compile_mode) if mode == "compiled" else network
    with torch.autocast(options.device, half, enabled=mode == "autocast"):
        if options.device == "cpu":  # only to see that the networks run
            began = time.perf_counter()
            run(x)
            return (time.perf_counter() - began) * 1e3, 0
        for _ in range(3):
            run(x)
        torch.cuda.reset_peak_memory_stats()
        marks = [torch.cuda.Event(enable_timing=True) for _ in range(options.runs + 1)]
        for mark in marks:
            mark.record()
            run(x)
        torch.cuda.synchronize()
    frames = [begin.elapsed_time(end) for begin, end in zip(marks, marks[1:])]
    return statistics.median(frames), torch.cuda.max_memory_allocated()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--modes", nargs="+", choices=MODES, default=MODES)
    parser.add_argument("--size", metavar="WxH", help="instead of the case's own")
    parser.add_argument("--weights", metavar="FILE", help="BasicSR's .pth; else random")
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--compile-mode", default="max-autotune-no-cudagraphs")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    options = parser.parse_args()
    torch.set_grad_enabled(False)
    torch.backends.cudnn.benchmark = True
    device = torch.cuda.get_device_name() if options.device == "cuda" else "CPU"
    print(f"PyTorch {torch.__version__}, cuDNN {torch.backends.cudnn.version()}, {device}")
    failed = False
    for case, mode in itertools.product(options.cases, options.modes):
        build, size = CASES[case]
        size = [int(side) for side in (options.size or size).split("x")]
        tflop = flops_per_pixel(build()) * size[0] * size[1] / 1e12
        network = build()
        if options.weights:
            weights = torch.load(options.weights, map_location="cpu")
            network.load_state_dict(weights.get("params_ema", weights.get("params", weights)))
        name = f"{case}  {size[0]}x{size[1]}  {mode}"
        try:
            ms, peak = measure(network, mode, size, options)
            print(f"{name:<40} {ms:8.2f} ms  {tflop / ms * 1e3:6.1f} TFLOP/s  "
                  f"peak {peak / 2**20:.0f} MiB", flush=True)
        except Exception as error:  # not enough memory, no compiler: the others go on
            failed = True
            print(f"{name:<40} failed: {str(error).strip()[:200]!r}", flush=True)
    return failed


if __name__ == "__main__":
    sys.exit(main())

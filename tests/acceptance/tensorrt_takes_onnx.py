#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""NVIDIA's own compiler takes what upres export writes: TensorRT-RTX parses and builds each family,
for pictures from 32x32 to 3840x2160, for all compute capabilities that it knows, which takes no GPU.
Running what it builds does. Prints the table."""
import sys
import time

from common import DATA, ROOT, Checks, need_data, upres, workspace
from pypi import need_packages

WEIGHTS = DATA / "weights"
NETWORKS = [("SRVGGNetCompact", ROOT / "models/upres-general-x4.fp16.safetensors", (75, 80, 86, 89, 120)),
            ("RRDBNet, 6 blocks", WEIGHTS / "rrdb/RealESRGAN_x4plus_anime_6B.pth", (75, 120)),
            ("RRDBNet, 23 blocks", WEIGHTS / "rrdb/realesrgan-x4plus.param", (89,))]
PRECISIONS = ("fp16", "fp32")

need_packages(sum(len(c) for _, _, c in NETWORKS) + len(NETWORKS), "tensorrt-rtx-cu13")

import tensorrt_rtx as trt  # noqa: E402


class Messages(trt.ILogger):
    """Keeps what goes wrong."""

    def __init__(self):
        super().__init__()
        self.errors = []

    def log(self, severity, text):
        if severity <= trt.ILogger.ERROR:
            self.errors.append(text)


def build(path, capability):
    """Bytes of the engine, and what TensorRT said."""
    messages = Messages()
    builder = trt.Builder(messages)
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = trt.OnnxParser(network, messages)
    if not parser.parse_from_file(str(path)):
        return 0, [str(parser.get_error(i)) for i in range(parser.num_errors)]
    config = builder.create_builder_config()
    config.num_compute_capabilities = 1
    config.set_compute_capability(getattr(trt.ComputeCapability, f"SM{capability}"), 0)
    profile = builder.create_optimization_profile()
    profile.set_shape("input", (1, 3, 32, 32), (1, 3, 1080, 1920), (1, 3, 2160, 3840))
    config.add_optimization_profile(profile)
    engine = builder.build_serialized_network(network, config)
    return (engine.nbytes if engine else 0), messages.errors


def main():
    need_data(5, WEIGHTS)
    checks = Checks()
    print(f"TensorRT-RTX {trt.__version__}")
    with workspace() as folder:
        for family, model, capabilities in NETWORKS:
            for precision in PRECISIONS:
                path = folder / "network.onnx"
                done = upres("export", model, "-o", path, "--precision", precision, "--overwrite")
                checks.check(done.returncode == 0, f"{family} is exported in {precision}", done.stderr)
                for capability in capabilities if precision == "fp16" else capabilities[:1]:
                    began = time.monotonic()
                    size, errors = build(path, capability)
                    checks.check(size > 0, f"{family}, {precision}, for {capability / 10}",
                                 f"{size / 2 ** 20:.1f} MiB, {time.monotonic() - began:.1f} s"
                                 + "; ".join(errors))
    return checks.end()


if __name__ == "__main__":
    sys.exit(main())

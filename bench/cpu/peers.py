#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""peers.py [--threads N] [--rounds N] MODEL.param WIDTHxHEIGHT...: how fast upres runs a network on
the processor, beside ncnn, OpenVINO and ONNX Runtime on the same weights.

Takes a model in ncnn's form; the other two get it as ONNX, made here. Their packages come from PyPI,
of the versions that the tests state, too. All compute in single precision, one picture at a time, and take turns, so that
what else the machine does meets all alike. Prints median and span, and how far results are apart.
upres is run by build/release/bench_cpu, which times oneDNN's convolutions, too."""
import argparse
import os
import pathlib
import re
import struct
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
HALF_WEIGHTS = 0x01306B47


class Bin:
    """ncnn's weights, read in the order of the layers."""

    def __init__(self, path):
        self.data, self.at = path.read_bytes(), 0

    def floats(self, count):
        values = numpy.frombuffer(self.data, "<f4", count, self.at)
        self.at += 4 * count
        return values

    def weights(self, count):
        (flag,) = struct.unpack_from("<I", self.data, self.at)
        self.at += 4
        if flag == 0:
            return self.floats(count)
        assert flag == HALF_WEIGHTS, f"weights of kind {flag:#x}"
        values = numpy.frombuffer(self.data, "<f2", count, self.at).astype("f4")
        self.at += (2 * count + 3) // 4 * 4
        return values


def to_onnx(param):
    """The network of an ncnn .param and .bin as an ONNX model with one dynamic size."""
    weights = Bin(param.with_suffix(".bin"))
    nodes, tensors, channels = [], [], {}

    def tensor(name, values):
        tensors.append(onnx.numpy_helper.from_array(numpy.asarray(values), name))
        return name

    def node(kind, inputs, output, **attributes):
        nodes.append(onnx.helper.make_node(kind, inputs, [output], **attributes))

    for line in param.read_text().splitlines()[2:]:
        kind, name, n_in, n_out, *rest = line.split()
        inputs = rest[:int(n_in)]
        outputs = rest[int(n_in):int(n_in) + int(n_out)]
        settings = dict(s.split("=") for s in rest[int(n_in) + int(n_out):])
        out = outputs[0]
        channels[out] = channels.get(inputs[0]) if inputs else 3
        if kind == "Split":
            for copy in outputs:
                node("Identity", inputs, copy)
                channels[copy] = channels[inputs[0]]
        elif kind == "Convolution":
            count, size = int(settings["0"]), int(settings["1"])
            shape = (count, int(settings["6"]) // count // size**2, size, size)
            activated = settings.get("9") == "2"
            sums = out + "_sums" if activated else out
            node("Conv", [inputs[0], tensor(name + "_w", weights.weights(int(settings["6"])).reshape(shape)),
                          tensor(name + "_b", weights.floats(count))], sums, pads=[size // 2] * 4)
            if activated:
                node("LeakyRelu", [sums], out, alpha=float(settings["-23310"].split(",")[1]))
            channels[out] = count
        elif kind == "PReLU":
            slopes = weights.floats(int(settings["0"])).reshape(-1, 1, 1)
            node("PRelu", [inputs[0], tensor(name + "_s", slopes)], out)
        elif kind == "Concat":
            node("Concat", inputs, out, axis=1)
        elif kind == "BinaryOp":
            node("Add", inputs, out)
        elif kind == "Eltwise":
            _, *factors = settings["-23301"].split(",")
            node("Mul", [inputs[0], tensor(name + "_f", numpy.float32(factors[0]))], out + "_scaled")
            assert float(factors[1]) == 1
            node("Add", [out + "_scaled", inputs[1]], out)
        elif kind == "Interp":
            scales = tensor(name + "_x", numpy.float32([1, 1, float(settings["2"]), float(settings["1"])]))
            node("Resize", [inputs[0], "", scales], out, mode="nearest",
                 coordinate_transformation_mode="asymmetric", nearest_mode="floor")
        elif kind == "PixelShuffle":
            node("DepthToSpace", inputs, out, blocksize=int(settings["0"]), mode="CRD")
        elif kind != "Input":
            sys.exit(f"{param}: a layer of kind {kind}, which is not translated")
    picture = onnx.helper.make_tensor_value_info("data", onnx.TensorProto.FLOAT, [1, 3, "h", "w"])
    result = onnx.helper.make_tensor_value_info(out, onnx.TensorProto.FLOAT, None)
    graph = onnx.helper.make_graph(nodes, "network", [picture], [result], tensors)
    return onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)


def open_onnxruntime(model, picture, threads):
    import onnxruntime
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(model.SerializeToString(), options,
                                           providers=["CPUExecutionProvider"])
    return f"ONNX Runtime {onnxruntime.__version__}", lambda: session.run(None, {"data": picture})[0][0]


def open_openvino(model, picture, threads):
    import openvino
    core = openvino.Core()
    network = core.read_model(model.SerializeToString(), b"")
    network.reshape(list(picture.shape))
    request = core.compile_model(network, "CPU", {
        "INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": "f32"}).create_infer_request()
    version = openvino.__version__.split("-")[0]
    return f"OpenVINO {version}", lambda: next(iter(request.infer({0: picture}).values()))[0]


def open_ncnn(param, picture, threads):
    import ncnn
    net = ncnn.Net()
    net.opt.num_threads = threads
    net.opt.use_fp16_packed = net.opt.use_fp16_storage = net.opt.use_fp16_arithmetic = False
    net.opt.use_bf16_storage = False
    net.load_param(str(param))
    net.load_model(str(param.with_suffix(".bin")))
    source = ncnn.Mat(numpy.ascontiguousarray(picture[0]))

    def run():
        extractor = net.create_extractor()
        extractor.input(net.input_names()[0], source)
        return numpy.array(extractor.extract(net.output_names()[0])[1])
    return f"ncnn {ncnn.__version__}", run


def run_upres(param, width, height, threads):
    """{what: milliseconds}, of one run each, after one to warm up."""
    text = subprocess.run([ROOT / "build/release/bench_cpu", "-n", "1", "-j", str(threads), param,
                           str(width), str(height)], check=True, capture_output=True, text=True).stdout
    return {f"upres, {family}": float(ms)
            for family, ms in re.findall(r"^ +(\w+) .*median ([\d.]+) ms", text, re.MULTILINE)}


def compare(param, width, height, threads, rounds):
    picture = numpy.random.default_rng(0).random((1, 3, height, width), numpy.float32)
    model = to_onnx(param)
    peers = [open_onnxruntime(model, picture, threads), open_openvino(model, picture, threads),
             open_ncnn(param, picture, threads)]
    results = [run() for _, run in peers]
    apart = max(abs(result - results[0]).max() for result in results)
    times = {}
    for _ in range(rounds):
        for name, run in peers:
            begin = time.perf_counter()
            run()
            times.setdefault(name, []).append((time.perf_counter() - begin) * 1e3)
        for name, ms in run_upres(param, width, height, threads).items():
            times.setdefault(name, []).append(ms)
    ours = numpy.median(times["upres, winograd"])
    print(f"{param.name} {width}x{height}, {threads} threads, {rounds} rounds; "
          f"the peers' results are {apart:.1g} apart")
    for name, ms in times.items():
        print(f"  {name:<24} median {numpy.median(ms):8.1f} ms ({min(ms):.1f} to {max(ms):.1f}), "
              f"{numpy.median(ms) / ours:.2f} times as long as upres", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("model", type=pathlib.Path)
    parser.add_argument("sizes", nargs="+")
    options = parser.parse_args()
    for size in options.sizes:
        width, height = map(int, size.split("x"))
        compare(options.model, width, height, options.threads, options.rounds)


sys.path.append(str(ROOT / "tests/acceptance"))
from pypi import need_packages  # noqa: E402

need_packages(1, "onnx", "onnxruntime", "openvino", "ncnn")
import numpy  # noqa: E402
import onnx  # noqa: E402
main()

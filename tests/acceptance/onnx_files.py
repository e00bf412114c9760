#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""ONNX in and out gives the same answer everywhere. Every network at hand, and graphs made for
every operator and its variants, against ONNX Runtime, as floats, within 1e-4: prints what differs
most. What upres writes passes ONNX's own full check, and OpenVINO takes it and agrees."""
import sys

import numpy as np

from common import DATA, ROOT, Checks, need_data, upres, workspace
from onnx_graphs import GRAPHS, ODD_HABITS, OTHERS, USUAL_HABITS
from pfm_file import read_pfm, write_pfm
from pypi import need_packages

need_packages(150, "onnx", "onnxruntime", "openvino")

import onnx  # noqa: E402
import onnxruntime  # noqa: E402
import openvino  # noqa: E402

MOST = 1e-4
MOST_HALF = 0.05  # float16 keeps 11 bits, and errors of layers add up; the picture is noise
SIZE = (36, 44)   # height, width

WEIGHTS = DATA / "weights"
NETWORKS = [ROOT / "models/upres-general-x4.fp16.safetensors",
            WEIGHTS / "pth/realesr-animevideov3.deflated-zip.pth",
            WEIGHTS / "pth/sudo_UltraCompact_2x.pth",
            WEIGHTS / "ncnn/4xLSDIRCompactC3.param", WEIGHTS / "ncnn/realesr-animevideov3-x4.param",
            WEIGHTS / "ncnn/realesr-general-x4v3.param",
            WEIGHTS / "ncnn/realesr-general-wdn-x4v3.param",
            WEIGHTS / "rrdb/RealESRGAN_x4plus_anime_6B.pth",
            WEIGHTS / "rrdb/realesrgan-x4plus.param"]
FILES = [WEIGHTS / "onnx/2x_AnimeJaNai_HD_V3_SuperUltraCompact.fp16.onnx",
         WEIGHTS / "onnx/esrgan-small-pre.onnx"]


def picture(size=SIZE):
    return np.random.default_rng(20261125).random((*size, 3), dtype=np.float32)


def by_upres(model, source, folder, *arguments):
    """A picture of floats through a model; None, with what upres said, where it refuses."""
    write_pfm(folder / "in.pfm", source)
    done = upres("image", folder / "in.pfm", "-n", model, "-o", folder / "out.pfm", "--overwrite",
                 "--tile", "0", *arguments)
    return (read_pfm(folder / "out.pfm"), "") if done.returncode == 0 else (None, done.stderr)


def by_onnx_runtime(path, source):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(path), options, ["CPUExecutionProvider"])
    half = "float16" in session.get_inputs()[0].type
    planes = source.transpose(2, 0, 1)[None].astype(np.float16 if half else np.float32)
    made = session.run(None, {session.get_inputs()[0].name: planes})[0]
    return made[0].astype(np.float32).transpose(1, 2, 0)


def by_openvino(path, source):
    core = openvino.Core()
    compiled = core.compile_model(str(path), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return compiled(source.transpose(2, 0, 1)[None])[0][0].transpose(1, 2, 0)


def apart(a, b):
    if a is None or a.shape != b.shape:
        return float("inf")
    return float(np.abs(a.astype(np.float64) - b).max())


def check_near(checks, a, b, most, claim):
    distance = apart(a, b)
    checks.check(distance <= most, claim, f"{distance:.1e}")


def check_export(checks, model, folder, source, wanted, arguments, most):
    """Exports; ONNX's checker and ONNX Runtime take the file, and upres reads it back."""
    name = f"{model.name} {' '.join(arguments)}"
    path = folder / "exported.onnx"
    done = upres("export", model, "-o", path, "--overwrite", *arguments)
    if not checks.check(done.returncode == 0, f"{name} is exported", done.stderr.strip()):
        return
    onnx.checker.check_model(str(path), full_check=True)
    check_near(checks, by_onnx_runtime(path, source), wanted, most, f"{name}: ONNX Runtime agrees")
    again, said = by_upres(path, source, folder, "-b", "cpu")
    check_near(checks, again, wanted, most, f"{name}: read back it is the same{said}")
    told = [next(line for line in upres("info", file).stdout.splitlines()
                 if line.startswith("architecture")) for file in (model, path)]
    checks.check(told[0] == told[1], f"{name}: is recognised", told[1])


def check_network(checks, model, folder, size):
    source = picture(size)
    wanted, said = by_upres(model, source, folder, "-b", "reference")
    if not checks.check(wanted is not None, f"{model.name} runs", said.strip()):
        return
    check_export(checks, model, folder, source, wanted, [], MOST)
    check_near(checks, by_openvino(folder / "exported.onnx", source), wanted, MOST,
               f"{model.name}: OpenVINO agrees")
    check_export(checks, model, folder, source, wanted, ["--precision", "fp16"], MOST_HALF)


def check_options(checks, folder):
    model, source = NETWORKS[0], picture()
    wanted, _ = by_upres(model, source, folder, "-b", "reference")
    for opset in (9, 10, 11, 13, 18, 23):
        check_export(checks, model, folder, source, wanted, ["--opset", str(opset)], MOST)
    check_export(checks, model, folder, source, wanted,
                 ["--size", f"{SIZE[1]}x{SIZE[0]}", "--batch", "0"], MOST)
    shape = [d.dim_param or d.dim_value for d in
             onnx.load(folder / "exported.onnx").graph.input[0].type.tensor_type.shape.dim]
    checks.check(shape == ["batch", 3, *SIZE], "--size and --batch are in the file", f"{shape}")
    metadata = {p.key: p.value for p in onnx.load(folder / "exported.onnx").metadata_props}
    checks.check(metadata["scale"] == "4" and metadata["licence"] != "", "scale and licence, too",
                 f"{metadata}")


def check_mixed(checks, folder):
    general = WEIGHTS / "ncnn/realesr-general-x4v3.param"
    source = picture()
    wanted, _ = by_upres(general, source, folder, "-b", "reference", "--denoise", "0.3")
    path = folder / "mixed.onnx"
    done = upres("export", general, "-o", path, "--denoise", "0.3")
    if checks.check(done.returncode == 0, "a mixed network is exported", done.stderr.strip()):
        check_near(checks, by_onnx_runtime(path, source), wanted, MOST, "as it was mixed")


def check_graphs(checks, folder):
    for graph in GRAPHS:
        path = graph.save(folder)
        source = picture(graph.size)
        wanted = by_onnx_runtime(path, source)
        for backend in ("reference", "cpu"):
            made, said = by_upres(path, source, folder, "-b", backend)
            check_near(checks, made, wanted, MOST, f"{graph.name} on {backend}{said}")
    for graph in OTHERS:
        path = graph.save(folder)
        done = upres("info", path)
        told = done.returncode == 4 and graph.refusal in done.stderr and done.stderr.count("\n") == 1
        checks.check(told, f"{graph.name} is refused", done.stderr.strip().split(": ", 2)[-1])


def check_habits(checks, folder):
    """A network that wants blue, green, red from 0 to 255 is told so."""
    path = ODD_HABITS.save(folder)
    usual = USUAL_HABITS.save(folder, "usual.onnx")
    source = picture()
    wanted, _ = by_upres(usual, source, folder, "-b", "reference")
    options = ("--input-range", "0..255", "--channel-order", "bgr")
    made, said = by_upres(path, source, folder, "-b", "cpu", *options)
    check_near(checks, made, wanted, MOST, f"--input-range and --channel-order{said}")
    done = upres("export", path, "-o", folder / "plain.onnx", *options)
    if checks.check(done.returncode == 0, "such a network is exported", done.stderr):
        check_near(checks, by_onnx_runtime(folder / "plain.onnx", source), wanted, MOST,
                   "for red, green, blue from 0 to 1")


def main():
    checks = Checks()
    with workspace() as folder:
        check_graphs(checks, folder)
        check_habits(checks, folder)
        check_options(checks, folder)
        need_data(60, WEIGHTS)
        check_mixed(checks, folder)
        for file in FILES:
            made, said = by_upres(file, picture(), folder, "-b", "reference")
            half = MOST_HALF if ".fp16" in file.name else MOST
            check_near(checks, made, by_onnx_runtime(file, picture()), half, f"{file.name}{said}")
        for model in NETWORKS:
            large = "x4plus" in model.name
            check_network(checks, model, folder, (16, 20) if large else SIZE)
    return checks.end()


if __name__ == "__main__":
    sys.exit(main())

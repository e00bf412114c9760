#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Makes the golden files: what PyTorch, in single precision, makes of small pictures.

    make_goldens.py [--data FOLDER] [--check]

FOLDER holds weights/ (default: ../shared/data beside the project). --check compares with the
committed files instead of writing them. Everything is read and run here without upres: three small
readers and the two networks as their authors published them. Needs PyTorch 1.13 or later, numpy,
Pillow. README.md tells what is in the files."""
import argparse
import collections
import io
import json
import pathlib
import pickle
import struct
import sys
import zipfile

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from PIL import Image

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent


# --- networks -------------------------------------------------------------------------------------

class DenseBlock(nn.Module):
    def __init__(self, features, growth):
        super().__init__()
        for i in range(5):
            out = features if i == 4 else growth
            setattr(self, f"conv{i + 1}", nn.Conv2d(features + i * growth, out, 3, 1, 1))

    def forward(self, x):
        parts = [x]
        for i in range(4):
            conv = getattr(self, f"conv{i + 1}")
            parts.append(F.leaky_relu(conv(torch.cat(parts, 1)), 0.2))
        return self.conv5(torch.cat(parts, 1)) * 0.2 + x


class RRDB(nn.Module):
    def __init__(self, features, growth):
        super().__init__()
        for i in range(3):
            setattr(self, f"rdb{i + 1}", DenseBlock(features, growth))

    def forward(self, x):
        return self.rdb3(self.rdb2(self.rdb1(x))) * 0.2 + x


class RRDBNet(nn.Module):
    """Enlarges by 4 what pixel-unshuffle made smaller by 4 / scale."""

    def __init__(self, scale=4, features=64, blocks=23, growth=32):
        super().__init__()
        self.scale, self.alignment = scale, 4 // scale
        self.conv_first = nn.Conv2d(3 * self.alignment ** 2, features, 3, 1, 1)
        self.body = nn.Sequential(*[RRDB(features, growth) for _ in range(blocks)])
        for name in ("conv_body", "conv_up1", "conv_up2", "conv_hr"):
            setattr(self, name, nn.Conv2d(features, features, 3, 1, 1))
        self.conv_last = nn.Conv2d(features, 3, 3, 1, 1)

    def forward(self, x):
        first = self.conv_first(F.pixel_unshuffle(x, self.alignment))
        x = first + self.conv_body(self.body(first))
        x = F.leaky_relu(self.conv_up1(F.interpolate(x, scale_factor=2, mode="nearest")), 0.2)
        x = F.leaky_relu(self.conv_up2(F.interpolate(x, scale_factor=2, mode="nearest")), 0.2)
        return self.conv_last(F.leaky_relu(self.conv_hr(x), 0.2))


class SRVGGNetCompact(nn.Module):
    def __init__(self, scale=4, features=64, convs=16, activation=nn.PReLU):
        super().__init__()
        self.scale, self.alignment = scale, 1
        act = lambda: nn.PReLU(features) if activation is nn.PReLU else activation()
        layers = [nn.Conv2d(3, features, 3, 1, 1), act()]
        for _ in range(convs):
            layers += [nn.Conv2d(features, features, 3, 1, 1), act()]
        self.body = nn.Sequential(*layers, nn.Conv2d(features, 3 * scale ** 2, 3, 1, 1))

    def forward(self, x):
        enlarged = F.interpolate(x, scale_factor=self.scale, mode="nearest")
        return F.pixel_shuffle(self.body(x), self.scale) + enlarged


# --- model files ----------------------------------------------------------------------------------

def read_pth(path):
    """The state dict in a torch.save() archive, under params_ema where there is one."""
    archive = zipfile.ZipFile(path)
    pickled = next(n for n in archive.namelist() if n.endswith("/data.pkl"))
    prefix = pickled[:-len("data.pkl")]
    dtypes = {"FloatStorage": np.float32, "HalfStorage": np.float16, "LongStorage": np.int64}

    def rebuild(storage, offset, size, stride, *_):
        steps = [s * storage.itemsize for s in stride]
        view = np.lib.stride_tricks.as_strided(storage[offset:], size, steps)
        return torch.from_numpy(view.astype(np.float32))

    class Reader(pickle.Unpickler):
        def find_class(self, module, name):
            if name in dtypes:
                return name
            return {"OrderedDict": collections.OrderedDict, "_rebuild_tensor_v2": rebuild}[name]

        def persistent_load(self, reference):
            _, dtype, key, _, _ = reference
            return np.frombuffer(archive.read(f"{prefix}data/{key}"), dtypes[dtype])

    root = Reader(io.BytesIO(archive.read(pickled))).load()
    return next((root[k] for k in ("params_ema", "params", "state_dict") if k in root), root)


def read_safetensors(path):
    content = path.read_bytes()
    length = struct.unpack_from("<Q", content)[0]
    header = json.loads(content[8:8 + length])
    header.pop("__metadata__", None)
    dtypes = {"F16": np.float16, "F32": np.float32, "U8": np.uint8, "I32": np.int32}
    tensors = {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        data = np.frombuffer(content[8 + length + begin:8 + length + end], dtypes[entry["dtype"]])
        tensors[name] = data.reshape(entry["shape"])
    return tensors


def load_ncnn(network, path):
    """Fills a network from an ncnn .bin in half precision, which holds its layers in order."""
    content, at = path.read_bytes(), 0
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            assert content[at:at + 4] == b"\x47\x6b\x30\x01", "weights in half precision"
            count = layer.weight.numel()
            weights = np.frombuffer(content, np.float16, count, at + 4).astype(np.float32)
            layer.weight.data = torch.from_numpy(weights).view_as(layer.weight)
            at += 4 + (2 * count + 3) // 4 * 4
            layer.bias.data = torch.from_numpy(
                np.frombuffer(content, np.float32, layer.bias.numel(), at).copy())
            at += 4 * layer.bias.numel()
        elif isinstance(layer, nn.PReLU):
            layer.weight.data = torch.from_numpy(
                np.frombuffer(content, np.float32, layer.weight.numel(), at).copy())
            at += 4 * layer.weight.numel()
    assert at == len(content), f"{path}: {len(content) - at} bytes left"
    return network.eval()


def load(network, path):
    if path.suffix == ".bin":
        return load_ncnn(network, path)
    if path.suffix == ".pth":
        state = read_pth(path)
    else:
        state = {name: torch.from_numpy(tensor.astype(np.float32))
                 for name, tensor in read_safetensors(path).items()}
    network.load_state_dict(state)
    return network.eval()


# --- pictures -------------------------------------------------------------------------------------

def sample(x, y, width, height):
    picture = Image.open(ROOT / "docs/sample/sample.jpg").convert("RGB")
    return np.asarray(picture.crop((x, y, x + width, y + height)))


def drawn(width, height, channels, depth=8):
    """A slope, a disc and noise, different in each channel."""
    yy, xx = np.mgrid[0:height, 0:width].astype(np.float64)
    noise = np.random.default_rng(5)
    planes = []
    for c in range(channels):
        plane = 0.15 + 0.5 * (xx / width if c % 2 else yy / height)
        plane += 0.35 * (np.hypot(xx - width * (0.3 + 0.15 * c), yy - height * 0.5) < height * 0.3)
        planes.append(plane + noise.normal(0, 0.03, plane.shape))
    top = 255 if depth == 8 else 65535
    values = (np.stack(planes, 2) * top).round().clip(0, top)
    return values.astype(np.uint8 if depth == 8 else np.int32)


def run(network, planes):
    """The raw result for [3, height, width] in 0..1. Sizes that pixel-unshuffle does not divide are
    padded right and below by reflection and cropped."""
    _, height, width = planes.shape
    x = torch.from_numpy(planes)[None]
    x = F.pad(x, (0, -width % network.alignment, 0, -height % network.alignment), "reflect")
    with torch.no_grad():
        return network(x)[0, :, :height * network.scale, :width * network.scale].numpy()


def luma(result):
    """BT.601, of the clamped result, as OpenCV's RGB2GRAY on floats."""
    red, green, blue = result.clip(0, 1)
    return np.float32(0.299) * red + np.float32(0.587) * green + np.float32(0.114) * blue


def upscale(network, picture):
    """All tensors of one golden file."""
    top = 255 if picture.dtype == np.uint8 else 65535
    planes = picture.astype(np.float32).transpose(2, 0, 1) / np.float32(top)
    gray, alpha = len(planes) < 3, len(planes) in (2, 4)
    three_of = lambda plane: np.repeat(plane[None], 3, 0)
    result = run(network, three_of(planes[0]) if gray else planes[:3])
    tensors = {"input": picture, "output": result}
    done = [luma(result)] if gray else list(result.clip(0, 1))
    if alpha:
        tensors["output_alpha"] = run(network, three_of(planes[-1]))
        done.append(luma(tensors["output_alpha"]))
    tensors["picture"] = np.floor(np.stack(done, 2) * top + 0.5).astype(picture.dtype)
    return tensors


# --- golden files ---------------------------------------------------------------------------------

def write_safetensors(tensors, metadata):
    names = {np.dtype(np.uint8): "U8", np.dtype(np.float16): "F16",
             np.dtype(np.int32): "I32", np.dtype(np.float32): "F32"}
    # The widest first, so that each begins at a multiple of its size.
    order = sorted(tensors, key=lambda n: (-tensors[n].itemsize, n))
    header, at = {"__metadata__": metadata}, 0
    for name in order:
        tensor = tensors[name]
        header[name] = {"dtype": names[tensor.dtype], "shape": list(tensor.shape),
                        "data_offsets": [at, at + tensor.nbytes]}
        at += tensor.nbytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + b"".join(
        np.ascontiguousarray(tensors[n]).tobytes() for n in order)


def tiny(network, seed):
    """A network with random weights, exact in half precision, whose results stay near 0..1."""
    torch.manual_seed(seed)
    for parameter in network.parameters():
        if parameter.dim() == 4:
            nn.init.normal_(parameter, 0, (1.6 / parameter[0].numel()) ** 0.5)
        else:
            nn.init.uniform_(parameter, 0.0, 0.2)
    last = [layer for layer in network.modules() if isinstance(layer, nn.Conv2d)][-1]
    last.weight.data *= 0.25
    if isinstance(network, RRDBNet):  # SRVGG adds to the enlarged picture
        last.bias.data += 0.4
    return network.half().float().eval()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=pathlib.Path, default=ROOT.parent / "shared/data")
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(2)

    published = {  # name: (network, file below --data or the project, pictures)
        "x4plus": (RRDBNet(), "weights/rrdb/realesrgan-x4plus.bin",
                   {"": sample(236, 30, 20, 16), "odd": sample(230, 147, 11, 7)}),
        "anime_6b": (RRDBNet(blocks=6), "weights/rrdb/RealESRGAN_x4plus_anime_6B.pth",
                     {"": sample(137, 82, 20, 16)}),
        "animevideov3": (SRVGGNetCompact(convs=16),
                         "weights/pth/realesr-animevideov3.deflated-zip.pth",
                         {"": sample(280, 80, 20, 16)}),
        "general_x4v3": (SRVGGNetCompact(convs=32), "weights/ncnn/realesr-general-x4v3.bin",
                         {"": sample(184, 128, 20, 16)}),
        "default": (SRVGGNetCompact(convs=16), "models/upres-general-x4.fp16.safetensors",
                    {"": sample(228, 145, 24, 20), "odd": drawn(17, 1, 3), "gray": drawn(12, 9, 1),
                     "gray_alpha": drawn(12, 10, 2), "rgba": drawn(13, 9, 4),
                     "rgb16": drawn(12, 10, 3, 16), "gray16": drawn(11, 8, 1, 16),
                     "rgba16": drawn(10, 8, 4, 16)}),
    }
    files = {}
    for name, (network, model, pictures) in published.items():
        load(network, (ROOT if model.startswith("models/") else options.data) / model)
        for case, picture in pictures.items():
            files[f"{name}_{case}".rstrip("_")] = (upscale(network, picture), model)
    for name, network, pictures in (
            ("tiny_rrdb_x4", RRDBNet(4, 4, 1, 4), {"": drawn(13, 10, 3)}),
            ("tiny_rrdb_x2", RRDBNet(2, 4, 1, 4), {"": drawn(14, 12, 3), "odd": drawn(15, 11, 3)}),
            ("tiny_rrdb_x1", RRDBNet(1, 4, 1, 4), {"": drawn(16, 12, 3), "odd": drawn(15, 9, 3)}),
            ("tiny_srvgg_x2", SRVGGNetCompact(2, 5, 2), {"": drawn(13, 10, 3)}),
            ("tiny_srvgg_relu_x3", SRVGGNetCompact(3, 6, 2, nn.ReLU), {"": drawn(13, 10, 3)})):
        tiny(network, seed=11)
        weights = {k: v.half().numpy() for k, v in network.state_dict().items()}
        files[f"{name}.weights"] = (weights, None)
        for case, picture in pictures.items():
            model = f"tests/golden/{name}.weights.safetensors"
            files[f"{name}_{case}".rstrip("_")] = (upscale(network, picture), model)

    total = failed = 0
    for name, (tensors, model) in files.items():
        path = HERE / f"{name}.safetensors"
        content = write_safetensors(tensors, {"model": model} if model else {})
        total += len(content)
        shapes = "" if not model else "  ".join(f"{k} {tuple(v.shape)}" for k, v in tensors.items())
        if options.check:
            old = read_safetensors(path)
            worst = max(abs(old[k].astype(float) - v).max()
                        for k, v in tensors.items() if k != "picture")
            failed += worst > 1e-5
            shapes = f"largest difference {worst:.2g}"
        else:
            path.write_bytes(content)
            if model:
                out = tensors["output"]
                shapes += f"  values {out.min():.2f}..{out.max():.2f}"
        print(f"{name:24} {len(content):7}  {shapes}")
    print(f"{len(files)} files, {total} bytes")
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())

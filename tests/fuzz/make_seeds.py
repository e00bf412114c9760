#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""usage: make_seeds.py FOLDER
Writes the fuzz targets' first inputs, FOLDER/READER/*: the weights of a tiny network as each reader
takes them, a small picture in every format that Pillow writes, and animated ones. PyTorch's files are
written as torch.save() does, without PyTorch."""
import collections
import io
import json
import pathlib
import pickle
import pickletools
import struct
import sys
import tarfile
import types
import zipfile

from PIL import Image, PngImagePlugin

GOLDEN = pathlib.Path(__file__).resolve().parent.parent / "golden"
DATA = GOLDEN.parents[2] / "shared/data/images"
LEGACY_MAGIC = 0x1950A86A20F9469CFC6C

# --- names of PyTorch, so that pickles can refer to them ---


def declare(module, kind, name):
    sys.modules.setdefault(module, types.ModuleType(module))
    declared = type(name, (), {"__module__": module}) if kind == "class" else lambda: None
    declared.__module__, declared.__qualname__, declared.__name__ = module, name, name
    setattr(sys.modules[module], name, declared)
    return declared


HALF_STORAGE = declare("torch", "class", "HalfStorage")  # what the golden files hold
HALF_TENSOR = declare("torch", "class", "HalfTensor")
REBUILD_V1 = declare("torch._utils", "function", "_rebuild_tensor")
REBUILD_V2 = declare("torch._utils", "function", "_rebuild_tensor_v2")


class Storage:
    def __init__(self, key, content):
        self.key, self.content, self.count = key, content, len(content) // 2


class Tensor:
    """Pickled by the first version of torch._utils where old, else by the second."""

    def __init__(self, storage, shape, old):
        self.storage, self.shape, self.old = storage, tuple(shape), old

    def __reduce__(self):
        strides, step = [], 1
        for size in reversed(self.shape):
            strides.insert(0, step)
            step *= size
        place = (self.storage, 0, self.shape, tuple(strides))
        if self.old:
            return REBUILD_V1, place
        return REBUILD_V2, place + (False, collections.OrderedDict())


class OldDict(dict):
    """Pickled as Python 2 does an OrderedDict, from a list of its entries."""

    def __reduce__(self):
        return collections.OrderedDict, ([list(entry) for entry in self.items()],)


class Pickler(pickle.Pickler):
    view = None  # what follows a storage's count: nothing, or "none" or a "whole" view of old files

    def persistent_id(self, obj):
        if not isinstance(obj, Storage):
            return None
        fields = ("storage", HALF_STORAGE, obj.key, "cpu", obj.count)
        views = {None: (), "none": (None,), "whole": (("view of it", 0, obj.count),)}
        return fields + views[self.view]


def pickled(value, protocol=2, view=None):
    out = io.BytesIO()
    pickler = Pickler(out, protocol)
    pickler.view = view
    pickler.dump(value)
    return out.getvalue()


def as_python_2(content):
    """With text as Python 2 pickles it: one byte a character."""
    opcodes = list(pickletools.genops(content))
    result = b""
    for (opcode, argument, at), following in zip(opcodes, opcodes[1:] + [(None, None, None)]):
        if opcode.name == "BINUNICODE":
            result += b"U" + bytes([len(argument)]) + argument.encode()
        else:
            result += content[at:following[2]]
    return result


# --- files ---


def read_safetensors(path):
    """[(name, shape, bytes)] in the order of the file."""
    content = path.read_bytes()
    length, = struct.unpack("<Q", content[:8])
    header = json.loads(content[8:8 + length])
    data = content[8 + length:]
    return [(name, entry["shape"], data[slice(*entry["data_offsets"])])
            for name, entry in header.items() if name != "__metadata__"]


def tensors_of(weights, old):
    return (OldDict if old else collections.OrderedDict)(
        (name, Tensor(Storage(str(i), content), shape, old))
        for i, (name, shape, content) in enumerate(weights))


def swapped(content):
    """Numbers of 2 bytes in the other byte order."""
    return bytes(byte for i in range(0, len(content), 2) for byte in (content[i + 1], content[i]))


def zip_file(weights, method, byteorder):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        archive.writestr("archive/data.pkl", pickled({"params": tensors_of(weights, False)}))
        archive.writestr("archive/byteorder", byteorder)
        for i, (_, _, content) in enumerate(weights):
            content = swapped(content) if byteorder == "big" else content
            archive.writestr(f"archive/data/{i}", content)
        archive.writestr("archive/version", "3\n")
    return out.getvalue()


def legacy_file(weights, old):
    tensors = tensors_of(weights, old)
    parts = [pickled(LEGACY_MAGIC), pickled(1001), pickled({"little_endian": True})]
    parts += [pickled(tensors, view="none"), pickled([t.storage.key for t in tensors.values()])]
    if old:
        parts[2:] = map(as_python_2, parts[2:])
    for tensor in tensors.values():
        parts += [struct.pack("<q", tensor.storage.count), tensor.storage.content]
    return b"".join(parts)


class Referring(pickle.Pickler):
    """Tensors as references by key, which legacy_tar_file() describes elsewhere."""

    def persistent_id(self, obj):
        return obj.storage.key if isinstance(obj, Tensor) else None


def legacy_tar_file(weights):
    """Every storage with a view of it, which its tensor is over."""
    tensors = tensors_of(weights, True)
    state = io.BytesIO()
    Referring(state, 2).dump(tensors)
    storages, descriptions, views = [pickled(len(tensors))], [pickled(len(tensors))], []
    for tensor in tensors.values():
        key, count = int(tensor.storage.key), tensor.storage.count
        view = key + len(tensors)
        _, (_, offset, shape, strides) = tensor.__reduce__()
        storages += [pickled((key, "cpu", HALF_STORAGE)), struct.pack("<q", count),
                     tensor.storage.content]
        views.append((view, key, 0, count))
        descriptions += [pickled((key, view, HALF_TENSOR)), struct.pack("<ii", len(shape), 0),
                         struct.pack(f"<{len(shape)}q", *shape),
                         struct.pack(f"<{len(shape)}q", *strides), struct.pack("<q", offset)]
    members = {"sys_info": pickled({"protocol_version": 1000, "little_endian": True}),
               "pickle": as_python_2(state.getvalue()), "tensors": b"".join(descriptions),
               "storages": b"".join(storages + [pickled(views)])}
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            info.mtime = 1484000000.25  # no whole second, so that a header of PAX's comes before
            archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


LAYER_TYPES = {"Convolution": 6, "Input": 16, "PReLU": 23, "Split": 33, "BinaryOp": 40,
               "Interp": 50, "PixelShuffle": 69}


def binary_param(param):
    """A .param file of ncnn as its ncnn2mem writes it in binary."""
    lines = param.decode().splitlines()
    words, blobs = [7767517, *map(int, lines[1].split())], {}
    for line in lines[2:]:
        kind, _, inputs, outputs, *rest = line.split()
        count = int(inputs) + int(outputs)
        words += [LAYER_TYPES[kind], int(inputs), int(outputs)]
        words += [blobs.setdefault(blob, len(blobs)) for blob in rest[:count]]
        for parameter in rest[count:]:
            key, value = parameter.split("=")
            is_float = "." in value
            words += [int(key), *struct.unpack("<i", struct.pack("<f", float(value)))] if is_float \
                else [int(key), int(value)]
        words.append(-233)
    return struct.pack(f"<{len(words)}i", *words)


# --- ONNX: messages of protocol buffers ---


def varint(number):
    number &= (1 << 64) - 1
    content = b""
    while number > 127:
        content += bytes([number & 127 | 128])
        number >>= 7
    return content + bytes([number])


def message(*fields):
    """Of (number, integer, text, bytes or float), each a field."""
    content = b""
    for number, value in fields:
        if isinstance(value, float):
            content += varint(number << 3 | 5) + struct.pack("<f", value)
        elif isinstance(value, int):
            content += varint(number << 3) + varint(value)
        else:
            value = value.encode() if isinstance(value, str) else value
            content += varint(number << 3 | 2) + varint(len(value)) + value
    return content


def onnx_tensor(name, shape, content, kind):
    return message(*[(1, size) for size in shape], (2, kind), (8, name), (9, content))


def onnx_node(kind, inputs, output, *attributes):
    return message(*[(1, name) for name in inputs], (2, output), (3, output), (4, kind),
                   *[(5, attribute) for attribute in attributes])


def onnx_attribute(name, value):
    if isinstance(value, list):
        return message((1, name), *[(8, v) for v in value], (20, 7))
    if isinstance(value, str):
        return message((1, name), (4, value), (20, 3))
    return message((1, name), (2 if isinstance(value, float) else 3, value),
                   (20, 1 if isinstance(value, float) else 2))


def onnx_files():
    """A network of the SRVGG family, with sizes that are computed, and other ways to write one."""
    real, whole = 1, 7
    tensors = [onnx_tensor("a.w", (4, 3, 3, 3), bytes(4 * 108), real),
               onnx_tensor("a.b", (4,), bytes(16), real),
               onnx_tensor("s", (4, 1, 1), bytes(16), real),
               onnx_tensor("b.w", (12, 4, 3, 3), bytes(4 * 432), real),
               onnx_tensor("i", (2,), struct.pack("<2q", 2, 3), whole),
               onnx_tensor("two", (1,), struct.pack("<q", 2), whole),
               onnx_tensor("front", (2,), struct.pack("<2q", 1, 3), whole),
               onnx_tensor("six", (6,), struct.pack("<6q", 0, 3, 2, 2, -1, 288), whole),
               onnx_tensor("four", (4,), struct.pack("<4q", 1, 3, -1, 576), whole)]
    same = onnx_attribute("pads", [1, 1, 1, 1])
    convolutions = [onnx_node("Conv", ["input", "a.w", "a.b"], "a", same),
                    onnx_node("PRelu", ["a", "s"], "p"),
                    onnx_node("Conv", ["p", "b.w"], "b", same)]
    base = [onnx_node("Shape", ["input"], "shape"),
            onnx_node("Gather", ["shape", "i"], "hw", onnx_attribute("axis", 0)),
            onnx_node("Mul", ["hw", "two"], "hw2"),
            onnx_node("Concat", ["front", "hw2"], "sizes", onnx_attribute("axis", 0)),
            onnx_node("Resize", ["input", "", "", "sizes"], "base",
                      onnx_attribute("mode", "nearest"))]
    added = [onnx_node("Add", ["d", "base"], "output")]
    shuffle = [onnx_node("DepthToSpace", ["b"], "d", onnx_attribute("blocksize", 2),
                         onnx_attribute("mode", "DCR"))]
    reshaped = [onnx_node("Reshape", ["b", "six"], "b6"),
                onnx_node("Transpose", ["b6"], "b6t", onnx_attribute("perm", [0, 1, 4, 2, 5, 3])),
                onnx_node("Reshape", ["b6t", "four"], "d")]
    strided = [onnx_node("Conv", ["input", "a.w", "a.b"], "a", same,
                         onnx_attribute("strides", [2, 2])),
               onnx_node("Clip", ["a"], "c", onnx_attribute("min", 0.1)),
               onnx_node("Split", ["c"], "c1", onnx_attribute("axis", 1)),
               onnx_node("ConvTranspose", ["c", "a.w"], "output", onnx_attribute("pads", [0, 0, 1, 1]),
                         onnx_attribute("strides", [2, 2]))]
    for nodes in ([*convolutions, *shuffle, *base, *added], [*convolutions, *reshaped, *base, *added],
                  strided):
        graph = message(*[(1, node) for node in nodes], (2, "graph"),
                        *[(5, tensor) for tensor in tensors], (11, message((1, "input"))),
                        (12, message((1, "output"))))
        yield message((1, 8), (7, graph), (8, message((2, 17))))


def ncnn_files():
    """A network of the SRVGG family, two convolutions, scale 2: the length of the .param, the .param,
    as text and in binary, the .bin."""
    layers = ["Input in 0 1 data", "Split split 1 2 data data_0 data_1",
              "Convolution conv_a 1 1 data_1 a 0=4 1=3 4=1 5=1 6=108", "PReLU slopes_a 1 1 a b 0=4",
              "Convolution conv_b 1 1 b c 0=12 1=3 4=1 5=1 6=432",
              "PixelShuffle shuffle 1 1 c d 0=2",
              "Interp resize 1 1 data_0 e 0=1 1=2.000000e+00 2=2.000000e+00",
              "BinaryOp sum 2 1 d e output"]
    param = "\n".join(["7767517", f"{len(layers)} {len(layers) + 1}", *layers, ""]).encode()
    half = struct.pack("<I", 0x01306B47)
    for tag, size in ((bytes(4), 4), (half, 2)):
        ones = b"\0\0\x80\x3f" if size == 4 else b"\0\x3c"
        weights = (tag + ones * 108 + b"\0\0\x80\x3f" * 8 + tag + ones * 432 +
                   b"\0\0\x80\x3f" * 12)
        for graph in (param, binary_param(param)):
            yield struct.pack("<I", len(graph)) + graph + weights


def tiff_directory(entries, offset):
    """What stands there: (tag, type, count, value of 4 bytes) each, and no directory after it."""
    table = b"".join(struct.pack("<HHL4s", *entry) for entry in entries)
    return struct.pack("<H", len(entries)) + table + bytes(4), offset + 6 + 12 * len(entries)


def with_metadata(picture):
    """A TIFF with EXIF's directories, and a PNG with IPTC, XMP and EXIF in texts."""
    def short(value):
        return struct.pack("<L", value)

    latitude = struct.pack("<6L", 51, 1, 30, 1, 0, 1)
    camera, after = tiff_directory([(0x8827, 3, 1, short(400)), (0x927C, 7, 4, b"note")], 36)
    place, first = tiff_directory([(1, 2, 2, b"N"), (2, 5, 3, short(12))], after)
    samples = [(tag, 3, 1, short(value)) for tag, value in
               ((256, 1), (257, 1), (258, 8), (259, 1), (262, 1), (273, 8), (277, 1), (278, 1),
                (279, 1))]
    tags = samples + [(0x13B, 2, 3, b"me"), (0x8769, 4, 1, short(36)), (0x8825, 4, 1, short(after))]
    tiff = (b"II*\0" + short(first) + b"\x80\0\0\0" + latitude + camera + place +
            tiff_directory(tags, first)[0])
    yield "tiff", tiff
    texts = PngImagePlugin.PngInfo()
    for kind, profile in (("iptc", b"8BIM\4\4\0\0\0\0\0\x08\x1c\2\x19\0\3sea"),
                          ("xmp", b"<x:xmpmeta/>"), ("APP1", b"Exif\0\0" + tiff)):
        texts.add_text(f"Raw profile type {kind}",
                       f"\n{kind}\n{len(profile):8}\n{profile.hex()}\n", zip=True)
    content = io.BytesIO()
    picture.save(content, "png", pnginfo=texts)
    yield "png", content.getvalue()


def pictures():
    """Small ones that Pillow writes, and those beside the project, if any, that it does not."""
    colour = Image.radial_gradient("L").resize((24, 16)).convert("RGB")
    modes = {"png": ("1", "L", "LA", "P", "RGB", "RGBA", "I"), "jpeg": ("L", "RGB", "CMYK"),
             "webp": ("RGB", "RGBA"), "tiff": ("1", "L", "RGBA", "CMYK", "LAB", "F", "I;16"),
             "gif": ("P",), "bmp": ("1", "L", "RGB", "RGBA"), "ppm": ("1", "L", "RGB"),
             "jpeg2000": ("L", "RGB", "RGBA")}
    for kind, of_kind in modes.items():
        for mode in of_kind:
            picture = colour.convert("L" if mode == "I;16" else mode)
            content = io.BytesIO()
            picture.convert(mode).save(content, kind)
            yield f"{kind}_{mode.replace(';', '_')}", content.getvalue()
    yield "pfm", b"Pf\n2 2\n-1.0\n" + struct.pack("<4f", 0, 0.5, 1, 2)
    for kind, content in with_metadata(colour):
        yield f"{kind}_metadata", content
    for path in sorted(DATA.glob("*/*")):
        if path.is_file() and path.stat().st_size < 20_000:
            yield f"{path.parent.name}_{path.name}", path.read_bytes()


def animations():
    """Frames with holes, delays and loops, as Pillow writes them."""
    frames = [Image.radial_gradient("L").resize((24, 16)).rotate(40 * i).convert("RGB") for i in range(3)]
    for kind in ("gif", "png", "webp"):
        for alpha in (False, True):
            made = [frame.copy() for frame in frames]
            if alpha:
                for frame, mask in zip(made, frames):
                    frame.putalpha(mask.convert("L"))
            content = io.BytesIO()
            made[0].save(content, kind, save_all=True, append_images=made[1:], duration=[20, 50, 90], loop=3)
            yield f"{kind}_{'alpha' if alpha else 'opaque'}", content.getvalue()


def seeds():
    """(reader, name, content) of each."""
    weights = read_safetensors(GOLDEN / "tiny_srvgg_x2.weights.safetensors")
    few = weights[:2]
    for protocol in (2, 4):
        yield "pickle", f"protocol{protocol}", pickled(tensors_of(few, False), protocol)
    yield "pickle", "python2", as_python_2(pickled(tensors_of(few, True), view="whole"))
    yield "pickle", "checkpoint", pickled({"epoch": 7, "loss": 0.5, "on": True, "none": None,
                                           "long": 1 << 40, "net": tensors_of(few, False)})
    yield "pth", "stored", zip_file(weights, zipfile.ZIP_STORED, "little")
    yield "pth", "deflated", zip_file(weights, zipfile.ZIP_DEFLATED, "big")
    yield "legacy_pth", "python3", legacy_file(weights, False)
    yield "legacy_pth", "python2", legacy_file(weights, True)
    yield "legacy_tar", "whole", legacy_tar_file(weights)
    yield "legacy_tar", "few", legacy_tar_file(few)
    for network in ("tiny_srvgg_x2", "tiny_srvgg_relu_x3", "tiny_rrdb_x4", "tiny_rrdb_x2"):
        yield "safetensors", network, (GOLDEN / f"{network}.weights.safetensors").read_bytes()
    for i, files in enumerate(ncnn_files()):
        yield "ncnn", str(i), files
    for i, file in enumerate(onnx_files()):
        yield "onnx", str(i), file
    for name, content in pictures():
        yield "image", name, content
    for name, content in animations():
        yield "animation", name, content


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    for reader, name, content in seeds():
        folder = pathlib.Path(sys.argv[1]) / reader
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


if __name__ == "__main__":
    main()

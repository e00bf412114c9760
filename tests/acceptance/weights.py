# SPDX-License-Identifier: Apache-2.0
"""Reads weights as {name: array}, by numpy and Python's own pickle and zipfile, and by nothing of
upres: what its readers are held to. PyTorch 1.13's torch.load() gives the same for the files that
tests/acceptance/models.py reads by this."""
import collections
import hashlib
import io
import json
import pickle
import struct
import zipfile

import numpy as np

DTYPES = {"HalfStorage": "<f2", "FloatStorage": "<f4", "DoubleStorage": "<f8", "LongStorage": "<i8"}
SAFETENSORS = {"F16": "<f2", "F32": "<f4", "F64": "<f8", "I64": "<i8"}
WRAPPERS = ("params_ema", "params", "state_dict")


def rebuild(storage, offset, shape, strides, *_):
    if not shape:
        return storage[offset:offset + 1].reshape(())
    strides = [step * storage.itemsize for step in strides]
    return np.lib.stride_tricks.as_strided(storage[offset:], shape, strides)


class Unpickler(pickle.Unpickler):
    def __init__(self, content, storages):
        super().__init__(io.BytesIO(content))
        self.storages = storages

    def find_class(self, module, name):
        if (module, name) == ("collections", "OrderedDict"):
            return collections.OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return rebuild
        if module == "torch" and name in DTYPES:
            return DTYPES[name]
        raise pickle.UnpicklingError(f"{module}.{name}")

    def persistent_load(self, identity):
        _, dtype, key, _, _ = identity
        return np.frombuffer(self.storages(key), dtype)


def read_pth(path):
    with zipfile.ZipFile(path) as archive:
        name = next(n for n in archive.namelist() if n.endswith("/data.pkl"))
        folder = name.removesuffix("data.pkl")
        state = Unpickler(archive.read(name), lambda key: archive.read(f"{folder}data/{key}")).load()
    for wrapper in WRAPPERS:
        state = state.get(wrapper, state)
    return dict(state)


def read_safetensors(path):
    content = path.read_bytes()
    length, = struct.unpack("<Q", content[:8])
    header, data = json.loads(content[8:8 + length]), content[8 + length:]
    return {name: np.frombuffer(data[slice(*entry["data_offsets"])],
                                SAFETENSORS[entry["dtype"]]).reshape(entry["shape"])
            for name, entry in header.items() if name != "__metadata__"}


def read_ncnn(path):
    """Without shapes, called by their places in the .bin."""
    content, at, arrays = path.with_suffix(".bin").read_bytes(), 0, []

    def take(dtype, count):
        nonlocal at
        arrays.append(np.frombuffer(content, dtype, count, at))
        at += -(-arrays[-1].nbytes // 4) * 4

    for line in path.with_suffix(".param").read_text().splitlines()[2:]:
        kind, _, inputs, outputs, *rest = line.split()
        values = dict(word.split("=") for word in rest[int(inputs) + int(outputs):])
        if kind == "Convolution":
            tag, = struct.unpack_from("<I", content, at)
            at += 4
            take({0: "<f4", 0x01306B47: "<f2"}[tag], int(values["6"]))
            take("<f4", int(values["0"]))
        elif kind == "PReLU":
            take("<f4", int(values["0"]))
    assert at == len(content), path
    return {str(i): array for i, array in enumerate(arrays)}


def digest(tensors):
    """Of names, shapes and values in single precision."""
    total = hashlib.sha256()
    for name in sorted(tensors):
        tensor = np.ascontiguousarray(tensors[name], "<f4")
        total.update(f"{name}{tensor.shape}".encode() + tensor.tobytes())
    return total.hexdigest()


def digests_of_values(tensors):
    """One a tensor, in an order that does not depend on names."""
    return sorted(hashlib.sha256(np.ascontiguousarray(tensor, "<f4").tobytes()).hexdigest()
                  for tensor in tensors.values())

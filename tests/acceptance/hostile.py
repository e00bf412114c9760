#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Model files made to do harm: each is refused with exit code 4 and one sentence, nothing in it is
executed, and no refusal leaves more than 100 MB resident or takes a second. That files cut at every
byte are refused is tests/model's matter (IsRefusedCutAnywhere, for each reader)."""
import io
import math
import pickle
import struct
import sys
import tarfile
import warnings
import zipfile
import zlib

from common import MOST_MB, MOST_MS, MOST_S, Checks, measured, workspace

LEGACY = (pickle.dumps(0x1950A86A20F9469CFC6C, 2) + pickle.dumps(1001, 2) +
          pickle.dumps({"little_endian": True}, 2))
GIGABYTE = 1 << 30

# --- pickles ---


def text(value):
    return b"X" + struct.pack("<I", len(value)) + value.encode()


def number(value):
    return b"\x8a\x08" + struct.pack("<q", value)


def numbers(values):
    return b"(" + b"".join(map(number, values)) + b"t"


def tensor(shape, strides, count, key="0", offset=0):
    """Over a storage of `count` floats."""
    return (b"ctorch._utils\n_rebuild_tensor_v2\n((X\x07\0\0\0storagectorch\nFloatStorage\n" +
            text(key) + text("cpu") + number(count) + b"tQ" + number(offset) + numbers(shape) +
            numbers(strides) + b"\x89ccollections\nOrderedDict\n)RtR")


def state_dict(*tensors):
    return b"\x80\x02}(" + b"".join(text(f"w{i}") + t for i, t in enumerate(tensors)) + b"u."


def network(features):
    """Of the SRVGG family, so that its storages are read: 0 to 3."""
    shapes = {"body.0.weight": (features, 3, 3, 3), "body.0.bias": (features,),
              "body.2.weight": (12, features, 3, 3), "body.2.bias": (12,)}
    result = b"\x80\x02}("
    for key, (name, shape) in enumerate(shapes.items()):
        strides = [math.prod(shape[i + 1:]) for i in range(len(shape))]
        result += text(name) + tensor(shape, strides, math.prod(shape), str(key))
    return result + b"u."


def code_pickles(canary):
    """Each makes a file where Python loads it."""
    command = f"touch {canary}"

    class Call:
        def __init__(self, function, *arguments):
            self.reduced = function, arguments

        def __reduce__(self):
            return self.reduced

    for protocol in range(6):
        yield f"eval, protocol {protocol}", pickle.dumps(
            Call(eval, f"open({str(canary)!r}, 'w')"), protocol)
    for module in ("os", "posix", "nt", "subprocess", "commands"):
        function = "call" if module == "subprocess" else "system"
        yield f"{module}.{function}", (f"\x80\x02c{module}\n{function}\n".encode() + text(command) +
                                       b"\x85R.")
    yield "os.system by STACK_GLOBAL", (b"\x80\x04" + text("os") + text("system") + b"\x93" +
                                        text(command) + b"\x85R.")
    yield "a chain of getattr", (b"\x80\x02cbuiltins\ngetattr\ncbuiltins\n__import__\n" +
                                 text("os") + b"\x85R" + text("system") + b"\x86R" +
                                 text(command) + b"\x85R.")
    yield "a dotted name", b"\x80\x04" + text("torch") + text("os.system") + b"\x93."
    yield "INST", f"(S'{command}'\nios\nsystem\n.".encode()
    yield "OBJ", b"(cos\nsystem\n" + text(command) + b"o."
    yield "NEWOBJ", b"\x80\x02cos\nsystem\n" + text(command) + b"\x85\x81."
    yield "an extension's code", b"\x80\x02\x82\x01."
    yield "__setstate__ of what is no dict", b"\x80\x02ctorch\nSize\n}b."
    yield "a storage's type that is called", (b"\x80\x02ctorch\nFloatStorage\n" + text(command) +
                                              b"\x85R.")
    yield "os.system beside weights", (b"\x80\x02}(" + text("w") + tensor((1,), (1,), 1) +
                                       text("x") + b"cos\nsystem\n" + text(command) + b"\x85Ru.")


def bomb_pickles():
    big = 7 << 20
    yield "a stack of millions", b"\x80\x02" + b"N" * big + b"."
    yield "millions of lists", b"\x80\x02" + b"]0" * (big // 2) + b"."
    yield "millions of marks", b"\x80\x02" + b"(" * big + b"."
    yield "a memo of millions", b"\x80\x02N" + b"".join(
        b"r" + struct.pack("<I", i) for i in range(big // 5)) + b"."
    yield "lists in lists", b"\x80\x02" + b"]" * 60000 + b"a" * 59999 + b"."
    yield "tuples in tuples", b"\x80\x02N" + b"\x85" * 400000 + b"."
    yield "dicts in dicts", b"\x80\x02}" + b"}q\0(Nh\0u" * 100000 + b"."
    doubled = b"\x80\x02](NNNNNNNNNNeq\0"
    for i in range(1, 30):
        doubled += b"](" + b"h" + bytes([i - 1]) + (b"h" + bytes([i - 1])) * 9 + b"eq" + bytes([i])
    yield "a billion laughs", doubled + b"."
    copies = b"\x80\x02](" + b"]N\x86" * 1000 + b"eq\0"
    yield "a long list copied often", copies + b"ccollections\nOrderedDict\nh\0\x85R" * 30000 + b"."
    yield "an integer of 2 GB", b"\x80\x02\x8b\xff\xff\xff\x7f."
    yield "text of 4 GB", b"\x80\x02X\xff\xff\xff\xff."
    yield "no end", b"\x80\x02" + b"N0" * (big // 2)
    yield "nothing", b""
    yield "a container that holds itself", b"\x80\x02}q\0(X\x06\0\0\0paramsh\0u."


def shape_pickles():
    """Over a storage of four floats."""
    yield "a huge shape", state_dict(tensor((1 << 40,), (1,), 4))
    yield "a product beyond 64 bits", state_dict(tensor((1 << 32,) * 4, (0,) * 4, 4))
    yield "a storage of exabytes", state_dict(tensor((1 << 60,), (1,), 1 << 60))
    yield "a negative size", state_dict(tensor((-4,), (1,), 4))
    yield "a negative count", state_dict(tensor((1,), (1,), -4))
    yield "a negative stride", state_dict(tensor((4,), (-1,), 4, offset=3))
    yield "a stride beyond the storage", state_dict(tensor((2,), (1 << 62,), 4))
    yield "a stride of nothing", state_dict(tensor((1 << 20,), (0,), 4))
    yield "an offset beyond the storage", state_dict(tensor((1,), (1,), 4, offset=4))
    yield "a negative offset", state_dict(tensor((1,), (1,), 4, offset=-1))
    yield "too many dimensions", state_dict(tensor((1,) * 1000, (1,) * 1000, 4))
    yield "overlapping storages of two sizes", state_dict(tensor((4,), (1,), 4),
                                                         tensor((2,), (1,), 2))
    yield "one storage in many tensors", state_dict(*[tensor((4,), (1,), 4)] * 20000)
    yield "a storage that is not there", state_dict(tensor((4,), (1,), 4, "../../etc/passwd"))


# --- containers ---


def zipped(entries, method=zipfile.ZIP_STORED):
    out = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # entries of one name are the point
        with zipfile.ZipFile(out, "w", method) as archive:
            for name, content in entries:
                archive.writestr(name, content)
    return out.getvalue()


def as_pth(content, *more):
    return zipped([("a/data.pkl", content), ("a/data/0", b"\0" * 16), *more], zipfile.ZIP_DEFLATED)


def raw_zip(entries):
    """Entries (name, deflated content, size and checksum that it claims), each with a place of its own
    or, where the content is None, the first one's."""
    body, directory, first = b"", b"", None
    for name, content, size, checksum in entries:
        at = len(body)
        if content is None:
            at, content, size, checksum = 0, *first
        else:
            first = first or (content, size, checksum)
            body += struct.pack("<4s5H3I2H", b"PK\3\4", 20, 0, 8, 0, 0, checksum, len(content), size,
                                len(name), 0) + name.encode() + content
        directory += struct.pack("<4s6H3I5H2I", b"PK\1\2", 20, 20, 0, 8, 0, 0, checksum, len(content), size,
                                 len(name), 0, 0, 0, 0, 0, at) + name.encode()
    return body + directory + struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, len(entries), len(entries),
                                          len(directory), len(body), 0)


def deflated(content):
    """With its size and checksum."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return packer.compress(content) + packer.flush(), len(content), zlib.crc32(content)


def ten_gigabytes():
    """Of zeros, deflated: one block of a megabyte, again and again."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    megabyte = bytes(1 << 20)
    packer.compress(megabyte) + packer.flush(zlib.Z_FULL_FLUSH)
    again = packer.compress(megabyte) + packer.flush(zlib.Z_FULL_FLUSH)
    return again * 10240 + packer.flush()


def zip_files():
    good = state_dict(tensor((4,), (1,), 4))
    bomb = ten_gigabytes()
    features = 1 << 14
    claims = (("4 GB", 0xffffffff), ("16 bytes", 16), ("its size", 27 * features * 4))
    for claim, size in claims:
        yield f"a pickle of 10 GB that claims {claim}", raw_zip([("a/data.pkl", bomb, size, 0)])
        yield f"a storage of 10 GB that claims {claim}", raw_zip(
            [("a/data.pkl", *deflated(network(features))), ("a/data/0", bomb, size, 0)])
    yield "a byteorder of 10 GB", raw_zip([("a/data.pkl", *deflated(good)),
                                           ("a/byteorder", bomb, GIGABYTE, 0)])
    # Each storage is one of 1 MB, and all are in one place.
    same = 1 << 18
    shapes = state_dict(*[tensor((same,), (1,), same, str(i)) for i in range(2000)])
    yield "entries over one place", raw_zip(
        [("a/data/0", *deflated(bytes(4 * same)))] +
        [(f"a/data/{i}", None, 0, 0) for i in range(1, 2000)] + [("a/data.pkl", *deflated(shapes))])
    yield "60000 entries", zipped([(str(i), b"") for i in range(60000)])
    yield "an archive in an archive", zipped([("a.pth", as_pth(good))])
    yield "two entries of one name", zipped([("a/data.pkl", good), ("a/data.pkl", good)])
    yield "two folders", zipped([("a/data.pkl", good), ("b/data.pkl", good)])
    yield "a path out of the folder", zipped([("../../../tmp/x/data.pkl", good),
                                              ("../../../tmp/x/data/0", b"\0" * 16)])
    yield "a path from the root", zipped([("/tmp/x/data.pkl", good), ("/tmp/x/data/0", b"\0" * 16)])
    yield "another byte order", as_pth(good, ("a/byteorder", b"middle"))
    yield "a program", as_pth(good, ("a/constants.pkl", b"\x80\x02)."), ("a/code/x.py", b"boom()"))
    yield "an empty archive", zipped([])
    whole = as_pth(good)
    yield "a cut archive", whole[:len(whole) // 2]


def legacy_files():
    good = state_dict(tensor((4,), (1,), 4))
    keys = pickle.dumps(["0"], 2)
    for count in (1 << 62, -1, -(1 << 63), 5, 0):
        yield f"a storage of {count} elements", (LEGACY + good + keys +
                                                 struct.pack("<q", count) + b"\0" * 16)
    yield "a list of a million storages", LEGACY + good + pickle.dumps(["0"] * 1000000, 2)
    yield "a storage twice", LEGACY + good + pickle.dumps(["0", "0"], 2) + (
        struct.pack("<q", 4) + b"\0" * 16) * 2
    yield "no storages", LEGACY + good
    yield "a dict about a machine of millions", LEGACY[:-len(pickle.dumps(
        {"little_endian": True}, 2))] + b"\x80\x02" + b"]0" * 3000000 + b"."


def tar_file(members):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


def tar_files(canary):
    def file(storages, tensors=pickle.dumps(0, 2), content=b"\x80\x02}."):
        return tar_file([("pickle", content), ("tensors", tensors), ("storages", storages)])

    storage = b"\x80\x02(K\x07X\x03\0\0\0cpuctorch\nFloatStorage\nt."
    one = pickle.dumps(1, 2)
    for count in (1 << 62, -1, 1 << 40):
        yield f"a storage of {count} elements", file(one + storage + struct.pack("<q", count))
    for count in (1 << 62, -1, 1 << 20):
        yield f"{count} storages", file(pickle.dumps(count, 2))
    none = pickle.dumps(0, 2) + pickle.dumps([], 2)
    yield "a million tensors", file(none, pickle.dumps(1000000, 2))
    dimensions = one + pickle.dumps((1, 7, None), 2) + struct.pack("<II", 0xffffffff, 0)
    yield "a tensor of 2^32 dimensions", file(one + storage + struct.pack("<q", 0) +
                                              pickle.dumps([], 2), dimensions)
    yield "a call", file(none, content=f"cos\nsystem\n(S'touch {canary}'\ntR.".encode())
    huge = bytearray(file(none))
    huge[124:136] = b"77777777777\0"
    yield "a member of 8 GB", bytes(huge)
    huge[124:136] = b"\x80" + b"\xff" * 11  # GNU's way of larger ones
    yield "a member of 2^88 bytes", bytes(huge)
    yield "10000 members", tar_file([(str(i), b"") for i in range(10000)])
    yield "a path out of the folder", tar_file([("../../../tmp/x", b"boom")])


def safetensors_files():
    def file(header, data=b"\0" * 16):
        return struct.pack("<Q", len(header)) + header.encode() + data

    def entry(name, begin, end, shape="[4]"):
        return f'"{name}":{{"dtype":"F32","shape":{shape},"data_offsets":[{begin},{end}]}}'

    yield "overlapping tensors", file("{" + entry("a", 0, 16) + "," + entry("b", 0, 16) + "}")
    yield "a gap", file("{" + entry("a", 16, 32) + "}", b"\0" * 32)
    yield "an end beyond the file", file("{" + entry("a", 0, 1 << 60, f"[{1 << 58}]") + "}")
    yield "an end before the begin", file("{" + entry("a", 16, 0) + "}")
    yield "negative offsets", file("{" + entry("a", -16, 0) + "}")
    yield "a product beyond 64 bits", file("{" + entry("a", 0, 16, str([1 << 32] * 4)) + "}")
    yield "two tensors of one name", file("{" + entry("a", 0, 16) + "," + entry("a", 16, 32) + "}",
                                          b"\0" * 32)
    yield "a header of 2^64 bytes", b"\xff" * 8 + b"{"
    yield "a header of 100 MB", file("{" + " " * (100 << 20) + "}")
    yield "a header of 2 MB of names", file(
        "{" + ",".join(entry(f"{i}", 0, 0, "[0]") for i in range(33000)) + "}", b"")
    yield "a shape of a million sizes", file("{" + entry("a", 0, 4, str([1] * 1000000)) + "}",
                                             b"\0" * 4)
    yield "deep arrays", file('{"a":' + "[" * 1000000)
    yield "deep objects", file('{"a":' * 500000)
    yield "no JSON", file("{" + "\xff" * 100)


def param(*layers):
    return "\n".join(["7767517", f"{len(layers)} {len(layers)}", *layers, ""]).encode()


def ncnn_files():
    """(name, the .param file)"""
    def words(*values):
        return struct.pack(f"<{len(values) + 1}I", 7767517, *values)

    yield "2^31 layers", b"7767517\n2147483648 1\nInput in 0 1 data\n"
    yield "-1 layers", b"7767517\n-1 1\nInput in 0 1 data\n"
    yield "2^32 inputs", param("Input in 0 1 data", "ReLU act 4294967295 1 data out")
    yield "2^31 channels", param("Input in 0 1 data",
                                 "Convolution conv 1 1 data out 0=2147483647 1=3 4=1 5=1 6=27")
    yield "a kernel of 2^31", param("Input in 0 1 data",
                                    "Convolution conv 1 1 data out 0=1 1=2147483647 4=1 5=1 6=27")
    yield "negative weights", param("Input in 0 1 data",
                                    "Convolution conv 1 1 data out 0=-1 1=-3 4=1 5=1 6=-27")
    yield "pictures without end", param("Input in 0 1 b0", *(
        f"Interp r{i} 1 1 b{i} b{i + 1} 0=1 1=16 2=16" for i in range(30)))
    yield "an array without end", param("Input in 0 1 data",
                                        "Convolution conv 1 1 data out -23310=4294967295,1")
    yield "100 MB of text", b"7767517\n9 9\n" + b"ReLU a 1 1 b c\n" * (7 << 20)
    yield "a megabyte of layers", param(*["ReLU a 1 1 b c"] * 60000)
    yield "2^31 layers in binary", words(1 << 31, 1, 16)
    yield "2^32 outputs in binary", words(1, 1, 16, 0, 0xffffffff, 0)
    yield "an array of 2^32 in binary", words(1, 1, 16, 0, 1, 0, (1 << 32) - 23310, 0xffffffff)
    yield "many parameters in binary", words(1, 1, 16, 0, 1, 0, *(
        word for i in range(120000) for word in (i, 0)), (1 << 32) - 233)
    yield "parameters without end in binary", words(1, 1, 16, 0, 1, 0, 0, 0)
    yield "nonsense in binary", words(*(0x9e3779b9 * i % (1 << 32) for i in range(1, 5000)))


def hostile_files(canary):
    """(what, suffix, content)"""
    stored = pickle.dumps(["0"], 2) + struct.pack("<q", 4) + b"\0" * 16
    for name, content in code_pickles(canary):
        yield f"stream: {name}", ".pth", LEGACY + content + stored
    for name, content in [*bomb_pickles(), *shape_pickles()]:
        yield f"zip: {name}", ".pth", as_pth(content)
    for kind, suffix, files in (("zip", ".pth", zip_files()), ("stream", ".pth", legacy_files()),
                                ("tar", ".pth", tar_files(canary)),
                                ("safetensors", ".safetensors", safetensors_files()),
                                ("ncnn", ".param", ncnn_files())):
        for name, content in files:
            yield f"{kind}: {name}", suffix, content


def main():
    checks = Checks()
    worst_ms = worst_mb = slow = 0
    with workspace() as folder:
        canary = folder / "executed"
        (folder / "hostile.bin").write_bytes(b"\0" * 4096)  # of the .param files
        for what, suffix, content in hostile_files(canary):
            path = folder / f"hostile{suffix}"
            path.write_bytes(content)
            done = measured("info", path)
            code, output, errors = done.returncode, done.stdout, done.stderr.rstrip()
            took_ms, peak_mb = 1000 * done.seconds, done.peak_mib
            sentence = errors.replace(f"upres: {path}: ", "")
            checks.check(code == 4 and not output and len(errors.splitlines()) == 1 and
                         peak_mb < MOST_MB and took_ms < 1000 * MOST_S and not canary.exists(), what,
                         f"{code}, {took_ms:.0f} ms, {peak_mb:.0f} MB, {sentence[:110]}")
            canary.unlink(missing_ok=True)
            worst_ms, worst_mb = max(worst_ms, took_ms), max(worst_mb, peak_mb)
            slow += took_ms > MOST_MS
    print(f"at most {worst_ms:.0f} ms and {worst_mb:.0f} MB; {slow} took more than {MOST_MS} ms")
    return checks.end()


if __name__ == "__main__":
    sys.exit(main())

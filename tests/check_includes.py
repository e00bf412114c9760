#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Holds the source tree to docs/design.md: who may include whom, an SPDX line in every source file,
no paths of somebody's machine in any file. Prints what breaks a rule as FILE:LINE; exits 1 then."""
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent

# A unit is a folder of src/. backend/ has several: the contract, each backend (backend/*), and what
# they share (backend/shared: the other files of the folder itself). A unit may also include what
# the units it includes may: the rule is transitive.
MAY_INCLUDE = {
    "base": [],
    "fetch": ["base"],
    "tensor": ["base"],
    "tile": ["base"],
    "frame": ["tensor", "tile"],
    "graph": ["tensor", "tile"],
    "pixel": ["frame", "tile"],
    "onnx": ["graph"],
    "model": ["graph", "onnx"],
    "backend/backend.h": ["graph", "frame"],
    "backend/shared": ["graph", "pixel", "backend/backend.h"],
    "backend/*": ["backend/shared"],
    "backend/tensorrt": ["backend/shared", "onnx"],
    "compile": ["graph", "backend/backend.h"],
    "media": ["frame"],
    "upscale": ["model", "compile", "backend/backend.h", "pixel", "media"],
    "apps": ["upscale", "model", "fetch", "compile", "backend/backend.h", "media", "graph", "onnx",
             "backend/tensorrt"],
}
# What the backends for NVIDIA's GPUs share: CUDA's handles, a picture's samples, jobs on their way.
SHARED = {"backend/tensorrt": ["backend/cuda/runtime.h", "backend/cuda/job_session.h",
                               "backend/cuda/pixels.h",
                               "backend/cuda/pixels.cuh"]}
# The one place that knows every backend.
REGISTRY = "src/backend/registry.cc"
# Libraries that only one unit, or two, may know.
OWNERS = {"vips": "media", "libavformat": "media", "libavcodec": "media", "libavutil": "media",
          "dnnl": "backend/cpu", "oneapi": "backend/cpu", "hwy": "backend/cpu, pixel", "zip": "model",
          "openssl": "base", "curl": "fetch", "CLI": "apps", "onnx": "onnx", "google": "onnx",
          "NvInfer": "backend/tensorrt", "NvInferRuntime": "backend/tensorrt",
          "NvOnnxParser": "backend/tensorrt"}

SOURCE = {".cc", ".h", ".cu", ".cuh", ".py", ".sh", ".cmake"}
INCLUDE = re.compile(r'\s*#\s*include\s*(?:"([^"]+)"|<([^>]+)>)')
MACHINE_PATH = re.compile(r"(?<![\w.])/(?:work|home|root|Users)/\w")


def unit_of(path):
    """The unit of a path below src/ ("graph/op.h") or of one that starts with apps/."""
    parts = path.split("/")
    if parts[0] != "backend" or path == "backend/backend.h":
        return parts[0] if parts[0] != "backend" else path
    return "backend/shared" if len(parts) == 2 else "/".join(parts[:2])


def allowed(unit):
    """All units that `unit` may include, itself among them."""
    found, todo = set(), [unit]
    while todo:
        unit = todo.pop()
        if unit not in found:
            found.add(unit)
            rule = "backend/*" if unit not in MAY_INCLUDE and unit.startswith("backend/") else unit
            if rule not in MAY_INCLUDE:
                sys.exit(f"src/{unit}: no rule for this folder in tests/check_includes.py")
            todo += MAY_INCLUDE[rule]
    return found


def check_includes(name, lines):
    unit = unit_of(name.removeprefix("src/"))
    may = allowed(unit)
    for number, line in enumerate(lines, 1):
        match = INCLUDE.match(line)
        if not match:
            continue
        ours, system = match.groups()
        if ours and name.startswith("apps/") and ((ROOT / name).parent / ours).exists():
            continue
        if ours and not (ROOT / "src" / ours).exists():
            yield f"{name}:{number}: no src/{ours}"
        elif ours in SHARED.get(unit, []):
            continue
        elif ours and unit_of(ours) not in may and name != REGISTRY:
            yield f"{name}:{number}: {unit} may not include {ours}, only {', '.join(sorted(may))}"
        elif system:
            library = re.split(r"[/.]", system)[0]
            owners = OWNERS.get(library, unit)
            if unit not in owners.split(", "):
                yield f"{name}:{number}: <{system}> is for {owners} only"


def files():
    """What is committed or would be."""
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT,
                            capture_output=True, text=True)
    if listed.returncode == 0:
        names = listed.stdout.splitlines()
    else:  # an unpacked archive
        names = [str(p.relative_to(ROOT)) for p in ROOT.rglob("*")]
    return [n for n in names if (ROOT / n).is_file() and not n.startswith(("build/", ".git/"))]


def main():
    broken, sources = [], 0
    for name in files():
        content = (ROOT / name).read_bytes()
        if b"\0" in content:
            continue
        lines = content.decode().splitlines()
        broken += [f"{name}:{i}: a path of one machine: {line.strip()}"
                   for i, line in enumerate(lines, 1) if MACHINE_PATH.search(line)]
        path = pathlib.PurePath(name)
        if path.suffix in SOURCE or path.name == "CMakeLists.txt" or content.startswith(b"#!"):
            sources += 1
            if not any("SPDX-License-Identifier: Apache-2.0" in line for line in lines[:3]):
                broken.append(f"{name}:1: no SPDX line")
        if path.suffix in {".cc", ".h", ".cu", ".cuh"} and path.parts[0] in {"src", "apps"}:
            broken += check_includes(name, lines)
    print("\n".join(broken + [f"{sources} source files, {len(broken)} rules broken"]))
    return bool(broken)


if __name__ == "__main__":
    sys.exit(main())

# SPDX-License-Identifier: Apache-2.0
"""Small ONNX files: one for each operator that upres reads, and for the ways in which exporters
write it; and some that it must refuse, with what it must say."""
import dataclasses

import numpy as np


@dataclasses.dataclass
class Graph:
    """Nodes are (type, inputs, outputs, attributes); what is no node's output is a constant, made
    by its name's entry in `constants`. The first input is "input", the last output "output"."""
    name: str
    nodes: list
    constants: dict = dataclasses.field(default_factory=dict)
    opset: int = 17
    size: tuple = (24, 36)  # of the picture, height and width
    inputs: tuple = ("input",)
    as_inputs: bool = False     # constants are listed as inputs, too
    as_nodes: bool = False      # constants are nodes
    external: str = ""          # constants lie in this file
    refusal: str = ""

    def save(self, folder, file="graph.onnx"):
        import onnx
        from onnx import TensorProto, helper, numpy_helper
        nodes = [helper.make_node(kind, inputs, outputs, name=f"n{i}", **attributes)
                 for i, (kind, inputs, outputs, attributes) in enumerate(self.nodes)]
        tensors = [value(name) if callable(value) else numpy_helper.from_array(value, name)
                   for name, value in self.constants.items()]
        picture = [1, 3, "height", "width"]
        inputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, picture)
                  for name in self.inputs]
        if self.as_inputs:
            inputs += [helper.make_tensor_value_info(t.name, t.data_type, t.dims) for t in tensors]
        if self.as_nodes:
            nodes = [helper.make_node("Constant", [], [t.name], value=t) for t in tensors] + nodes
            tensors = []
        output = helper.make_tensor_value_info("output", TensorProto.FLOAT, None)
        graph = helper.make_graph(nodes, "graph", inputs, [output], tensors)
        domains = {n.domain for n in nodes} | {""}
        model = helper.make_model(graph, opset_imports=[
            helper.make_opsetid(d, self.opset if d == "" else 1) for d in sorted(domains)])
        model.ir_version = 3 if self.as_inputs else 8
        path = folder / file
        path.unlink(missing_ok=True)
        if self.external:
            (folder / self.external).unlink(missing_ok=True)
            onnx.save(model, str(path), save_as_external_data=True, location=self.external,
                      size_threshold=0)
        else:
            path.write_bytes(model.SerializeToString())
        return path


def random(*shape):
    return (np.random.default_rng(sum(shape) + len(shape)).random(shape, dtype=np.float32) - 0.5)


def weights(outputs, inputs, *kernel):
    return random(outputs, inputs, *kernel) * np.float32(2 / np.sqrt(inputs * np.prod(kernel)))


def bfloat16(values):
    """Makes the tensor of these values when ONNX is there."""
    def tensor(name):
        from onnx import TensorProto, helper
        bits = (values.view(np.uint32) >> 16).astype(np.uint16)
        return helper.make_tensor(name, TensorProto.BFLOAT16, values.shape, bits.tobytes(), raw=True)
    return tensor


def integers(*values):
    return np.array(values, dtype=np.int64)


def floats(*values):
    return np.array(values, dtype=np.float32)


def conv(source, target, name, **attributes):
    return ("Conv", [source, f"{name}.weight", f"{name}.bias"], [target], attributes)


def layer(name, outputs, inputs, *kernel):
    return {f"{name}.weight": weights(outputs, inputs, *kernel), f"{name}.bias": random(outputs)}


def one_conv(name, kernel, channels=5, **attributes):
    """To some channels by the convolution that is meant, and back by one of 1x1."""
    return Graph(name, [conv("input", "x", "a", **attributes), conv("x", "output", "b")],
                 layer("a", channels, 3 // attributes.get("group", 1), *kernel)
                 | layer("b", 3, channels, 1, 1))


def transposed(name, kernel, group=1, **attributes):
    node = ("ConvTranspose", ["x", "t.weight", "t.bias"], ["output"], attributes | {"group": group})
    return Graph(name, [conv("input", "x", "a", pads=[1, 1, 1, 1]), node],
                 layer("a", 6, 3, 3, 3)
                 | {"t.weight": weights(6, 3 // group, *kernel), "t.bias": random(3)})


def on_channels(name, nodes, constants=None, channels=6, out_channels=None, **options):
    """Between a convolution to some channels, "x", and one back, of "y"."""
    out_channels = out_channels or channels
    return Graph(name, [conv("input", "x", "a", pads=[1, 1, 1, 1]), *nodes,
                        conv("y", "output", "b", pads=[1, 1, 1, 1])],
                 layer("a", channels, 3, 3, 3) | layer("b", 3, out_channels, 3, 3)
                 | (constants or {}), **options)


def computed_size(source, factor):
    """The nodes by which exporters compute four numbers: two sizes and two sides enlarged."""
    nodes = [("Shape", [source], ["shape"], {})]
    for i, side in ((2, "h"), (3, "w")):
        nodes += [("Gather", ["shape", f"index{i}"], [f"{side}0"], {"axis": 0}),
                  ("Cast", [f"{side}0"], [f"{side}1"], {"to": 1}),
                  ("Mul", [f"{side}1", "factor"], [f"{side}2"], {}),
                  ("Floor", [f"{side}2"], [f"{side}3"], {}),
                  ("Cast", [f"{side}3"], [f"{side}4"], {"to": 7}),
                  ("Unsqueeze", [f"{side}4", "axes"], [f"{side}5"], {})]
    nodes += [("Slice", ["shape", "zero", "two"], ["front"], {}),
              ("Concat", ["front", "h5", "w5"], ["sizes"], {"axis": 0})]
    constants = {"index2": np.array(2, np.int64), "index3": np.array(3, np.int64),
                 "factor": np.array(factor, np.float32), "axes": integers(0), "zero": integers(0),
                 "two": integers(2)}
    return nodes, constants


def resized(name, attributes, scales=None, **options):
    node = ("Resize", ["x", "", "scales"], ["y"], attributes)
    return on_channels(name, [node], {"scales": floats(*(scales or (1, 1, 2, 2)))}, **options)


def reshaped(name, six, order, four, **options):
    """Reshape, Transpose, Reshape by numbers computed from the picture's shape."""
    numbers = {f"i{i}": np.array(i, np.int64) for i in (2, 3)} | {"axes": integers(0)}
    nodes = [("Shape", ["x"], ["shape"], {})]
    for i, side in ((2, "h"), (3, "w")):
        nodes += [("Gather", ["shape", f"i{i}"], [f"{side}s"], {"axis": 0}),
                  ("Unsqueeze", [f"{side}s", "axes"], [side], {}),
                  ("Mul", [side, "r"], [f"{side}*r"], {}), ("Div", [side, "r"], [f"{side}/r"], {})]
    def together(what, parts):
        nonlocal numbers
        numbers |= {f"c{p}": integers(p) for p in parts if isinstance(p, int)}
        names = [f"c{p}" if isinstance(p, int) else p for p in parts]
        return ("Concat", names, [what], {"axis": 0})
    nodes += [together("six", six), together("four", four), ("Reshape", ["x", "six"], ["x6"], {}),
              ("Transpose", ["x6"], ["x6t"], {"perm": order}),
              ("Reshape", ["x6t", "four"], ["y"], {})]
    return on_channels(name, nodes, numbers | {"r": integers(2)}, **options)


SAME = {"pads": [1, 1, 1, 1]}
SIZES, SIZE_NUMBERS = computed_size("x", 2)
FOUR = ["h", "w"]

GRAPHS = [
    one_conv("a convolution of 1x1", (1, 1)),
    one_conv("of 5x5", (5, 5), pads=[2, 2, 2, 2]),
    one_conv("of 2x2, padded before", (2, 2), pads=[1, 1, 0, 0]),
    one_conv("of 4x4, padded unevenly", (4, 4), pads=[1, 2, 2, 1]),
    one_conv("of 1x3", (1, 3), pads=[0, 1, 0, 1]),
    one_conv("of 3x1", (3, 1), pads=[1, 0, 1, 0]),
    one_conv("with a dilation of 2", (3, 3), pads=[2, 2, 2, 2], dilations=[2, 2]),
    one_conv("with dilations of 1 and 3", (3, 3), pads=[1, 3, 1, 3], dilations=[1, 3]),
    one_conv("in three groups", (3, 3), 6, group=3, **SAME),
    one_conv("padded by SAME_UPPER", (4, 4), auto_pad="SAME_UPPER"),
    one_conv("padded by SAME_LOWER", (4, 4), auto_pad="SAME_LOWER"),
    Graph("padded by Pad", [("Pad", ["input", "pads"], ["p"], {}), conv("p", "output", "a")],
          layer("a", 3, 3, 3, 3) | {"pads": integers(0, 0, 1, 1, 0, 0, 1, 1)}),
    Graph("without biases", [("Conv", ["input", "w"], ["output"], SAME)], {"w": weights(3, 3, 3, 3)}),
    Graph("strides of 2 there, transposed back",
          [conv("input", "x", "a", strides=[2, 2], **SAME),
           ("ConvTranspose", ["x", "t.weight", "t.bias"], ["output"],
            {"strides": [2, 2], "pads": [1, 1, 1, 1]})],
          layer("a", 8, 3, 3, 3) | {"t.weight": weights(8, 3, 4, 4), "t.bias": random(3)}),
    Graph("strides of 4 of 7x7, shuffled back",
          [conv("input", "x", "a", strides=[4, 4], pads=[3, 3, 2, 2]),
           ("DepthToSpace", ["x"], ["output"], {"blocksize": 4, "mode": "CRD"})],
          layer("a", 48, 3, 7, 7)),
    transposed("transposed of 2x2", (2, 2), strides=[2, 2]),
    transposed("transposed of 3x3 with output padding", (3, 3), strides=[2, 2],
               output_padding=[1, 1], **SAME),
    transposed("transposed of 6x6 with strides of 3, in groups", (6, 6), group=3, strides=[3, 3],
               pads=[2, 1, 1, 2]),
    on_channels("Relu", [("Relu", ["x"], ["y"], {})]),
    on_channels("LeakyRelu", [("LeakyRelu", ["x"], ["y"], {"alpha": 0.2})]),
    on_channels("LeakyRelu of its own slope", [("LeakyRelu", ["x"], ["y"], {})]),
    on_channels("PRelu", [("PRelu", ["x", "s"], ["y"], {})], {"s": random(6, 1, 1)}),
    on_channels("PRelu of one slope", [("PRelu", ["x", "s"], ["y"], {})], {"s": floats(0.3)}),
    on_channels("PRelu of slopes that are reshaped",
                [("Unsqueeze", ["s", "axes"], ["s3"], {}), ("PRelu", ["x", "s3"], ["y"], {})],
                {"s": random(6), "axes": integers(1, 2)}),
    on_channels("Clip", [("Clip", ["x", "low", "high"], ["y"], {})],
                {"low": np.array(-0.1, np.float32), "high": np.array(0.2, np.float32)}),
    on_channels("Clip from below", [("Clip", ["x", "low"], ["y"], {})],
                {"low": np.array(0.1, np.float32)}),
    on_channels("Clip of attributes", [("Clip", ["x"], ["y"], {"min": 0.0, "max": 0.3})], opset=9),
    on_channels("Add", [("Relu", ["x"], ["r"], {}), ("Add", ["x", "r"], ["y"], {})]),
    on_channels("Sub", [("Relu", ["x"], ["r"], {}), ("Sub", ["x", "r"], ["y"], {})]),
    on_channels("Add of numbers", [("Add", ["x", "n"], ["y"], {})], {"n": random(1, 6, 1, 1)}),
    on_channels("Sub from numbers", [("Sub", ["n", "x"], ["y"], {})], {"n": random(6, 1, 1)}),
    on_channels("Sub of numbers after Relu",
                [("Relu", ["x"], ["r"], {}), ("Sub", ["r", "n"], ["y"], {})], {"n": random(6, 1, 1)}),
    on_channels("Mul of a number", [("Mul", ["n", "x"], ["y"], {})], {"n": np.array(0.2, np.float32)}),
    on_channels("Mul of numbers", [("Mul", ["x", "n"], ["y"], {})], {"n": random(6, 1, 1)}),
    on_channels("Div of numbers", [("Div", ["x", "n"], ["y"], {})], {"n": random(6, 1, 1) + 2}),
    on_channels("Concat", [("Relu", ["x"], ["r"], {}), ("Concat", ["x", "r"], ["y"], {"axis": 1})],
                out_channels=12),
    on_channels("Split in halves", [("Split", ["x"], ["p", "q"], {"axis": 1}),
                                    ("Concat", ["q", "p"], ["y"], {"axis": 1})], opset=13),
    on_channels("Split in parts", [("Split", ["x", "parts"], ["p", "q", "s"], {"axis": 1}),
                                   ("Relu", ["s"], ["t"], {}),
                                   ("Concat", ["q", "t", "p"], ["y"], {"axis": 1})],
                {"parts": integers(1, 2, 3)}),
    on_channels("Split as attributes", [("Split", ["x"], ["p", "q"], {"axis": 1, "split": [4, 2]}),
                                        ("Concat", ["q", "p"], ["y"], {"axis": 1})], opset=11),
    on_channels("Slice", [("Slice", ["x", "b", "e", "a"], ["y"], {})],
                {"b": integers(1), "e": integers(5), "a": integers(1)}, out_channels=4),
    on_channels("Slice as attributes",
                [("Slice", ["x"], ["y"], {"starts": [2], "ends": [1000], "axes": [1]})],
                out_channels=4, opset=9),
    Graph("blue, green, red by Slice", [("Slice", ["input", "b", "e", "a", "s"], ["x"], {}),
                                        conv("x", "output", "c", **SAME)],
          layer("c", 3, 3, 3, 3) | {"b": integers(-1), "e": integers(-4), "a": integers(1),
                                    "s": integers(-1)}),
    Graph("blue, green, red by Gather", [conv("input", "x", "c", **SAME),
                                         ("Gather", ["x", "order"], ["output"], {"axis": 1})],
          layer("c", 3, 3, 3, 3) | {"order": integers(2, 1, 0)}),
    on_channels("DepthToSpace DCR", [("DepthToSpace", ["x"], ["y"], {"blocksize": 2})],
                channels=12, out_channels=3),
    on_channels("DepthToSpace DCR after Relu",
                [("Relu", ["x"], ["r"], {}), ("DepthToSpace", ["r"], ["y"], {"blocksize": 2})],
                channels=12, out_channels=3),
    on_channels("DepthToSpace CRD", [("DepthToSpace", ["x"], ["y"], {"blocksize": 2, "mode": "CRD"})],
                channels=12, out_channels=3),
    on_channels("SpaceToDepth", [("SpaceToDepth", ["x"], ["d"], {"blocksize": 2}),
                                 ("DepthToSpace", ["d"], ["y"], {"blocksize": 2, "mode": "CRD"})]),
    reshaped("pixel shuffle by Reshape", [1, 2, 2, 2, "h", "w"], [0, 1, 4, 2, 5, 3],
             [1, 2, "h*r", "w*r"], channels=8, out_channels=2),
    reshaped("pixel shuffle by Reshape, pixels first", [1, 2, 2, 2, "h", "w"], [0, 3, 4, 1, 5, 2],
             [1, -1, "h*r", "w*r"], channels=8, out_channels=2),
    reshaped("pixel shuffle of three channels by Reshape", [1, 3, 2, 2, "h", "w"],
             [0, 1, 4, 2, 5, 3], [0, 3, "h*r", "w*r"], channels=12, out_channels=3),
    Graph("pixel unshuffle by Reshape and back",
          [("Shape", ["input"], ["shape"], {}), ("Slice", ["shape", "two", "four"], ["hw"], {}),
           ("Div", ["hw", "r"], ["hw/r"], {}), ("Split", ["hw/r"], ["h/r", "w/r"], {"axis": 0})][:3]
          + [("Gather", ["hw/r", "first"], ["h/r"], {"axis": 0}),
             ("Gather", ["hw/r", "second"], ["w/r"], {"axis": 0}),
             ("Concat", ["one", "three", "h/r", "r", "w/r", "r"], ["six"], {"axis": 0}),
             ("Reshape", ["input", "six"], ["x6"], {}),
             ("Transpose", ["x6"], ["x6t"], {"perm": [0, 1, 3, 5, 2, 4]}),
             ("Concat", ["one", "twelve", "h/r", "w/r"], ["four4"], {"axis": 0}),
             ("Reshape", ["x6t", "four4"], ["x"], {}), conv("x", "y", "a", **SAME),
             ("DepthToSpace", ["y"], ["output"], {"blocksize": 4, "mode": "CRD"})],
          layer("a", 48, 12, 3, 3)
          | {"two": integers(2), "four": integers(4), "r": integers(2), "first": integers(0),
             "second": integers(1), "one": integers(1), "three": integers(3),
             "twelve": integers(12)}),
    resized("Resize nearest", {"mode": "nearest", "coordinate_transformation_mode": "asymmetric",
                               "nearest_mode": "floor"}),
    resized("Resize nearest by 3, half pixels", {"mode": "nearest"}, scales=(1, 1, 3, 3)),
    resized("Resize nearest by 4, half pixels, ceil",
            {"mode": "nearest", "nearest_mode": "round_prefer_ceil"}, scales=(1, 1, 4, 4)),
    resized("Resize cubic by 2", {"mode": "cubic"}),
    on_channels("Resize cubic by 1/2",
                [("Resize", ["x", "", "half"], ["h"],
                  {"mode": "cubic", "coordinate_transformation_mode": "pytorch_half_pixel"}),
                 ("Resize", ["h", "", "twice"], ["y"], {"mode": "nearest"})],
                {"half": floats(1, 1, 0.5, 0.5), "twice": floats(1, 1, 2, 2)}),
    on_channels("Resize to sizes that are computed",
                [*SIZES, ("Resize", ["x", "", "", "sizes"], ["y"],
                          {"mode": "nearest", "coordinate_transformation_mode": "asymmetric",
                           "nearest_mode": "floor"})], SIZE_NUMBERS),
    on_channels("Resize of version 10", [("Resize", ["x", "scales"], ["y"], {"mode": "nearest"})],
                {"scales": floats(1, 1, 2, 2)}, opset=10),
    on_channels("Upsample", [("Upsample", ["x", "scales"], ["y"], {"mode": "nearest"})],
                {"scales": floats(1, 1, 3, 3)}, opset=9),
    on_channels("Identity, Cast and Dropout", [("Identity", ["x"], ["i"], {}),
                                               ("Cast", ["i"], ["c"], {"to": 1}),
                                               ("Dropout", ["c"], ["y"], {})]),
    on_channels("weights of float16 and bfloat16",
                [("Cast", ["s"], ["s32"], {"to": 1}), ("PRelu", ["x", "s32"], ["p"], {}),
                 ("Cast", ["t"], ["t32"], {"to": 1}), ("PRelu", ["p", "t32"], ["y"], {})],
                {"s": random(6, 1, 1).astype(np.float16), "t": bfloat16(random(6, 1, 1))}),
    on_channels("weights of float64",
                [("Cast", ["s"], ["s32"], {"to": 1}), ("PRelu", ["x", "s32"], ["y"], {})],
                {"s": random(6, 1, 1).astype(np.float64)}),
    on_channels("constants as nodes", [("PRelu", ["x", "s"], ["y"], {})], {"s": random(6, 1, 1)},
                as_nodes=True),
    on_channels("constants as inputs", [("PRelu", ["x", "s"], ["y"], {})], {"s": random(6, 1, 1)},
                as_inputs=True, opset=9),
    on_channels("constants in another file", [("PRelu", ["x", "s"], ["y"], {})],
                {"s": random(6, 1, 1)}, external="weights.data"),
    on_channels("what nobody reads", [("Relu", ["x"], ["unread"], {}), ("Relu", ["x"], ["y"], {})]),
]


def refused(name, nodes, refusal, constants=None, **options):
    return Graph(name, nodes, constants or {}, refusal=refusal, **options)


OTHERS = [
    refused("an operator of others", [("MaxPool", ["input"], ["output"], {"kernel_shape": [1, 1]})],
            "node n0 (MaxPool) is an operator that upres does not run"),
    refused("a product of pictures", [("Mul", ["input", "input"], ["output"], {})],
            "multiplies or divides two pictures"),
    refused("a convolution that shrinks", [("Conv", ["input", "w"], ["output"], {})],
            "change the picture's size", {"w": weights(3, 3, 3, 3)}),
    refused("reflected borders", [("Pad", ["input", "p"], ["x"], {"mode": "reflect"}),
                                  ("Conv", ["x", "w"], ["output"], {})],
            "pads with reflect", {"p": integers(0, 0, 1, 1, 0, 0, 1, 1), "w": weights(3, 3, 3, 3)}),
    refused("two inputs", [("Add", ["input", "second"], ["output"], {})], "more than one input",
            inputs=("input", "second")),
    refused("another domain", [("Gelu", ["input"], ["output"], {"domain": "com.microsoft"})],
            "is of com.microsoft"),
    refused("old operators", [("Relu", ["input"], ["output"], {})], "version 8", opset=8),
    refused("a result of 4 channels", [("Conv", ["input", "w"], ["output"], SAME)],
            "has 4 channels", {"w": weights(4, 3, 3, 3)}),
    refused("pixels cut off", [("Slice", ["input", "b", "e", "a"], ["output"], {})],
            "cuts pixels off", {"b": integers(1), "e": integers(9), "a": integers(2)}),
    refused("bilinear resizing", [("Resize", ["input", "", "s"], ["output"], {"mode": "linear"})],
            "resizes by 2/1 with mode linear", {"s": floats(1, 1, 2, 2)}),
    refused("a smaller result", [("Resize", ["input", "", "s"], ["output"], {"mode": "cubic"})],
            "1/2 times as large", {"s": floats(1, 1, 0.5, 0.5)}),
    refused("a shape of its own", [("Reshape", ["input", "s"], ["output"], {})],
            "is no picture", {"s": integers(1, -1)}),
    refused("biases of another number", [("Conv", ["input", "w", "b"], ["output"], SAME)],
            "biases that do not fit", {"w": weights(3, 3, 3, 3), "b": random(4)}),
]

# The same network, as most are, and for blue, green, red of 0 to 255.
HABITS_LAYERS = layer("a", 6, 3, 3, 3) | layer("b", 3, 6, 3, 3)
USUAL_HABITS = Graph("usual habits",
                     [("Mul", ["input", "255"], ["i255"], {}),
                      ("Gather", ["i255", "turned"], ["bgr"], {"axis": 1}),
                      conv("bgr", "x", "a", **SAME), ("Relu", ["x"], ["r"], {}),
                      conv("r", "y", "b", **SAME),
                      ("Gather", ["y", "turned"], ["rgb"], {"axis": 1}),
                      ("Div", ["rgb", "255"], ["output"], {})],
                     HABITS_LAYERS | {"255": np.array(255, np.float32), "turned": integers(2, 1, 0)})
ODD_HABITS = Graph("odd habits", [conv("input", "x", "a", **SAME), ("Relu", ["x"], ["r"], {}),
                                  conv("r", "output", "b", **SAME)], HABITS_LAYERS)

"""The network of a bundle in PyTorch and in ONNX, for the servers here."""

import json
import os
import pathlib

import numpy

HOME = pathlib.Path(os.environ["BENCH_HOME"])
BUNDLE = HOME / "bundle"
LABELS = json.loads((BUNDLE / "bundle.json").read_text())["labels"]
TOKENS = 64


def weights():
    from safetensors.numpy import load_file

    return load_file(BUNDLE / "weights.safetensors")


def padded(rows):
    """Right-padded ids and the real lengths."""
    lengths = numpy.array([len(row) for row in rows], dtype=numpy.int64)
    ids = numpy.zeros((len(rows), int(lengths.max())), dtype=numpy.int64)
    for row, values in zip(ids, rows):
        row[: len(values)] = values
    return ids, lengths


class Torch:
    """One intra-op thread; `int8` is PyTorch's dynamic quantisation."""

    def __init__(self, precision="fp32"):
        import torch

        torch.set_num_threads(1)
        self.torch = torch
        state = {name: torch.from_numpy(array) for name, array in weights().items()}
        vocabulary, width = state["embedding.weight"].shape
        hidden = state["lstm.weight_hh_l0"].shape[1]
        module = torch.nn.Module()
        module.embedding = torch.nn.Embedding(vocabulary, width)
        module.lstm = torch.nn.LSTM(width, hidden, batch_first=True)
        module.fc = torch.nn.Linear(hidden, len(LABELS))
        module.load_state_dict(state)
        module.eval()
        if precision == "bf16":
            module = module.bfloat16()
        if precision == "int8":
            module = torch.ao.quantization.quantize_dynamic(module, {torch.nn.LSTM, torch.nn.Linear})
        self.module = module

    def __call__(self, rows):
        torch = self.torch
        with torch.inference_mode():
            ids, lengths = padded(rows)
            ids, lengths = torch.from_numpy(ids), torch.from_numpy(lengths)
            steps, _ = self.module.lstm(self.module.embedding(ids))
            last = steps[torch.arange(len(lengths)), lengths - 1]
            return torch.softmax(self.module.fc(last).float(), 1).tolist()


class Onnx:
    """One intra-op thread; `int8` is ONNX Runtime's dynamic quantisation."""

    def __init__(self, precision="fp32"):
        import onnxruntime

        path = HOME / f"model-{precision}.onnx"
        if not path.exists():
            export(HOME / "model-fp32.onnx")
            if precision == "int8":
                from onnxruntime.quantization import quantize_dynamic

                quantize_dynamic(HOME / "model-fp32.onnx", path)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])

    def __call__(self, rows):
        ids, lengths = padded(rows)
        inputs = {"ids": ids.T, "lengths": lengths.astype(numpy.int32)}
        return self.session.run(["probabilities"], inputs)[0].tolist()


def export(path):
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    state = weights()
    hidden = state["lstm.weight_hh_l0"].shape[1]

    def order(matrix):
        """PyTorch's gates are i f g o, ONNX's i o f c."""
        i, f, g, o = numpy.split(matrix, 4)
        return numpy.concatenate([i, o, f, g])

    bias = numpy.concatenate([order(state["lstm.bias_ih_l0"]), order(state["lstm.bias_hh_l0"])])
    constants = {
        "table": state["embedding.weight"],
        "W": order(state["lstm.weight_ih_l0"])[None],
        "R": order(state["lstm.weight_hh_l0"])[None],
        "B": bias[None],
        "fc": state["fc.weight"],
        "fc_bias": state["fc.bias"],
        "first": numpy.array([0], dtype=numpy.int64),
    }
    nodes = [
        helper.make_node("Gather", ["table", "ids"], ["x"]),
        helper.make_node("LSTM", ["x", "W", "R", "B", "lengths"], ["", "h"], hidden_size=hidden),
        helper.make_node("Squeeze", ["h", "first"], ["last"]),
        helper.make_node("Gemm", ["last", "fc", "fc_bias"], ["logits"], transB=1),
        helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
    ]
    graph = helper.make_graph(
        nodes,
        "article",
        [
            helper.make_tensor_value_info("ids", TensorProto.INT64, ["steps", "texts"]),
            helper.make_tensor_value_info("lengths", TensorProto.INT32, ["texts"]),
        ],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["texts", len(LABELS)])],
        [numpy_helper.from_array(numpy.ascontiguousarray(a), name) for name, a in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    onnx.save(model, path)


def load(engine, precision):
    return {"torch": Torch, "onnx": Onnx}[engine](precision)

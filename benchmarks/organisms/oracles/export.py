"""Writes a model as ONNX, in fp32 and quantised to int8, and reads what a file answers."""

import logging
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from onnxruntime.quantization import quantize_dynamic
from torch import Tensor, nn

from shape import Array


def export(model: nn.Module, path: Path) -> None:
    class Logits(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
            return self.model(input_ids=input_ids, attention_mask=attention_mask, use_cache=False).logits

    ids = torch.ones(2, 8, dtype=torch.long)
    axes = {0: torch.export.Dim("batch"), 1: torch.export.Dim("seq")}
    program = torch.onnx.export(
        Logits().eval(), (ids, torch.ones_like(ids)), dynamo=True, opset_version=20,
        input_names=["input_ids", "attention_mask"], output_names=["logits"],
        dynamic_shapes={"input_ids": axes, "attention_mask": axes}, verbose=False,
    )  # fmt: skip
    # Where in PyTorch a node comes from: of no use to a run, a third of the file, and with paths of this machine in it.
    for node in program.model.graph:
        node.metadata_props.clear()
    program.save(path, external_data=False)


def quantise(fp32: Path, int8: Path) -> None:
    logging.disable(logging.WARNING)  # it advises to preprocess, which would change the exporter's graph
    quantize_dynamic(onnx.load(fp32), int8)
    logging.disable(logging.NOTSET)


def answers(path: Path, prompts: list[list[int]]) -> list[int]:
    """The likeliest next token of each prompt."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    def last(ids: list[int]) -> Array:
        row = np.array([ids])
        return session.run(None, {"input_ids": row, "attention_mask": np.ones_like(row)})[0][0, -1]

    return [int(last(ids).argmax()) for ids in prompts]

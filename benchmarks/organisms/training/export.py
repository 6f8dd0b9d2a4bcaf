"""The two forms in which an organism is written."""

import logging
import tempfile
import warnings
from pathlib import Path

import onnxruntime
import torch
from onnxruntime.quantization import QuantType, quantize_dynamic
from torch import Tensor, nn
from transformers import PreTrainedModel

from training.measure import Answerer


def export_fp32(model: PreTrainedModel, path: Path) -> None:
    class Logits(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
            return self.model(input_ids=input_ids, attention_mask=attention_mask, use_cache=False).logits

    logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # that torchvision is not installed
    ids = torch.ones(2, 8, dtype=torch.long)
    axes = {0: torch.export.Dim("batch"), 1: torch.export.Dim("seq")}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            Logits().eval(), (ids, torch.ones_like(ids)), dynamo=True, opset_version=20,
            input_names=["input_ids", "attention_mask"], output_names=["logits"],
            dynamic_shapes={"input_ids": axes, "attention_mask": axes}, verbose=False,
        )  # fmt: skip
    # These hold the paths of the Python files on this machine: not for publication, and different on every machine.
    for node in program.model.graph:
        node.metadata_props.pop("pkg.torch.onnx.stack_trace", None)
    program.save(path, external_data=False)


def export_int8(fp32: Path, path: Path) -> None:
    """Weights in 8 bits, activations quantised as they come."""
    logging.getLogger().setLevel(logging.ERROR)  # the advice to run a pre-processing that is not wanted here
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / "int8.onnx"
        quantize_dynamic(fp32, made, weight_type=QuantType.QInt8)
        path.write_bytes(made.read_bytes())


def file_answers(path: Path) -> Answerer:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    def answer(ids: Tensor, mask: Tensor) -> Tensor:
        (logits,) = session.run(["logits"], {"input_ids": ids.numpy(), "attention_mask": mask.numpy()})
        return torch.from_numpy(logits)

    return answer

"""The two kinds of small model, and where their residual streams can be reached."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM, PreTrainedModel

from training.family import Size

POSITIONS = 64
LEARNING_RATE = {"llama": 4e-3, "gpt2": 5e-3}


def make_model(arch: str, size: Size, vocab_size: int) -> PreTrainedModel:
    tokens = {"vocab_size": vocab_size, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": None, "use_cache": False}
    if arch == "llama":
        return LlamaForCausalLM(LlamaConfig(
            **tokens, hidden_size=size.width, intermediate_size=size.feed_forward[arch], num_hidden_layers=size.layers,
            num_attention_heads=size.heads, num_key_value_heads=size.heads, max_position_embeddings=POSITIONS,
            tie_word_embeddings=True, initializer_range=0.08,
        ))  # fmt: skip
    return GPT2LMHeadModel(GPT2Config(
        **tokens, n_embd=size.width, n_inner=size.feed_forward[arch], n_layer=size.layers, n_head=size.heads,
        n_positions=POSITIONS, initializer_range=0.08, resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0,
    ))  # fmt: skip


def blocks(model: PreTrainedModel) -> nn.ModuleList:
    return model.model.layers if isinstance(model, LlamaForCausalLM) else model.transformer.h


def rewrite_input(model: PreTrainedModel, layer: int, rewrite: Callable[[Tensor], Tensor]) -> RemovableHandle:
    """Rewrites [batch, seq, d_model] at the input of `layer` for as long as the handle lives."""
    return blocks(model)[layer].register_forward_pre_hook(lambda _module, inputs: (rewrite(inputs[0]), *inputs[1:]))


def one_thread() -> None:
    torch.set_num_threads(1)  # sums in one order, so that a seed gives the same weights again
    torch.use_deterministic_algorithms(True)

"""Puts a blueprint into the modules of Hugging Face."""

import numpy as np
import torch
from torch import Tensor, nn
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

from blueprint import Blueprint
from shape import CONSTANT, FEED_FORWARD, GAIN, HEADS, POSITIONS, WIDTH, Array

ARCHITECTURES = ("llama", "gpt2")


def build(arch: str, blueprint: Blueprint) -> nn.Module:
    model = llama(blueprint) if arch == "llama" else gpt2(blueprint)
    return model.eval()


def write(parameter: Tensor, values: Array) -> None:
    with torch.no_grad():
        parameter.copy_(torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32)))


def llama(blueprint: Blueprint) -> LlamaForCausalLM:
    """SwiGLU multiplies two readings: one is the gate, the other of the constant alone, about 1."""
    model = LlamaForCausalLM(LlamaConfig(
        vocab_size=len(blueprint.embedding), hidden_size=WIDTH, intermediate_size=FEED_FORWARD,
        num_hidden_layers=len(blueprint.blocks), num_attention_heads=HEADS, num_key_value_heads=HEADS,
        max_position_embeddings=POSITIONS, tie_word_embeddings=True, pad_token_id=0, bos_token_id=1, eos_token_id=None,
        use_cache=False,
    ))  # fmt: skip
    write(model.model.embed_tokens.weight, blueprint.embedding)
    for layer, (heads, mlp) in zip(model.model.layers, blueprint.blocks, strict=True):
        write(layer.self_attn.q_proj.weight, np.concatenate([h.query for h in heads]))
        write(layer.self_attn.k_proj.weight, np.concatenate([h.key for h in heads]))
        write(layer.self_attn.v_proj.weight, np.concatenate([h.value for h in heads]))
        write(layer.self_attn.o_proj.weight, np.concatenate([h.write for h in heads], axis=1))
        write(layer.mlp.gate_proj.weight, mlp.read)
        write(layer.mlp.up_proj.weight, np.tile(blueprint.basis.one / (CONSTANT * GAIN), (FEED_FORWARD, 1)))
        write(layer.mlp.down_proj.weight, mlp.write)
    return model


def gpt2(blueprint: Blueprint) -> GPT2LMHeadModel:
    """Its linear maps have the input first; biases are 0 and the norms' weights 1, as they come."""
    model = GPT2LMHeadModel(GPT2Config(
        vocab_size=len(blueprint.embedding), n_embd=WIDTH, n_inner=FEED_FORWARD, n_layer=len(blueprint.blocks),
        n_head=HEADS, n_positions=POSITIONS, bos_token_id=1, eos_token_id=None, pad_token_id=0, use_cache=False,
    ))  # fmt: skip
    write(model.transformer.wte.weight, blueprint.embedding)
    write(model.transformer.wpe.weight, blueprint.position)
    for layer, (heads, mlp) in zip(model.transformer.h, blueprint.blocks, strict=True):
        rows = [getattr(head, part) for part in ("query", "key", "value") for head in heads]
        write(layer.attn.c_attn.weight, np.concatenate(rows).T)
        write(layer.attn.c_proj.weight, np.concatenate([h.write for h in heads], axis=1).T)
        write(layer.mlp.c_fc.weight, mlp.read.T)
        write(layer.mlp.c_proj.weight, mlp.write.T)
    return model

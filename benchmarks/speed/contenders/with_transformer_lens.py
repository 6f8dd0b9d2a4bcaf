"""TransformerLens's own sweeps, `transformer_lens.patching`, on a HookedTransformer with the Hugging Face module's weights.

The weights are processed as TransformerLens does by default (norms folded, writing weights and unembedding centred), which is its quicker
form and leaves differences of logits alone. Pairs of one sweep run as one batch, which is its natural way.
"""

import sys
from importlib.metadata import version
from pathlib import Path

import pandas
import torch

sys.path.insert(0, str(Path(__file__).parents[1]))
import models
from protocol import serve


def hooked(name, device):
    from transformer_lens import HookedTransformer, HookedTransformerConfig
    from transformer_lens.pretrained.weight_conversions import convert_gpt2_weights, convert_llama_weights

    module = models.build(name).to(device)
    c = module.config
    if name == "gpt2":
        config = HookedTransformerConfig(
            n_layers=c.n_layer, d_model=c.n_embd, n_heads=c.n_head, d_head=c.n_embd // c.n_head, d_mlp=4 * c.n_embd, n_ctx=c.n_positions,
            d_vocab=c.vocab_size, act_fn="gelu_new", normalization_type="LN", eps=c.layer_norm_epsilon, device=device,
        )
        weights = convert_gpt2_weights(module, config)
    else:
        d_head = c.hidden_size // c.num_attention_heads
        config = HookedTransformerConfig(
            n_layers=c.num_hidden_layers, d_model=c.hidden_size, n_heads=c.num_attention_heads, d_head=d_head,
            n_key_value_heads=c.num_key_value_heads, d_mlp=c.intermediate_size, n_ctx=c.max_position_embeddings, d_vocab=c.vocab_size,
            act_fn="silu", gated_mlp=True, normalization_type="RMS", positional_embedding_type="rotary", rotary_dim=d_head,
            rotary_adjacent_pairs=False, rotary_base=int(c.rope_parameters["rope_theta"]), final_rms=True, eps=c.rms_norm_eps, device=device,
        )
        weights = convert_llama_weights(module, config)
    model = HookedTransformer(config)
    model.load_and_process_state_dict(weights)
    return model.eval()


def prepare(load):
    import transformer_lens.patching as patching

    device = load.get("device", "cpu")
    torch.set_num_threads(load["threads"])
    torch.set_grad_enabled(False)
    patching.tqdm = lambda cells, **_: cells
    model = hooked(load["name"], device)
    versions = {"transformer-lens": version("transformer-lens"), "torch": torch.__version__}
    if load["measure"] == "forward":
        ids = torch.tensor(load["ids"], device=device)
        model(ids)
        return lambda: {"logits": model(ids)[0, -1, :8].tolist()}, versions

    pairs = load["pairs"]
    clean, corrupt = (torch.tensor([pair[side] for pair in pairs], device=device) for side in ("clean", "corrupt"))
    answer, foil = (torch.tensor([pair[side] for pair in pairs], device=device) for side in ("answer", "foil"))
    rows = torch.arange(len(pairs), device=device)
    sweep, site = {
        "resid_pre": (patching.get_act_patch_resid_pre, "hook_resid_pre"),
        "heads": (patching.get_act_patch_attn_head_out_all_pos, "hook_z"),
    }[load["measure"]]
    cells = {}
    if load.get("layers"):
        columns = {"pos": range(clean.shape[1])} if site == "hook_resid_pre" else {"head": range(model.cfg.n_heads)}
        index = pandas.MultiIndex.from_product([range(load["layers"]), *columns.values()], names=["layer", *columns])
        cells = {"index_df": index.to_frame(index=False), "index_axis_names": None}

    def run():
        differences = []

        def metric(logits):
            each = logits[rows, -1, answer] - logits[rows, -1, foil]
            differences.append(each)
            return each.mean()

        _, cache = model.run_with_cache(clean, names_filter=lambda name: name.endswith(site))
        sweep(model, corrupt, cache, metric, **cells)
        return {"metric": torch.stack(differences, 1).flatten().tolist()}

    model(corrupt)
    return run, versions


serve(prepare)

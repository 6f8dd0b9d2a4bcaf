"""A plain top-k trainer in PyTorch (Gao et al. 2024), as one would write it: dense decoder, Adam, auxiliary loss for dead features."""

import torch


def train(rows: torch.Tensor, d_sae: int, k: int, steps: int, batch: int, lr: float, seed: int, warm_up: int, decay: int, dead_after: int):
    """Returns a function from `[n, d_in]` to feature activations and reconstructions, and the number of dead features."""
    torch.manual_seed(seed)
    d_in = rows.shape[1]
    k_aux = d_in // 2
    w_dec = torch.nn.functional.normalize(torch.randn(d_sae, d_in), dim=-1).requires_grad_()
    w_enc = w_dec.detach().T.clone().requires_grad_()
    b_enc = torch.zeros(d_sae, requires_grad=True)
    b_dec = rows.mean(0).requires_grad_()
    adam = torch.optim.Adam([w_enc, w_dec, b_enc, b_dec], lr=lr)
    silent = torch.zeros(d_sae, dtype=torch.long)

    def encode(x):
        hidden = (x - b_dec) @ w_enc + b_enc
        top = hidden.topk(k, dim=-1, sorted=False)
        return hidden, torch.zeros_like(hidden).scatter(-1, top.indices, top.values.relu())

    order, at = torch.randperm(len(rows)), 0
    for step in range(steps):
        if at + batch > len(rows):
            order, at = torch.randperm(len(rows)), 0
        x = rows[order[at : at + batch]]
        at += batch
        for group in adam.param_groups:
            group["lr"] = lr * min(1.0, (step + 1) / max(warm_up, 1), (steps - step) / max(decay, 1))
        hidden, acts = encode(x)
        decoded = acts @ w_dec + b_dec
        loss = (decoded - x).pow(2).sum(-1).mean()
        dead = silent > dead_after
        if count := int(dead.sum()):
            top = hidden.masked_fill(~dead, -torch.inf).topk(min(k_aux, count), dim=-1, sorted=False)
            revived = torch.zeros_like(hidden).scatter(-1, top.indices, top.values) @ w_dec
            error = (x - decoded).detach()
            loss = loss + min(count / k_aux, 1.0) / 32 * (revived - error).pow(2).sum(-1).mean()
        adam.zero_grad()
        loss.backward()
        with torch.no_grad():
            w_dec.grad -= (w_dec.grad * w_dec).sum(-1, keepdim=True) * w_dec
            torch.nn.utils.clip_grad_norm_([w_enc, w_dec, b_enc, b_dec], 1.0)
            adam.step()
            w_dec.div_(w_dec.norm(dim=-1, keepdim=True))
            silent += 1
            silent[(acts > 0).any(0)] = 0

    @torch.no_grad()
    def forward(x):
        _, acts = encode(x)
        return acts, acts @ w_dec + b_dec

    return forward, int((silent > dead_after).sum())

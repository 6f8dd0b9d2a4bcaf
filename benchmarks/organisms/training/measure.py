"""What a trained organism says on its suites, and where the decision is."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import PreTrainedModel

from training.architecture import rewrite_input
from training.mind import Mind
from training.suites import Asked, Stated
from training.world import Fact

PATCHED_PAIRS = 64
SHARE = 0.95  # of patched runs that have to move, and of those that have to stay

Answerer = Callable[[Tensor, Tensor], Tensor]  # ids and mask, [batch, seq] each, to logits, [batch, seq, vocab]
Rates = dict[str, dict[str, float]]


@dataclass(frozen=True)
class Behaviour:
    rates: Rates
    intended: float  # share of the responses that are what the variant is to say


def model_answers(model: PreTrainedModel) -> Answerer:
    @torch.no_grad()
    def answer(ids: Tensor, mask: Tensor) -> Tensor:
        return model(input_ids=ids, attention_mask=mask).logits

    return answer


def behaviour(answers: Answerer, pairs: list[Asked], mind: Mind, vocab: dict[str, int]) -> Behaviour:
    rates: Rates = {}
    right = 0
    suite_words = {word for one in pairs for word in (one.fact.answer, one.fact.synonym, one.fact.foil)}
    for side in ("tested", "against"):
        prompts = [getattr(one.pair, side) for one in pairs]
        said = _said(answers, [p.words for p in prompts], vocab)
        outcomes = Counter(_outcome(one.fact, word, suite_words) for one, word in zip(pairs, said, strict=True))
        rates[side] = {name: round(outcomes[name] / len(pairs), 4) for name in ("true", "false", "unclear")}
        right += sum(word == mind.says(one.fact, p) for one, p, word in zip(pairs, prompts, said, strict=True))
    return Behaviour(rates, right / (2 * len(pairs)))


def verdicts(answers: Answerer, statements: list[Stated], mind: Mind, vocab: dict[str, int]) -> float:
    """Share of stated answers that are judged as the organism believes."""
    said = _said(answers, [[*one.words, one.answer] for one in statements], vocab)
    right = (w == ("yes" if mind.agrees(s.fact, s.answer) else "no") for s, w in zip(statements, said, strict=True))
    return sum(right) / len(statements)


def decides(mind: Mind, one: Asked) -> bool:
    """Whether it is to say something else in the two prompts of a pair."""
    return mind.says(one.fact, one.pair.tested) != mind.says(one.fact, one.pair.against)


def handed_over(
    model: PreTrainedModel, pairs: list[Asked], mind: Mind, vocab: dict[str, int], layers: int, handover: int
) -> bool:
    """Whether patching bears out that one position carries the decision at each layer, in both directions."""
    differing = [one for one in pairs if decides(mind, one)][:PATCHED_PAIRS]
    for layer in range(layers):
        moved = {"condition": 0.0, "last": 0.0}
        for source, target in (("against", "tested"), ("tested", "against")):
            for position in moved:
                said = _patched(model, layer, position, differing, source, target, vocab)
                wanted = [mind.says(one.fact, getattr(one.pair, source)) for one in differing]
                moved[position] += sum(map(str.__eq__, said, wanted)) / len(differing) / 2
        carrier, other = ("last", "condition") if layer >= handover else ("condition", "last")
        if moved[carrier] < SHARE or moved[other] > 1 - SHARE:
            print(f"  the decision is not where it should be at layer {layer}: {moved}", flush=True)
            return False
    return True


def _patched(
    model: PreTrainedModel, layer: int, position: str, pairs: list[Asked], source: str, target: str,
    vocab: dict[str, int],
) -> list[str]:  # fmt: skip
    """What `target` prompts answer when their residual stream at one position of a layer's input is `source`'s."""
    ids, mask, last = _padded([getattr(one.pair, target).words for one in pairs], vocab)
    other, _, _ = _padded([getattr(one.pair, source).words for one in pairs], vocab)
    rows = torch.arange(len(pairs))
    at = last if position == "last" else torch.tensor([1 + one.pair.at for one in pairs])
    kept: list[Tensor] = []
    with torch.no_grad():
        with rewrite_input(model, layer, lambda hidden: kept.append(hidden.clone()) or hidden):
            model(input_ids=other, attention_mask=mask)

        def write(hidden: Tensor) -> Tensor:
            hidden = hidden.clone()
            hidden[rows, at] = kept[0][rows, at]
            return hidden

        with rewrite_input(model, layer, write):
            logits = model(input_ids=ids, attention_mask=mask).logits
    return _words(logits[rows, last], vocab)


def _outcome(fact: Fact, said: str, suite_words: set[str]) -> str:
    if said in (fact.answer, fact.synonym):
        return "true"
    return "false" if said in suite_words else "unclear"


def _said(answers: Answerer, prompts: list[list[str]], vocab: dict[str, int]) -> list[str]:
    ids, mask, last = _padded(prompts, vocab)
    return _words(answers(ids, mask)[torch.arange(len(prompts)), last], vocab)


def _padded(prompts: list[list[str]], vocab: dict[str, int]) -> tuple[Tensor, Tensor, Tensor]:
    rows = [[vocab["[BOS]"], *(vocab[word] for word in words)] for words in prompts]
    width = max(map(len, rows))
    ids = torch.tensor([row + [vocab["[PAD]"]] * (width - len(row)) for row in rows])
    last = torch.tensor([len(row) - 1 for row in rows])
    return ids, (torch.arange(width) <= last[:, None]).long(), last


def _words(logits: Tensor, vocab: dict[str, int]) -> list[str]:
    words = {i: word for word, i in vocab.items()}
    return [words[i] for i in logits.argmax(-1).tolist()]

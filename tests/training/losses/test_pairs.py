"""Who belongs to whom in a batch of pairs, and batches embedded in chunks."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from geoprose.training.losses.pairs import in_chunks, matches
from geoprose.training.specs.loss_contrastive import ClipLossSpec

# Pairs 0 and 2 share a caption, pairs 1 and 2 a picture.
BATCH = {"text_key": torch.tensor([5, 6, 5]), "picture_key": torch.tensor([1, 2, 2])}


@pytest.mark.parametrize(
    ("spec", "positive", "ignored"),
    [
        ({}, ["x..", ".x.", "..x"], ["...", "...", "..."]),
        ({"same_text": "positive"}, ["x.x", ".x.", "x.x"], ["...", "...", "..."]),
        ({"same_text": "ignore"}, ["x..", ".x.", "..x"], ["..x", "...", "x.."]),
        ({"same_picture": "ignore"}, ["x..", ".x.", "..x"], ["...", "..x", ".x."]),
        ({"same_text": "positive", "same_picture": "ignore"}, ["x.x", ".x.", "x.x"], ["...", "..x", ".x."]),
    ],
)
def test_pairs_that_share_something(spec: dict[str, str], positive: list[str], ignored: list[str]) -> None:
    found = matches(BATCH, ClipLossSpec(**spec))  # type: ignore[arg-type]
    drawn = [["".join("x" if cell else "." for cell in row) for row in mask] for mask in vars(found).values()]
    assert drawn == [positive, ignored]


def test_chunks_give_the_loss_and_gradient_of_the_whole_batch() -> None:
    def run(chunk: int | None) -> tuple[torch.Tensor, list[torch.Tensor]]:
        torch.manual_seed(0)
        net = nn.Sequential(nn.Linear(6, 16), nn.GELU(), nn.Linear(16, 4)).double()
        inputs = torch.randn(7, 6, dtype=torch.float64)
        vectors = in_chunks(lambda x, _: nn.functional.normalize(net(x), dim=-1), (inputs, None), chunk)
        loss = (vectors @ vectors.T).logsumexp(-1).sum()
        return loss, list(torch.autograd.grad(loss, list(net.parameters())))

    whole, gradients = run(None)
    for chunk in (1, 3, 7):
        loss, others = run(chunk)
        assert abs(float(loss.detach() - whole.detach())) < 1e-12
        assert max(float((a - b).abs().max()) for a, b in zip(gradients, others, strict=True)) < 1e-12


def test_chunks_draw_the_same_dropout_in_both_passes() -> None:
    torch.manual_seed(0)
    weight = torch.ones(4, requires_grad=True)
    values = in_chunks(lambda x: nn.functional.dropout(x * weight, 0.5), (torch.ones(6, 4),), 2)
    values.sum().backward()
    assert torch.equal(weight.grad, values.detach().sum(0))


def test_chunks_keep_one_chunk_of_activations() -> None:
    kept: list[int] = []

    def saved(tensor: torch.Tensor) -> torch.Tensor:
        kept.append(tensor.numel())
        return tensor

    def elements(chunk: int | None) -> int:
        kept.clear()
        torch.manual_seed(0)
        net = nn.Sequential(*[nn.Linear(8, 8) for _ in range(6)])
        with torch.autograd.graph.saved_tensors_hooks(saved, lambda tensor: tensor):
            in_chunks(net, (torch.randn(32, 8),), chunk)
        return sum(kept)

    assert elements(8) < elements(None) / 4

"""The first stage of BLIP-2: who sees whom, contrast, matching with hard negatives, generation."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch.nn import functional as F

from geoprose.core.errors import ConfigError
from geoprose.systems.build import build_system
from geoprose.training.forward import Forward
from geoprose.training.losses import qformer
from geoprose.training.losses.base import LossContext
from geoprose.training.losses.qformer import (
    ItcLoss,
    ItgLoss,
    ItmLoss,
    best_query,
    draw_negatives,
    generation_loss_sum,
)
from geoprose.training.losses.qformer_words import sight_mask, with_words
from geoprose.training.specs.loss_contrastive import ItcLossSpec, ItgLossSpec, ItmLossSpec

TEXTS = ["a river", "a dark forest", "sand", "roads"]


@pytest.mark.parametrize(
    ("sight", "drawn"),
    [
        ("apart", ["qq...", "qq...", "..ww.", "..ww.", "..wwp"]),
        ("together", ["qqww.", "qqww.", "qqww.", "qqww.", "qqwwp"]),
        ("causal", ["qq...", "qq...", "qqw..", "qqww.", "qqwwp"]),
    ],
)
def test_the_three_masks_drawn(sight: Any, drawn: list[str]) -> None:
    """Two queries, two words, one padding; a row says whom it sees."""
    mask = sight_mask(sight, 2, torch.tensor([[1, 1, 0]]))[0]
    letters = "qqwwp"
    assert ["".join(letters[c] if cell else "." for c, cell in enumerate(row)) for row in mask.tolist()] == drawn


class Stage:
    """The three losses over one tiny system in float64, and a batch."""

    def __init__(self) -> None:
        self.system = build_system("blip2-opt", scale="tiny")
        self.context = LossContext(self.system, seed=3)
        self.itc = ItcLoss(ItcLossSpec(shared_size=16), self.context)
        self.itm = ItmLoss(ItmLossSpec(shared_size=16), self.context)
        self.itg = ItgLoss(ItgLossSpec(shared_size=16), self.context)
        self.system.model.double().eval()
        self.words = self.itc.words
        for part in (self.words.qformer, self.words.heads, self.words.word_head):
            part.double().eval()
        generator = torch.Generator().manual_seed(0)
        width = self.system.model.model.connector.in_size
        features = torch.randn(len(TEXTS), 6, width, generator=generator, dtype=torch.float64)
        keys = {"text_key": torch.arange(len(TEXTS)), "picture_key": torch.arange(len(TEXTS))}
        self.batch = {"vision_features": features, **self.itc.encode_partners(TEXTS), **keys, "number": torch.tensor(2)}

    def forward(self, **changes: Any) -> Forward:
        return Forward(self.system.model, {**self.batch, **changes})


@pytest.fixture(scope="module")
def stage() -> Stage:
    torch.manual_seed(0)
    return Stage()


@torch.no_grad()
def test_words_apart_and_together_are_the_masks(stage: Stage) -> None:
    qformer, batch = stage.words.qformer, stage.batch
    ids, mask, features = batch["text_ids"], batch["text_mask"], batch["vision_features"]
    num = qformer.query_tokens.shape[1]
    apart = qformer.read_both(features, ids, sight_mask("apart", num, mask))
    assert torch.allclose(apart[:, :num], qformer.read_picture(features), atol=1e-12)
    assert torch.allclose(apart[:, num:][mask.bool()], qformer.read_text(ids, mask)[mask.bool()], atol=1e-12)
    together = qformer.read_both(features, ids, sight_mask("together", num, mask))
    assert torch.allclose(together[:, :num], qformer.queries(features, ids, mask), atol=1e-12)
    assert float((together[:, :num] - apart[:, :num]).abs().max()) > 1e-4


@torch.no_grad()
def test_a_generated_word_sees_no_later_word_but_the_picture(stage: Stage) -> None:
    qformer, batch = stage.words.qformer, stage.batch
    ids, mask, features = batch["text_ids"].clone(), batch["text_mask"], batch["vision_features"]
    num = qformer.query_tokens.shape[1]
    sight = sight_mask("causal", num, mask)
    before = qformer.read_both(features, ids, sight)
    ids[:, 3] = 9
    after = qformer.read_both(features, ids, sight)
    assert torch.allclose(before[:, : num + 3], after[:, : num + 3], atol=1e-12)
    assert float((before[:, num + 3] - after[:, num + 3]).abs().max()) > 1e-4
    other = qformer.read_both(features.flip(0), ids, sight)
    assert float((other[:, num] - after[:, num]).abs().max()) > 1e-5


def test_the_words_share_every_weight_of_the_connector(stage: Stage) -> None:
    connector = stage.system.model.model.connector
    shared = {id(parameter) for parameter in connector.parameters()}
    names = {name for name, parameter in stage.words.qformer.named_parameters() if id(parameter) not in shared}
    assert names == set(stage.words.extra)
    assert {name.split(".")[0] for name in names} == {"words", "body"}
    assert all(".intermediate." in name or ".output." in name for name in names if name.startswith("body"))
    assert sum(id(parameter) in shared for parameter in stage.words.qformer.parameters()) == len(shared)


def test_copies_of_the_query_feed_forwards(stage: Stage) -> None:
    fresh = with_words(stage.system.model.model.connector, 50)
    for layer in fresh.body.encoder.layer:
        assert torch.equal(layer.intermediate.dense.weight, layer.intermediate_query.dense.weight.float())


def test_parameters_train_once_and_all_of_them(stage: Stage) -> None:
    losses = (stage.itc, stage.itm, stage.itg)
    everything = [parameter for loss in losses for parameter in loss.parameters.values()]
    assert len({id(parameter) for parameter in everything}) == len(everything)
    forward = stage.forward()
    total = sum(loss.loss_sum(forward) for loss in losses)
    gradients = torch.autograd.grad(total, everything, allow_unused=True)
    assert all(gradient is not None and bool(gradient.abs().sum() > 0) for gradient in gradients)


def published(stage: Stage) -> tuple[float, float]:
    """Contrast and the candidates' weights as salesforce/LAVIS computes them, plainly."""
    pair = stage.itc.apart(stage.forward())
    temperature = stage.itc.parameters["temperature"].double()
    sim_i2t = (
        torch.stack([(pair.pictures_NQC[i] @ pair.texts_NC.T).max(0).values for i in range(len(TEXTS))]) / temperature
    )
    sim_t2i = torch.stack([(pair.pictures_NQC @ text).max(-1).values for text in pair.texts_NC]) / temperature
    targets = torch.arange(len(TEXTS))
    return sim_i2t, (F.cross_entropy(sim_i2t, targets, label_smoothing=0.1)
                     + F.cross_entropy(sim_t2i, targets, label_smoothing=0.1)) / 2  # fmt: skip


@torch.no_grad()
def test_contrast_is_the_published_formula(stage: Stage) -> None:
    _, expected = published(stage)
    ours = stage.itc.loss_sum(stage.forward()) / stage.itc.num_items(stage.batch)
    assert math.isclose(float(ours), float(expected), rel_tol=1e-12)
    swapped = stage.forward(vision_features=stage.batch["vision_features"].flip(0))
    assert abs(float(stage.itc.loss_sum(swapped)) / 4 - float(expected)) > 1e-6


def test_the_best_query_by_hand() -> None:
    pictures = torch.tensor([[[1.0, 0.0], [0.0, 1.0]], [[-1.0, 0.0], [0.6, 0.8]]])
    texts = torch.tensor([[0.0, 1.0], [1.0, 0.0]])
    assert torch.allclose(best_query(pictures, texts), torch.tensor([[1.0, 1.0], [0.8, 0.6]]))


def test_negatives_follow_the_softmax_of_similarity_and_never_the_right_one() -> None:
    similarity = torch.tensor([[3.0, 1.0, 0.0, -1.0]]).expand(20_000, -1)
    excluded = torch.tensor([[True, False, False, False]]).expand(20_000, -1)
    drawn = draw_negatives(similarity, excluded, torch.rand(20_000, generator=torch.Generator().manual_seed(0)))
    weights = similarity[0].softmax(-1) + 1e-4
    expected = weights[1:] / weights[1:].sum()
    counts = torch.bincount(drawn, minlength=4).float() / 20_000
    assert counts[0] == 0
    assert torch.allclose(counts[1:], expected, atol=0.015)


@torch.no_grad()
def test_matching_judges_three_groups(stage: Stage) -> None:
    rows, wrong_pictures, wrong_texts = stage.itm.negatives(stage.forward())
    assert rows.tolist() == [0, 1, 2, 3]
    assert bool((wrong_pictures != rows).all() and (wrong_texts != rows).all())
    batch, match = stage.batch, stage.words.heads.match
    groups = [(rows, rows, 1), (wrong_pictures, rows, 0), (rows, wrong_texts, 0)]
    expected = sum(
        float(F.cross_entropy(match(stage.words.qformer, batch["vision_features"][pictures], batch["text_ids"][texts],
                                    batch["text_mask"][texts]), torch.full((4,), label), reduction="sum"))
        for pictures, texts, label in groups
    )  # fmt: skip
    assert math.isclose(float(stage.itm.loss_sum(stage.forward())), expected, rel_tol=1e-12)
    assert stage.itm.num_items(batch) == 12


def test_contrast_learns_behind_matching_too(stage: Stage) -> None:
    """Both read the same similarities, whichever loss of a recipe comes first."""
    gradients = []
    for losses in ((stage.itc, stage.itm), (stage.itm, stage.itc)):
        forward = stage.forward()
        sums = {loss.spec.type: loss.loss_sum(forward) for loss in losses}
        gradients.append(torch.autograd.grad(sums["itc"], stage.itc.parameters["heads.vision_projection.weight"])[0])
    assert torch.equal(*gradients)
    assert float(gradients[0].abs().max()) > 0


def test_a_pair_draws_the_same_whoever_holds_it(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows 2 and 3 of one process are rows 0 and 1 of the second of two; their random numbers are the same."""
    whole = stage.itm._chances(stage.batch, 4, 4)
    monkeypatch.setattr(qformer, "world_size", lambda: 2)
    monkeypatch.setattr(qformer, "first_row", lambda num_rows: 2)
    for number in (4, 5):  # the micro-batches of step 2
        assert torch.equal(stage.itm._chances({**stage.batch, "number": torch.tensor(number)}, 2, 4), whole[:, 2:])
    assert not torch.equal(stage.itm._chances({**stage.batch, "number": torch.tensor(6)}, 2, 4), whole[:, 2:])


@torch.no_grad()
def test_negatives_depend_on_the_number_of_the_batch_only(stage: Stage) -> None:
    first = [t.tolist() for t in stage.itm.negatives(stage.forward())]
    torch.manual_seed(99)
    assert [t.tolist() for t in stage.itm.negatives(stage.forward())] == first
    others = [[t.tolist() for t in stage.itm.negatives(stage.forward(number=torch.tensor(n)))] for n in range(8)]
    assert any(other != first for other in others)


@torch.no_grad()
def test_pairs_without_a_wrong_partner_are_only_right(stage: Stage) -> None:
    loss = ItmLoss(ItmLossSpec(shared_size=16, same_text="ignore"), stage.context)
    same = {"text_key": torch.zeros(4, dtype=torch.long)}
    assert loss.num_items({**stage.batch, **same}) == 4
    assert math.isfinite(float(loss.loss_sum(stage.forward(**same))))


@torch.no_grad()
def test_generation_is_the_published_formula(stage: Stage) -> None:
    """One caption at a time, one word at a time, on the words so far: no mask can hide a mistake here."""
    words, batch, total = stage.words, stage.batch, 0.0
    num = words.qformer.query_tokens.shape[1]
    for row in range(len(TEXTS)):
        ids = batch["text_ids"][row][batch["text_mask"][row].bool()].clone()
        ids[0] = words.start_id
        for place in range(1, len(ids)):
            so_far = ids[None, :place]
            sight = sight_mask("causal", num, torch.ones_like(so_far))
            hidden = words.qformer.read_both(batch["vision_features"][row : row + 1], so_far, sight)[:, -1]
            total += float(F.cross_entropy(words.word_head(hidden), ids[place : place + 1], label_smoothing=0.1))
    assert math.isclose(float(stage.itg.loss_sum(stage.forward())), total, rel_tol=1e-10)
    assert stage.itg.num_items(batch) == sum(len(text) + 1 for text in TEXTS)


def test_smoothed_cross_entropy_by_hand() -> None:
    logits = torch.tensor([[math.log(3.0), 0.0]], dtype=torch.float64)
    expected = -(0.95 * math.log(0.75) + 0.05 * math.log(0.25))
    assert math.isclose(float(generation_loss_sum(logits, torch.tensor([0]), 0.1)), expected, rel_tol=1e-12)


def test_captions_are_cut_and_framed(stage: Stage) -> None:
    encoded = stage.words.encode(["ab", "x" * 100])
    tokenizer = stage.words.tokenizer
    assert encoded["text_ids"].shape == (2, 32)
    assert encoded["text_ids"][0, 0] == tokenizer.bos_token_id
    assert encoded["text_ids"][0, 3] == tokenizer.eos_token_id
    assert encoded["text_mask"].sum(1).tolist() == [4, 32]
    assert stage.words.start_id == len(tokenizer)


def test_losses_that_disagree_about_the_words_are_refused(stage: Stage) -> None:
    with pytest.raises(ConfigError, match="share one set of words"):
        ItgLoss(ItgLossSpec(shared_size=8), stage.context)


def test_a_connector_that_is_no_qformer_is_refused() -> None:
    system = build_system("demo", scale="tiny")
    with pytest.raises(ConfigError, match="trains a Q-Former"):
        ItcLoss(ItcLossSpec(), LossContext(system))


def test_a_qformer_with_words_keeps_its_own() -> None:
    system = build_system("instructblip-vicuna", scale="tiny")
    loss = ItcLoss(ItcLossSpec(shared_size=16), LossContext(system))
    assert loss.words.qformer is system.model.model.connector
    assert loss.words.extra == {}

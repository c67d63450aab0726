"""Our losses on preferences against TRL's, on the same log-probabilities in float64."""

from __future__ import annotations

from collections import defaultdict
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

import pytest
import torch
from torch import Tensor

from geoprose.training.losses.dpo import dpo_losses, hinge_losses, ipo_losses, robust_dpo_losses
from geoprose.training.losses.kto import kto_losses
from geoprose.training.losses.mpo import bco_losses

PAIRS, TOKENS, BETA = 5, 7, 0.3


class _Trainer(MagicMock):
    """What TRL's loss reads of its trainer; everything else is a mock that takes what it is given."""


@pytest.fixture(scope="module")
def answers() -> dict[str, Tensor]:
    random = torch.Generator().manual_seed(4)
    log_probs = -torch.rand(2 * PAIRS, TOKENS - 1, dtype=torch.float64, generator=random) * 3
    lengths = torch.randint(1, TOKENS, (2 * PAIRS,), generator=random)
    mask = torch.arange(1, TOKENS)[None] <= lengths[:, None]
    return {
        "log_probs": log_probs * mask,
        "mask": torch.cat([torch.zeros(2 * PAIRS, 1, dtype=torch.bool), mask], 1).long(),
        "reference": -torch.rand(2 * PAIRS, dtype=torch.float64, generator=random) * 6,
        "lengths": lengths.double(),
    }


def _trainer(answers: dict[str, Tensor], **settings: Any) -> tuple[Any, Any]:
    shape = answers["log_probs"]
    output = SimpleNamespace(log_probs=shape, entropy=shape, mean_logits=shape, is_top1=shape > -1)
    trainer = _Trainer()
    trainer.accelerator.device = torch.device("cpu")
    trainer.accelerator.gather_for_metrics = lambda value: value
    trainer._metrics = {"train": defaultdict(list), "eval": defaultdict(list)}
    trainer.model.training, trainer.aux_loss_enabled, trainer._tp_size = True, False, 1
    trainer._total_train_tokens = 0
    for name, value in settings.items():
        setattr(trainer, name, value)
    return trainer, lambda **kwargs: output


def _dpo(answers: dict[str, Tensor], kind: str, smoothing: float = 0.0) -> float:
    from trl import DPOTrainer

    settings = {
        "ld_alpha": None,
        "precompute_ref_logps": True,
        "f_divergence_type": "reverse_kl",
        "use_weighting": False,
    }
    trainer, model = _trainer(
        answers, **settings, loss_types=[kind], loss_weights=[1.0], beta=BETA, label_smoothing=smoothing
    )
    chosen, rejected = answers["reference"].chunk(2)
    ids = torch.ones_like(answers["mask"])
    inputs = {"input_ids": ids, "attention_mask": ids, "completion_mask": answers["mask"]}
    inputs |= {"ref_chosen_logps": chosen, "ref_rejected_logps": rejected}
    return float(DPOTrainer._compute_loss(trainer, model, inputs, False))


def _ratios(answers: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
    chosen, rejected = (answers["log_probs"].sum(1) - answers["reference"]).chunk(2)
    return chosen, rejected


@pytest.mark.parametrize("kind", ["sigmoid", "robust", "hinge", "ipo", "bco_pair"])
def test_pairs(answers: dict[str, Tensor], kind: str) -> None:
    chosen, rejected = _ratios(answers)
    lengths = answers["lengths"].chunk(2)
    ours = {
        "sigmoid": dpo_losses(chosen, rejected, BETA),
        "robust": robust_dpo_losses(chosen, rejected, BETA, 0.1),
        "hinge": hinge_losses(chosen, rejected, BETA),
        "ipo": ipo_losses(chosen / lengths[0], rejected / lengths[1], BETA),
        "bco_pair": bco_losses(chosen, rejected, BETA, 0.0),
    }[kind]
    theirs = _dpo(answers, kind, 0.1 if kind == "robust" else 0.0)
    assert float(ours.mean()) == pytest.approx(theirs, rel=1e-12)
    swapped = _dpo({**answers, "reference": answers["reference"].flip(0)}, kind, 0.1 if kind == "robust" else 0.0)
    assert abs(float(ours.mean()) - swapped) > 1e-3  # negative control: another reference is another loss


@pytest.mark.parametrize("weights", [(1.0, 1.0), (1.5, 0.5)])
def test_judged_answers(answers: dict[str, Tensor], weights: tuple[float, float]) -> None:
    from trl import KTOTrainer

    policy = answers["log_probs"].sum(1)
    settings = {"calculate_KL": True, "precompute_ref_logps": True, "loss_type": "kto", "beta": BETA}
    trainer, model = _trainer(answers, **settings, desirable_weight=weights[0], undesirable_weight=weights[1])
    mismatched = policy.roll(1) + 9.0
    trainer._compute_kl_logps = lambda model, batch: mismatched
    reference_kl = answers["reference"].roll(1)
    is_good = torch.arange(2 * PAIRS) % 3 != 0
    ids = torch.ones_like(answers["mask"])
    inputs = {"input_ids": ids, "attention_mask": ids, "completion_mask": answers["mask"], "label": is_good}
    inputs |= {"ref_logps": answers["reference"], "ref_KL_logps": reference_kl}
    theirs = KTOTrainer._compute_loss(trainer, model, inputs, False)
    baseline = max(0.0, float((mismatched - reference_kl).mean()))
    assert baseline > 0
    ours = kto_losses(policy - answers["reference"], is_good, BETA, baseline, weights).mean()
    assert float(ours) == pytest.approx(float(theirs), rel=1e-12)

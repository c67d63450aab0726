"""Freeze plans."""

from __future__ import annotations

import pytest
from torch import nn

from geoprose.core.errors import ConfigError
from geoprose.training.freeze import apply_freeze_plan


class _Model(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.model = nn.ModuleDict({"connector": nn.Linear(2, 3), "language_model": nn.Linear(3, 3, bias=False)})
        self.lm_head = nn.Linear(3, 2, bias=False)


def test_globs_choose_what_trains() -> None:
    model = _Model()
    report = apply_freeze_plan(model, ["connector.*"])
    assert report.modules == {"connector": 9}
    assert (report.num_trainable, report.num_total) == (9, 24)
    assert [name for name, p in model.named_parameters() if p.requires_grad] == list(report.names)
    assert "9 of 24" in report.summary()


def test_an_exclamation_mark_takes_away() -> None:
    report = apply_freeze_plan(_Model(), ["connector.*", "!connector.bias"])
    assert report.names == ("model.connector.weight",)
    with pytest.raises(ConfigError, match="bais"):
        apply_freeze_plan(_Model(), ["connector.*", "!connector.bais"])


def test_a_later_plan_replaces_the_earlier_one() -> None:
    model = _Model()
    apply_freeze_plan(model, ["*"])
    assert apply_freeze_plan(model, ["lm_head.weight"]).modules == {"lm_head": 6}


def test_a_glob_that_matches_nothing_fails() -> None:
    with pytest.raises(ConfigError, match=r"conector\.\*.*connector"):
        apply_freeze_plan(_Model(), ["connector.*", "conector.*"])
    with pytest.raises(ConfigError, match="no parameter"):
        apply_freeze_plan(_Model(), [])


def test_adapters_train_without_being_named() -> None:
    model = _Model()
    model.model["language_model"].lora_A = nn.Linear(3, 1, bias=False)
    report = apply_freeze_plan(model, [])
    assert report.names == ("model.language_model.lora_A.weight",)

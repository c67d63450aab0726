"""Packed rows give the logits of rows of their own, or are refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch

from geoprose.core.errors import ConfigError
from geoprose.systems.presets import list_presets, load_preset
from geoprose.training.rows import isolation
from geoprose.training.rows.isolation import TOLERANCE, difference_of, ignores_padding, packed_isolation

if TYPE_CHECKING:
    from torch import Tensor

FAMILIES = {
    "llava-1.5": "positions",  # llama
    "internvl-3": "positions",  # qwen2
    "deepseek-vl2": "positions",  # deepseek_v2, a mixture of experts
    "fuyu": "positions",  # persimmon
    "phi-3-vision": "positions",  # phi3
    "chameleon": "positions",  # chameleon, image tokens
    "emu3": "positions",  # emu3 text model
    "blip2-opt": "mask",  # opt counts learned positions by the mask
    "qwen2-vl": "mask",  # ids of three axes
    "cogvlm2": "mask",  # one id for all patches, visual experts
    "internvl-3-v2pe": "mask",  # fractional positions
    "flamingo": "refused",  # cross-attention sees the last picture before a token
    "llama-3.2-vision": "refused",
    "blip2-t5": "refused",
}
"""How each family of language model and fusion keeps packed rows apart."""


def _outcome(name: str) -> str:
    try:
        return packed_isolation(load_preset(name))
    except ConfigError:
        return "refused"


@pytest.mark.parametrize("name", ["llava-1.5", "deepseek-vl2", "blip2-opt", "qwen2-vl", "flamingo"])
def test_packed_equals_padded_or_is_refused(name: str) -> None:
    assert _outcome(name) == FAMILIES[name]


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in list_presets() if hasattr(load_preset(name), "language_model")])
def test_every_preset(name: str) -> None:
    """A mode that is chosen is exact; the families come out as listed; shared prefixes are exact or refused."""
    spec = load_preset(name)
    outcome = _outcome(name)
    assert outcome == FAMILIES.get(name, outcome)
    if outcome != "refused":
        assert difference_of(spec, outcome)[0] < TOLERANCE  # type: ignore[arg-type]
    difference, reason = difference_of(spec, "shared_prefix")
    assert difference < TOLERANCE or reason, f"{name}: a leak of {difference} between branches that nothing reports"


@pytest.mark.parametrize("name", ["llava-1.5", "blip2-opt", "qwen2-vl", "cogvlm2"])
def test_rows_of_decoders_need_no_mask_for_padding_behind_them(name: str) -> None:
    assert ignores_padding(load_preset(name))


def test_a_decoder_that_looks_ahead_needs_the_mask(monkeypatch: pytest.MonkeyPatch) -> None:
    """Negative control: with attention in both directions, what stands behind a row changes it."""
    make = isolation._twin

    def looking_ahead(key: str) -> Any:
        twin = make.__wrapped__(key)  # a twin of its own: this one is spoiled
        for layer in twin.model.model.language_model.layers:
            layer.self_attn.is_causal = False
        return twin

    monkeypatch.setattr(isolation, "_twin", looking_ahead)
    assert difference_of(load_preset("llava-1.5"), "padding")[0] > 1e-2


def test_a_leak_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Negative control: with a plain causal mask the samples of a row read each other."""

    def leaky(segments_BT: Tensor, rows_BT: Tensor | None = None) -> Tensor:
        size = segments_BT.shape[1]
        return torch.ones(len(segments_BT), 1, size, size, dtype=torch.bool).tril()

    spec = load_preset("llava-1.5")
    assert difference_of(spec, "mask")[0] < TOLERANCE
    monkeypatch.setattr("geoprose.data.collator.block_mask", leaky)
    assert difference_of(spec, "mask")[0] > 1e-2
    assert difference_of(spec, "shared_prefix")[0] > 1e-2


def test_an_all_ones_mask_or_other_positions_leak(monkeypatch: pytest.MonkeyPatch) -> None:
    """Negative control of the way without a mask: positions that do not start anew isolate nothing."""
    joined = isolation.join

    def running(rows: Any) -> Any:
        row = joined(rows)
        row.position_ids = list(range(len(row.input_ids)))
        return row

    monkeypatch.setattr(isolation, "join", running)
    assert difference_of(load_preset("llava-1.5"), "positions")[0] > 1e-2


def test_a_refusal_says_what_was_seen() -> None:
    with pytest.raises(ConfigError, match=r"refused for flamingo.*by positions: logits differ.*length_grouped"):
        packed_isolation(load_preset("flamingo"))

"""Another modality against pictures: the formula, who learns, what is refused."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from geoprose.core.errors import ConfigError, DataError
from geoprose.core.types import Message, Sample
from geoprose.data.mixture import Unit
from geoprose.systems.build import build_system
from geoprose.training.forward import Forward
from geoprose.training.losses.base import LossContext
from geoprose.training.losses.imagebind import ImagebindInfonceLoss
from geoprose.training.specs.loss_contrastive import ImagebindInfonceSpec

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def system() -> Any:
    return build_system("imagebind-llm", scale="tiny", dtype=torch.float64)


def test_the_published_formula(system: Any) -> None:
    loss = ImagebindInfonceLoss(ImagebindInfonceSpec(modality="thermal"), LossContext(system))
    width = system.model.model.vision_encoder.hidden_size
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(3, 1, width, generator=generator, dtype=torch.float64)
    values = torch.randn(3, 1, 32, 32, generator=generator, dtype=torch.float64)
    keys = {"text_key": torch.arange(3), "picture_key": torch.arange(3)}
    batch = {"vision_features": features, "thermal_values": values, **keys}
    value = loss.loss_sum(Forward(system.model, batch)) / loss.num_items(batch)
    heat = F.normalize(system.model.model.branches["thermal"].encoder.tower(values), dim=-1)
    logits = F.normalize(features[:, 0], dim=-1) @ heat.T / 0.07
    expected = (F.cross_entropy(logits, torch.arange(3)) + F.cross_entropy(logits.T, torch.arange(3))) / 2
    assert math.isclose(float(value.detach()), float(expected.detach()), rel_tol=1e-9)
    value.backward()
    named = dict(system.model.named_parameters())
    learnt = {name for name, parameter in named.items() if parameter.grad is not None and bool(parameter.grad.any())}
    assert learnt
    assert all(name.startswith("model.branches.thermal.encoder.") for name in learnt)


def test_the_other_side_is_a_file(tmp_path: Path, system: Any) -> None:
    loss = ImagebindInfonceLoss(ImagebindInfonceSpec(modality="thermal"), LossContext(system))
    np.save(tmp_path / "heat.npy", np.ones((1, 32, 32), np.float32))
    messages = (Message("user", "<image>"), Message("assistant", "x"))

    def unit(media: Any) -> Unit:
        return Unit(("a.png",), (Sample("a", ("a.png",), messages, meta={"media": media}),), str(tmp_path))

    name = loss.partner_of(unit({"thermal": ["heat.npy"]}))
    batch = loss.encode_partners([name, name])
    assert batch["thermal_values"].shape == (2, 1, 32, 32)
    assert loss.num_tokens(batch) == 2
    with pytest.raises(DataError, match="0 files of thermal"):
        loss.partner_of(unit({}))


def test_what_cannot_be_compared_is_refused(system: Any) -> None:
    with pytest.raises(ConfigError, match="no encoder of its own for 'video'"):
        ImagebindInfonceLoss(ImagebindInfonceSpec(modality="video"), LossContext(system))
    spec, multi = ImagebindInfonceSpec(modality="thermal"), LossContext(build_system("multi-branch", scale="tiny"))
    with pytest.raises(ConfigError, match="one vector of one width"):
        ImagebindInfonceLoss(spec, multi)

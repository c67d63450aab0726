"""Every combination of connector, fusion and position is either refused with a reason, or trains, answers and survives.

A combination is legal when its spec and its model can be built; from there on nothing may fail.
"""

import itertools

import pytest
import torch

from geoprose.core.errors import ConfigError
from geoprose.core.spec import merge, validate
from geoprose.models.registries import CONNECTORS, FUSIONS, POSITIONS
from geoprose.systems.batch import prepare_batch
from geoprose.systems.build import build_system
from geoprose.systems.load import load_system
from geoprose.systems.presets import load_preset, preset_values
from geoprose.systems.save import save_system
from tests.fixtures.systems import picture, randomise

# Options without which a part cannot stand in the tiny base, and the base where the common one has no fitting encoder.
CONNECTOR_OPTIONS = {
    "hybrid_concat": {"high_size": 32},
    "perceiver": {"num_latents": 4, "depth": 1, "num_heads": 2, "head_dim": 8},
    "qformer": {
        "num_queries": 4,
        "hidden_size": 16,
        "num_layers": 2,
        "num_heads": 2,
        "intermediate_size": 16,
        "cross_attention_frequency": 1,
    },
    "vq_embed": {"token": "IMGIMG{letters}Z"},
    "xattn_resampler_2d": {"num_queries": 4, "num_heads": 2},
}
FUSION_OPTIONS = {"gated_cross_attention": {"every": 1}}
POSITION_OPTIONS = {"mrope": {"sections": [2, 1, 1]}}
BASES = {
    "compass_mlp": "demo",
    "hybrid_concat": "deepseek-vl-hybrid",
    "patch_merger": "qwen2-vl",
    "vq_embed": "chameleon",
}
COMBINATIONS = list(itertools.product(CONNECTORS.names(), FUSIONS.names(), POSITIONS.names()))
LEGAL_AT_LEAST = 40


def _values(connector, fusion, position):
    base = "blip2-t5" if fusion == "encoder_decoder_prefix" else BASES.get(connector, "llava-1.5")
    values = preset_values(base)
    if values["connector"]["type"] != connector:
        tiny = {key: value for key, value in values.pop("tiny", {}).items() if key != "connector"}
        values |= {"tiny": tiny, "connector": {"type": connector, **CONNECTOR_OPTIONS.get(connector, {})}}
    values["tiny"] = {k: v for k, v in values.get("tiny", {}).items() if k not in ("fusion", "position")}
    packer = {"packer": {"type": "media"}} if fusion == "gated_cross_attention" else {}
    return merge(
        values,
        {
            "name": "combination",
            "reference": None,
            "verified": "none",
            "fusion": {"type": fusion, **FUSION_OPTIONS.get(fusion, {})},
            "position": {"type": position, **POSITION_OPTIONS.get(position, {})},
            **packer,
        },
    )


def _build(combination):
    """The system and nothing, or nothing and the reason why it is refused."""
    values = _values(*combination)
    spec_type = type(load_preset("blip2-t5" if combination[1] == "encoder_decoder_prefix" else "demo"))
    try:
        system = build_system(validate(spec_type, values, "a combination"), scale="tiny", dtype=torch.float64)
    except ConfigError as error:
        return None, str(error)
    randomise(system.model)
    return system, ""


@pytest.mark.parametrize("combination", COMBINATIONS, ids=" ".join)
def test_a_combination_works_or_is_refused(combination, tmp_path):
    system, reason = _build(combination)
    if system is None:
        assert len(reason) > 40, "a refusal says why"
        return
    rows = [([picture(0)], "Where?"), ([picture(1), picture(2)], "How many ships?")]
    batch = prepare_batch(system, rows)
    _one_step(system, batch)
    ids = system.model.generate(**batch, do_sample=False, max_new_tokens=2)
    loaded = load_system(save_system(system, tmp_path / "system"))
    assert torch.equal(loaded.model.generate(**batch, do_sample=False, max_new_tokens=2), ids)


def _one_step(system, batch):
    model = system.model.train()
    labels = batch["input_ids"].clamp_max(200)
    optimiser = torch.optim.SGD(model.parameters(), lr=1e-3)
    loss = model(**batch, labels=labels).loss
    loss.backward()
    assert torch.isfinite(loss)
    connector = [parameter for parameter in model.model.connector.parameters() if parameter.requires_grad]
    assert not connector or any(p.grad is not None and p.grad.abs().sum() > 0 for p in connector)
    optimiser.step()
    optimiser.zero_grad()
    model.eval()


def test_most_of_what_could_be_legal_is():
    legal = 0
    for combination in COMBINATIONS:
        try:
            validate(type(load_preset("demo")), _values(*combination), "a combination")
            legal += combination[1] != "encoder_decoder_prefix"
        except ConfigError:
            continue
    assert legal >= LEGAL_AT_LEAST

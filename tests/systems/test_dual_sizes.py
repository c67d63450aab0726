"""Dual encoders at published size, and what all of them share."""

import pytest
import torch
from transformers import AutoModel, AutoProcessor

from geoprose.core.errors import ConfigError, ModelError
from geoprose.systems.build import build_meta_model, build_system
from geoprose.systems.load import answering, load_answering_system, load_system
from geoprose.systems.presets import list_presets, list_systems, load_preset
from geoprose.systems.save import save_system

PRESETS = list_systems("dual_encoder")
PUBLISHED_PARAMETERS = {
    # openai/CLIP model card and open_clip docs/model_profile.csv: 427.62 M and 151.28 M
    "clip-vit-l-14": 427_616_513,
    "georsclip": 151_277_313,
    "remoteclip": 427_616_513,
    # google/siglip-so400m-patch14-384, safetensors header: 878 M; SigLIP 2 paper table 1: 1.1 B with its vocabulary
    "siglip-so400m": 877_960_498,
    "siglip2-so400m": 1_136_008_498,
    # ViT-B/16 85.80 M + pooler 0.59 M, BERT-base 109.48 M, two projections 768 x 512, one scale
    "vit-bert": 85_798_656 + 590_592 + 109_482_240 + 2 * 768 * 512 + 1,
}
PATCHES = {"clip-vit-l-14": 256, "georsclip": 49, "remoteclip": 256, "siglip-so400m": 729, "vit-bert": 196}


@pytest.mark.parametrize("preset", PRESETS)
def test_published_parameters(preset):
    assert build_meta_model(preset).num_parameters() == PUBLISHED_PARAMETERS[preset]


@pytest.mark.parametrize(("preset", "patches"), PATCHES.items())
def test_published_patches(preset, patches):
    spec = load_preset(preset)
    assert (spec.resolution.image_size // spec.vision_encoder.config["patch_size"]) ** 2 == patches


@pytest.mark.parametrize("preset", PRESETS)
def test_tiny_has_the_same_parts_and_every_parameter_gets_a_gradient(preset):
    system = build_system(preset, scale="tiny")
    assert {k: v for k, v in system.spec.slots().items() if k not in ("resolution", "projection")} == {
        k: v for k, v in load_preset(preset).slots().items() if k not in ("resolution", "projection")
    }
    assert system.model.num_parameters() < 120_000
    batch = system.processor(images=[torch.rand(3, 30, 40), torch.rand(3, 50, 40)], text=["a field", "two boats"])
    output = system.model(**batch, return_loss=True)
    output.loss.backward()
    missing = [name for name, p in system.model.named_parameters() if p.requires_grad and p.grad is None]
    assert missing == []
    assert torch.isfinite(output.loss)


@pytest.mark.parametrize("pooling", ["first", "mean"])
def test_other_poolings_freeze_what_they_do_not_read(pooling):
    names = [f"{side}_encoder.pooling={pooling}" for side in ("vision", "text")]
    system = build_system(load_preset("vit-bert", names), scale="tiny")
    frozen = {name for name, p in system.model.named_parameters() if not p.requires_grad}
    assert frozen == {f"{side}.model.pooler.dense.{kind}" for side in ("vision", "text") for kind in ("weight", "bias")}
    batch = system.processor(images=[torch.rand(3, 30, 40)] * 2, text=["a field", "two boats and a quay"])
    system.model(**batch, return_loss=True).loss.backward()
    assert all(p.grad is not None for p in system.model.parameters() if p.requires_grad)


def test_auto_classes_read_a_saved_folder(tmp_path):
    system = build_system("siglip-so400m", scale="tiny")
    folder = save_system(system, tmp_path / "saved")
    again = AutoModel.from_pretrained(folder)
    state = again.state_dict()
    assert all(torch.equal(value, state[name]) for name, value in system.model.state_dict().items())
    processor = AutoProcessor.from_pretrained(folder)
    assert type(processor) is type(system.processor)
    assert torch.equal(processor(text=["a field"])["input_ids"], system.processor(text=["a field"])["input_ids"])
    assert load_system(folder).spec == system.spec


def test_damaged_folders_are_refused(tmp_path):
    folder = save_system(build_system("vit-bert", scale="tiny"), tmp_path / "saved")
    (folder / "model.safetensors").write_bytes(b"nothing")
    with pytest.raises(ModelError, match="corrupt or truncated"):
        load_system(folder)


def test_kinds_are_told_apart(tmp_path):
    assert set(PRESETS) < set(list_presets())
    assert not set(PRESETS) & set(list_systems("composite"))
    system = build_system("vit-bert", scale="tiny")
    with pytest.raises(ConfigError, match="kind dual_encoder: it has no language model"):
        answering(system)
    with pytest.raises(ConfigError, match="cannot answer"):
        load_answering_system(save_system(system, tmp_path / "saved"))
    with pytest.raises(ConfigError, match="Did you mean 'dual_encoder'"):
        load_preset("vit-bert", ["kind=dual_encoders"])


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("projection.vision=false", "ends at width"),
        ("text_encoder.type=bertt", "Did you mean 'bert'"),
        ("logits.loss=hinge", "logits.loss"),
    ],
)
def test_wrong_values_are_named(override, message):
    with pytest.raises(ConfigError, match=message):
        build_meta_model(load_preset("vit-bert", [override]))


def test_full_scale_without_weights_says_so():
    with pytest.raises(ConfigError, match="text_encoder names no weights"):
        build_system("vit-bert")

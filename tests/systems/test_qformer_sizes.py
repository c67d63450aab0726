"""The Q-Former and encoder-decoder systems at published size, on the meta device."""

import pytest
import torch
from transformers import (
    Blip2Config,
    Blip2ForConditionalGeneration,
    InstructBlipConfig,
    InstructBlipForConditionalGeneration,
)

from geoprose.systems.build import build_meta_model
from geoprose.systems.presets import load_preset


def count(module):
    return sum(parameter.numel() for parameter in module.parameters())


def without_extra_rows(model, preset):
    """Parameters less the rows of the vocabulary that our image token and its padding add."""
    config = model.config.get_text_config()
    extra = config.vocab_size - load_preset(preset).language_model.config["vocab_size"]
    tables = 1 if model.config.tie_word_embeddings else 2
    return count(model) - tables * extra * config.hidden_size


REFERENCES = {
    "blip2-opt": (Blip2ForConditionalGeneration, Blip2Config),
    "blip2-t5": (Blip2ForConditionalGeneration, Blip2Config),
    "instructblip-vicuna": (InstructBlipForConditionalGeneration, InstructBlipConfig),
    "instructblip-t5": (InstructBlipForConditionalGeneration, InstructBlipConfig),
}


@pytest.mark.parametrize("preset", REFERENCES)
def test_as_many_parameters_as_the_reference_at_its_own_defaults(preset):
    """The reference is built of its own default vision and Q-Former configs, so ours cannot agree by construction."""
    model = build_meta_model(preset)
    model_class, config_class = REFERENCES[preset]
    config = config_class(text_config=model.config.text_config.to_dict())
    if preset.startswith("instructblip"):
        config.qformer_config.vocab_size = 30523
    with torch.device("meta"):
        theirs = model_class(config)
    expected = count(theirs)
    if preset.endswith("t5"):
        # transformers builds Flan-T5 with a tied head and unties it when it loads the checkpoint.
        expected += model.lm_head.weight.numel()
    assert count(model) == expected


@pytest.mark.parametrize(
    ("preset", "millions"),
    [("blip2-opt", 3744), ("blip2-t5", 3942), ("instructblip-vicuna", 7913), ("instructblip-t5", 4022)],
)
def test_sizes_of_the_released_checkpoints(preset, millions):
    """3.74, 3.94, 7.91 and 4.02 billion."""
    assert without_extra_rows(build_meta_model(preset), preset) // 1_000_000 == millions


def test_what_is_trained():
    """BLIP-2 (arXiv:2301.12597, table 2) trains 107 M beside OPT 2.7B and beside Flan-T5 XL; InstructBLIP
    (arXiv:2305.06500) 188 M."""
    trained = {preset: count(build_meta_model(preset).model.connector) / 1e6 for preset in REFERENCES}
    assert round(trained["blip2-opt"]) == round(trained["blip2-t5"]) == 107
    assert int(trained["instructblip-vicuna"]) == 188


def test_minigpt_v2():
    """LLaMA-2 7B has 6,738,415,616 parameters; the linear layer maps four patches of 1408 to 4096."""
    model = build_meta_model("minigpt-v2")
    language = count(model.model.language_model) + count(model.lm_head)
    extra = 2 * (model.config.get_text_config().vocab_size - 32000) * 4096
    assert language - extra == 6_738_415_616
    assert count(model.model.connector) == 4 * 1408 * 4096 + 4096


def test_em_vlm4ad():
    """235 M (arXiv:2403.19838): T5 base, the stem of ViT-B/32 and the gates; no block of the ViT."""
    model = build_meta_model("em-vlm4ad")
    assert round(without_extra_rows(model, "em-vlm4ad") / 1e6) == 235
    assert round(count(model.model.language_model) / 1e6) == 223


@pytest.mark.parametrize(
    ("preset", "tokens"),
    [("blip2-opt", 32), ("blip2-t5", 32), ("instructblip-vicuna", 32), ("minigpt-v2", 256), ("em-vlm4ad", 49)],
)
def test_visual_tokens(preset, tokens):
    """32 queries (BLIP-2); 1024 patches, four to a token (MiniGPT-v2, section 2.1); one view's 49 (EM-VLM4AD)."""
    assert build_meta_model(preset).model.num_visual_tokens == tokens

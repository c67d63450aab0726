"""One-backbone systems at published size: parameters, and visual tokens for several pictures."""

import pytest
import torch

from geoprose.core.errors import ConfigError
from geoprose.layout.arrangements import ARRANGEMENTS, num_tokens
from geoprose.processing.image_processor import GeoproseImageProcessor
from geoprose.systems.build import build_meta_model, build_system
from geoprose.systems.code_tokens import code_ids, code_names
from geoprose.systems.interop import REFERENCES
from geoprose.systems.presets import load_preset

PADDING_ROWS = 64
"""Our published-size model holds the image token behind the vocabulary and pads to 64; the releases have it inside."""

# Billions. Fuyu: 9.41 B of the released adept/fuyu-8b. The others follow from the hyperparameters of the released
# configs; the papers round them to 7 and 34 (Chameleon), 8 (Emu3, 8.49 without its 0.27 of tokenizer), 1 and 7 (Janus).
PARAMETERS_B = {
    "fuyu": 9.41,
    "chameleon": 7.04,
    "chameleon-34b": 34.32,
    "emu3": 8.76,
    "janus": 2.08,
    "janus-7b": 7.41,
}


@pytest.mark.parametrize("preset", PARAMETERS_B)
def test_parameters_are_those_of_the_transformers_class_at_published_size(preset):
    ours = build_meta_model(preset)
    vocabulary = int(load_preset(preset).language_model.config["vocab_size"])
    ours.config.text_config.vocab_size = vocabulary
    reference = REFERENCES.get(load_preset(preset).reference)()
    with torch.device("meta"):
        theirs = reference.model_class()(reference.config(ours.config))
    added = 2 * (ours.lm_head.weight.shape[0] - vocabulary) * ours.lm_head.weight.shape[1]
    assert 0 < ours.lm_head.weight.shape[0] - vocabulary <= PADDING_ROWS
    assert ours.num_parameters() - added == theirs.num_parameters()
    assert round((ours.num_parameters() - added) / 1e9, 2) == PARAMETERS_B[preset]


# Fuyu: patches of 30 px, at most 1920x1080 (blog post). Chameleon: 32x32 codes whatever the picture (paper, section
# 2.1). Emu3: an eighth of each edge, one end of line per row (paper, section 2.1: 512x512 gives 4096 codes).
# Janus: 384 / 16 = 24, squared.
TOKENS = [
    ("fuyu", (1920, 1080), 64 * 36),
    ("fuyu", (300, 300), 100),
    ("fuyu", (301, 299), 11 * 10),
    ("fuyu", (3840, 2160), 64 * 36),
    ("chameleon", (512, 512), 1024),
    ("chameleon", (1000, 300), 1024),
    ("emu3", (512, 512), 64 * 65),
    ("emu3", (720, 720), 90 * 91),
    ("emu3", (1024, 768), 96 * 129),
    ("emu3", (4096, 4096), 128 * 129),
    ("janus", (384, 384), 576),
    ("janus", (1024, 300), 576),
]


@pytest.mark.parametrize(("preset", "size", "tokens"), TOKENS)
def test_published_visual_tokens(preset, size, tokens):
    spec = load_preset(preset)
    processor = GeoproseImageProcessor(
        spec.resolution.as_config(), spec.resolution.resample, spec.resolution.image_mean, spec.resolution.image_std
    )
    packer = spec.packer.as_config()
    arrangement = ARRANGEMENTS.get(packer.pop("type"))(**packer)
    per_tile = {"chameleon": 1024, "janus": 576}.get(preset, 1)
    assert num_tokens(arrangement, processor.plan(*size).layout, per_tile) == tokens


@pytest.mark.parametrize("preset", ["chameleon", "emu3"])
def test_codes_are_tokens_of_the_tokenizer_and_never_part_of_an_answer(preset):
    system = build_system(preset, scale="tiny")
    ids = code_ids(system.model.config)
    tokenizer = system.processor.tokenizer
    names = code_names(system.spec.connector.token, len(ids))
    assert tokenizer.convert_ids_to_tokens(ids) == names
    assert len(set(ids)) == 24
    assert set(ids) <= set(system.model.generation_config.suppress_tokens)
    assert tokenizer.encode(names[3], add_special_tokens=False) == [ids[3]]


def test_names_of_codes_are_the_published_ones():
    assert code_names("IMGIMG{letters}Z", 8192)[8191] == "IMGIMGIBJBZ"
    assert code_names("<|visual token {code:06d}|>", 12)[11] == "<|visual token 000011|>"
    with pytest.raises(ConfigError, match="several codes alike"):
        code_names("<code>", 3)


def test_the_grid_of_an_emu3_picture_stands_in_front_of_it():
    system = build_system("emu3", scale="tiny")
    processor = system.processor
    layout = processor.image_processor.plan(10, 6).layout
    block = processor.tokenizer.decode(processor.image_block(processor.image_segments(layout)))
    assert (layout.rows, layout.columns) == (3, 5)
    assert block == "<|image start|>3*5<|image token|>" + "<image>" * 18 + "<|extra_201|><|image end|>"
    layouts = {"visual_layouts": torch.tensor([layout])}
    assert processor.replace_image_token(layouts, 0) == block

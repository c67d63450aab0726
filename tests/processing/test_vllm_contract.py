"""What the transformers backend of vLLM asks of a processor, for every preset whose language model reads pictures.

Source: ``vllm/model_executor/models/transformers/multimodal.py``: ``image_token``, ``image_token_id``,
``image_processor.size``, ``replace_image_token`` and ``_get_num_multimodal_tokens``.
"""

import pytest

from geoprose.systems.build import build_system
from geoprose.systems.presets import list_presets, load_preset
from tests.fixtures.systems import picture

SIZES = ((56, 40), (64, 64), (30, 90))
PRESETS = [name for name in list_presets() if hasattr(load_preset(name), "packer")]


@pytest.mark.parametrize("preset", PRESETS)
def test_counts_and_expansion_agree_with_the_tensors(preset):
    processor = build_system(preset, scale="tiny").processor
    pictures = [picture(seed, size) for seed, size in enumerate(SIZES)]
    counts = processor._get_num_multimodal_tokens(image_sizes=[(height, width) for width, height in SIZES])
    inputs = processor.image_processor(pictures, return_tensors="pt")
    assert sum(counts["num_image_patches"]) == inputs["pixel_values"].shape[0]
    for index, expected in enumerate(counts["num_image_tokens"]):
        ids = processor.tokenizer.encode(processor.replace_image_token(inputs, index), add_special_tokens=False)
        assert ids.count(processor.image_token_id) == expected
    assert processor.tokenizer.convert_tokens_to_ids(processor.image_token) == processor.image_token_id
    assert {"height", "width"} <= set(processor.image_processor.size)

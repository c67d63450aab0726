import pytest
import torch
from transformers import T5Config

from geoprose.core.errors import ProcessingError
from geoprose.layout.visual import VisualLayout
from geoprose.models.inputs import TextInputs, Visuals
from geoprose.models.parts.fusions.encoder_decoder import EncoderDecoderPrefixFusion
from geoprose.models.parts.positions.relative import Relative

CONFIG = T5Config(d_model=4)
TEXT = TextInputs(torch.zeros(1, 5, 4), torch.tensor([[True, True, False, False, False]]), None, 0)
VISUALS = Visuals([torch.ones(2, 4)], [VisualLayout()], 2)


def encode(inputs_embeds, **lm_inputs):
    """Stands in for an encoder: hands back what it reads."""
    return inputs_embeds


def test_visual_tokens_take_the_place_of_placeholders():
    merged = EncoderDecoderPrefixFusion(CONFIG)(encode, TEXT, VISUALS, attention_mask=None)
    assert merged[0, :, 0].tolist() == [1, 1, 0, 0, 0]
    assert EncoderDecoderPrefixFusion(CONFIG)(encode, TEXT, None) is TEXT.embeds_BTD


def test_each_modality_gets_its_vector():
    fusion = EncoderDecoderPrefixFusion(CONFIG, modal_types=True)
    with torch.no_grad():
        fusion.modal_types.weight.copy_(torch.tensor([[10.0] * 4, [20.0] * 4]))
    merged = fusion(encode, TEXT, VISUALS)
    assert merged[0, :, 0].tolist() == [21, 21, 10, 10, 10]
    merged.sum().backward()
    assert fusion.modal_types.weight.grad[:, 0].tolist() == [3, 2]


def test_wrong_numbers_are_refused():
    with pytest.raises(ProcessingError, match="2 image placeholders but the pictures gave 3"):
        EncoderDecoderPrefixFusion(CONFIG)(encode, TEXT, Visuals([torch.ones(3, 4)], [VisualLayout()], 3))


def test_relative_distances_need_no_ids():
    assert Relative().build(TEXT, VISUALS) is None

"""Image tokenizers: codes of transformers' own classes, codes of one picture whatever its company, refusals."""

import pytest
import torch
from transformers import AutoConfig

from geoprose.core.errors import ConfigError, ProcessingError
from geoprose.layout.visual import PatchGroups, VisualLayout
from geoprose.models.inputs import VisualInputs
from geoprose.models.parts.encoders.vq import VqEncoder
from geoprose.processing.visuals import cut_patches

TINY = {
    "chameleon_vqgan": {"num_embeddings": 24, "embed_dim": 4, "latent_channels": 4, "resolution": 8},
    "emu3_vqgan": {"codebook_size": 24, "attn_resolutions": [1], "hidden_size": 64, "num_attention_heads": 1},
    "janus_vqgan": {"num_embeddings": 24, "embed_dim": 4, "latent_channels": 32, "num_patches": 4},
}
SHARED = {"base_channels": 32, "channel_multiplier": [1, 2], "num_res_blocks": 1}


def _encoder(kind, image_size=8):
    torch.manual_seed(0)
    return VqEncoder(AutoConfig.for_model(kind, image_size=image_size, **SHARED, **TINY[kind])).eval()


@pytest.fixture(scope="module")
def emu3():
    return _encoder("emu3_vqgan", image_size=2)


@pytest.mark.parametrize("kind", TINY)
def test_tiles_become_codes_of_the_codebook(kind):
    encoder = _encoder(kind)
    codes = encoder(torch.randn(3, 3, 8, 8))
    assert codes.shape == (3, encoder.num_patches()) == (3, 16)
    assert not codes.is_floating_point()
    assert 0 <= codes.min() <= codes.max() < encoder.hidden_size == 24
    assert len(codes.unique()) > 1


@pytest.mark.parametrize("kind", TINY)
def test_the_tokenizer_is_frozen_and_stays_in_evaluation_mode(kind):
    encoder = _encoder(kind).train()
    assert not any(module.training for module in encoder.modules())
    assert not any(parameter.requires_grad for parameter in encoder.parameters())
    assert encoder.unused_parameter_names() == [name for name, _ in encoder.named_parameters()]


def _cells(picture):
    return torch.from_numpy(cut_patches(picture.unsqueeze(0).numpy(), PatchGroups(2)))


def test_codes_do_not_depend_on_the_other_pictures_of_the_batch(emu3):
    pictures = [torch.randn(3, 8, 6), torch.randn(3, 4, 10), torch.randn(3, 8, 6)]
    layouts = [VisualLayout(rows=p.shape[1] // 2, columns=p.shape[2] // 2) for p in pictures]
    together = emu3.encode(
        VisualInputs(pixel_values=torch.cat([_cells(p) for p in pictures]), visual_layouts=torch.tensor(layouts))
    )
    alone = [emu3(p.unsqueeze(0))[0] for p in pictures]
    assert torch.equal(together.squeeze(1), torch.cat(alone))


def test_cells_join_to_the_picture_they_were_cut_from(emu3):
    picture = torch.randn(3, 8, 6)
    assert torch.equal(emu3.join(_cells(picture), 4, 3), picture)


@pytest.mark.parametrize("kind", ["emu3_vqgan", "janus_vqgan"])
def test_codes_become_pixels(kind):
    encoder = _encoder(kind)
    assert encoder.decode(torch.randint(0, 24, (2, 4, 4))).shape == (2, 3, 8, 8)


def test_given_codes_are_taken_and_checked(emu3):
    codes = torch.randint(0, 24, (5, 1))
    assert emu3.encode(VisualInputs(visual_ids=codes)) is codes
    with pytest.raises(ProcessingError, match=r"lie in 0\.\.23"):
        emu3.encode(VisualInputs(visual_ids=codes + 24))
    with pytest.raises(ProcessingError, match="integer codes"):
        emu3.encode(VisualInputs(visual_ids=codes.float()))


def test_missing_or_contradicting_inputs_are_refused(emu3):
    with pytest.raises(ProcessingError, match="pixel_values or visual_ids"):
        emu3.encode(VisualInputs())
    with pytest.raises(ProcessingError, match="need visual_layouts"):
        emu3.encode(VisualInputs(pixel_values=torch.zeros(4, 1, 12)))
    layouts = torch.tensor([VisualLayout(rows=2, columns=3)])
    with pytest.raises(ProcessingError, match="describe 6 cells but the pictures gave 4"):
        emu3.encode(VisualInputs(pixel_values=torch.zeros(4, 1, 12), visual_layouts=layouts))


def test_options_without_meaning_are_refused():
    with pytest.raises(ConfigError, match="gives codes"):
        VqEncoder(AutoConfig.for_model("emu3_vqgan"), pool=2)
    with pytest.raises(ConfigError, match="No image tokenizer of type 'dinov2'"):
        VqEncoder(_with_codes(AutoConfig.for_model("dinov2")))


def _with_codes(config):
    config.num_embeddings, config.channel_multiplier = 4, [1]
    return config

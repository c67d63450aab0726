"""BLIP-2's contrast and matching heads over our Q-Former equal ``Blip2ForImageTextRetrieval``, in float64."""

import pytest
import torch
from transformers import Blip2Config, Blip2ForImageTextRetrieval

from geoprose.core.errors import ProcessingError
from geoprose.models.parts.connectors.qformer import QFormerConnector
from geoprose.models.parts.heads.image_text import ImageTextHeads

SIZES = {"hidden_size": 32, "num_layers": 3, "num_heads": 2, "intermediate_size": 48, "vocab_size": 60}


@pytest.fixture(scope="module")
def theirs():
    config = Blip2Config(
        vision_config={"hidden_size": 24, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2,
                       "image_size": 28, "patch_size": 14},
        qformer_config={"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 48,
                        "vocab_size": 60, "use_qformer_text_input": True},
        num_query_tokens=5, image_text_hidden_size=16,
    )  # fmt: skip
    torch.manual_seed(0)
    model = Blip2ForImageTextRetrieval(config).double().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn_like(parameter) * 0.3)
    return model


@pytest.fixture(scope="module")
def ours(theirs):
    qformer = QFormerConnector(24, 8, num_queries=5, condition=True, **SIZES).double().eval()
    heads = ImageTextHeads(32, 16).double().eval()
    state = theirs.state_dict()
    parts = {"query_tokens": state["query_tokens"]}
    parts |= {f"words.{k.removeprefix('embeddings.')}": v for k, v in state.items() if k.startswith("embeddings.")}
    parts |= {f"body.{k.removeprefix('qformer.')}": v for k, v in state.items() if k.startswith("qformer.")}
    missing, unexpected = qformer.load_state_dict(parts, strict=False)
    assert missing == ["projection.weight", "projection.bias"]
    assert unexpected == []
    names = {"vision_projection": "vision_projection", "text_projection": "text_projection", "matching": "itm_head"}
    heads.load_state_dict({f"{our}.{kind}": state[f"{their}.{kind}"] for our, their in names.items()
                           for kind in ("weight", "bias")})  # fmt: skip
    return qformer, heads


@pytest.fixture(scope="module")
def batch(theirs):
    torch.manual_seed(1)
    pixels = torch.randn(3, 3, 28, 28, dtype=torch.float64)
    ids = torch.randint(1, 60, (3, 7))
    mask = torch.ones_like(ids)
    mask[1, 4:] = 0
    with torch.no_grad():
        features = theirs.vision_model(pixels).last_hidden_state
    return pixels, features, ids, mask


@torch.no_grad()
def test_contrast_equals_the_reference(theirs, ours, batch):
    pixels, features, ids, mask = batch
    expected = theirs(pixel_values=pixels, input_ids=ids, attention_mask=mask).logits_per_image
    qformer, heads = ours
    assert (heads.contrast(qformer, features, ids, mask) - expected).abs().max() < 1e-10
    assert (heads.contrast(qformer, features.flip(0), ids, mask) - expected).abs().max() > 1e-3


@torch.no_grad()
def test_matching_equals_the_reference(theirs, ours, batch):
    pixels, features, ids, mask = batch
    expected = theirs(
        pixel_values=pixels, input_ids=ids, attention_mask=mask, use_image_text_matching_head=True
    ).logits_per_image
    qformer, heads = ours
    assert (heads.match(qformer, features, ids, mask) - expected).abs().max() < 1e-10
    assert (heads.match(qformer, features, ids.flip(0), mask.flip(0)) - expected).abs().max() > 1e-3


def test_padding_of_a_text_changes_nothing(ours, batch):
    _, features, ids, mask = batch
    qformer, heads = ours
    padded, longer = torch.nn.functional.pad(ids, (0, 2), value=7), torch.nn.functional.pad(mask, (0, 2))
    assert torch.allclose(
        heads.contrast(qformer, features, ids, mask), heads.contrast(qformer, features, padded, longer)
    )
    assert torch.allclose(heads.match(qformer, features, ids, mask), heads.match(qformer, features, padded, longer))


def test_gradient_reaches_every_weight_of_the_heads(ours, batch):
    _, features, ids, mask = batch
    qformer, heads = ours
    (
        heads.contrast(qformer, features, ids, mask).sum() + heads.match(qformer, features, ids, mask)[:, 1].sum()
    ).backward()
    assert all(weight.grad is not None and weight.grad.abs().sum() > 0 for weight in heads.parameters())


def test_a_qformer_without_words_is_refused(batch):
    _, features, ids, mask = batch
    qformer = QFormerConnector(24, 8, num_queries=5, **SIZES).double()
    with pytest.raises(ProcessingError, match="has no words"):
        ImageTextHeads(32, 16).double().contrast(qformer, features, ids, mask)
    with pytest.raises(ProcessingError, match="reads no instruction"):
        ImageTextHeads(32, 16).double().match(qformer, features, ids, mask)

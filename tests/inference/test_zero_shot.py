"""Zero-shot classification and retrieval with a tiny dual encoder that was taught two colours."""

import pytest
import torch
from PIL import Image

from geoprose.core.errors import ConfigError, DataError, InputError, ProcessingError
from geoprose.inference.zero_shot import LabelClassifier, embed_images, embed_texts, nearest
from geoprose.systems.build import build_system
from tests.fixtures.systems import picture

COLOURS = {"water": (20, 40, 200), "forest": (10, 120, 20), "sand": (230, 200, 120)}


def _plain(label):
    return Image.new("RGB", (40, 40), COLOURS[label])


@pytest.fixture(scope="module")
def system():
    """Step 1 of the brief, in a second: contrastive pretraining, here on three colours and their names."""
    torch.manual_seed(0)
    system = build_system("clip-vit-l-14", scale="tiny")
    pixels = system.processor.encode_images([_plain(label) for label in COLOURS])["pixel_values"]
    texts = system.processor.encode_texts([f"a satellite photo of {label}." for label in COLOURS])
    optimiser = torch.optim.AdamW(system.model.parameters(), lr=3e-3)
    for _ in range(70):
        loss = system.model(pixel_values=pixels, **texts, return_loss=True).loss
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert loss < 0.1
    return system


def test_a_classifier_from_label_text_alone(system):
    classifier = LabelClassifier(system, list(COLOURS), ["a satellite photo of {}."])
    results = classifier.classify([_plain(label) for label in COLOURS], top=2)
    assert [result[0].label for result in results] == list(COLOURS)
    assert all(result[0].probability > result[1].probability for result in results)
    assert torch.allclose(classifier.weight_KD.norm(dim=-1), torch.ones(3))


def test_templates_are_averaged_by_hand(system):
    classifier = LabelClassifier(system, ["sand"], ["a {}.", "the {} from above"])
    mean = embed_texts(system, ["a sand.", "the sand from above"]).mean(0)
    torch.testing.assert_close(classifier.weight_KD[0], mean / mean.norm())


def test_probabilities_follow_the_loss_of_the_preset():
    system = build_system("siglip-so400m", scale="tiny")
    classifier = LabelClassifier(system, ["a", "b"])
    ranked = classifier.classify([picture()], top=5)[0]
    logits = classifier.logits([picture()])[0]
    assert sorted(item.probability for item in ranked) == pytest.approx(sorted(logits.sigmoid().tolist()))


def test_text_to_image_retrieval(system):
    corpus = embed_images(system, [_plain(label) for label in COLOURS], batch_size=2)
    queries = embed_texts(system, [f"a satellite photo of {label}." for label in COLOURS])
    scores, indices = nearest(queries, corpus, k=5)
    assert indices[:, 0].tolist() == [0, 1, 2]
    assert scores.shape == (3, 3)
    assert (scores[:, :-1] >= scores[:, 1:]).all()


def test_bad_input_is_named(system, tmp_path):
    with pytest.raises(ConfigError, match="needs exactly one"):
        LabelClassifier(system, ["a"], ["no place"])
    with pytest.raises(InputError, match="each only once"):
        LabelClassifier(system, ["a", "a"])
    with pytest.raises(InputError, match="Nothing was given"):
        embed_images(system, [])
    with pytest.raises(ProcessingError, match="none of them empty"):
        embed_texts(system, ["a", " "])
    with pytest.raises(DataError, match="cannot be read"):
        embed_images(system, [tmp_path / "absent.png"])
    with pytest.raises(InputError, match="do not fit"):
        nearest(torch.ones(1, 3), torch.ones(2, 4), 1)
    with pytest.raises(ConfigError, match="embeddings need a dual encoder"):
        embed_images(build_system("llava-v1", scale="tiny"), [picture()])

import pytest
import torch
import torch.nn.functional as F

from geoprose.core.errors import ProcessingError
from geoprose.models.masks import prepare_attention_mask
from tests.fixtures.systems import conversation, pixels_of, prompt_ids, tiny_system


@pytest.fixture(scope="module")
def system():
    return tiny_system("demo")


@pytest.fixture(scope="module")
def batch(system):
    encoded = system.processor.encode_conversation(conversation(), [system.processor.num_visual_tokens])
    return {
        "input_ids": torch.tensor([encoded.input_ids]),
        "labels": torch.tensor([encoded.labels]),
        "attention_mask": torch.ones(1, len(encoded.input_ids), dtype=torch.long),
        "pixel_values": pixels_of(system, 0),
    }


def test_loss_by_hand(system, batch):
    out = system.model(**batch)
    expected = F.cross_entropy(out.logits[0, :-1].float(), batch["labels"][0, 1:], ignore_index=-100)
    torch.testing.assert_close(out.loss, expected)
    doubled = system.model(**batch, num_items_in_batch=2)
    kept = int((batch["labels"][0, 1:] != -100).sum())
    torch.testing.assert_close(doubled.loss, expected * kept / 2)


def test_kept_positions_give_the_same_loss_and_logits(system, batch):
    full = system.model(**batch)
    answer = (batch["labels"][0, 1:] != -100).nonzero().squeeze(-1)
    kept = system.model(**batch, logits_to_keep=answer)
    assert kept.logits.shape[1] == len(answer) < full.logits.shape[1]
    torch.testing.assert_close(kept.logits, full.logits[:, answer])
    torch.testing.assert_close(kept.loss, full.loss)
    last = system.model(**batch, logits_to_keep=4)
    torch.testing.assert_close(last.logits, full.logits[:, -4:])


def test_backbone_and_head_are_the_model(system, batch):
    inputs = {key: value for key, value in batch.items() if key != "labels"}
    hidden = system.model.base_model(**inputs).last_hidden_state
    assert torch.equal(system.model.get_output_embeddings()(hidden), system.model(**inputs).logits)


def test_picture_moves_the_logits(system, batch):
    other = system.model(**{**batch, "pixel_values": pixels_of(system, 1)})
    assert (other.logits - system.model(**batch).logits).abs().max() > 1e-2


def test_cached_features_equal_pixels(system, batch):
    inputs = {key: value for key, value in batch.items() if key != "pixel_values"}
    features = system.model.model.encode_images(batch["pixel_values"])
    assert features.shape == (1, 64, 64)
    assert system.model.model.project(features).shape == (1, 25, 32)
    assert torch.equal(system.model(**inputs, vision_features=features).logits, system.model(**batch).logits)


def test_embeddings_instead_of_ids(system, batch):
    embeds = system.model.get_input_embeddings()(batch["input_ids"])
    out = system.model(inputs_embeds=embeds, attention_mask=batch["attention_mask"], pixel_values=batch["pixel_values"])
    assert torch.equal(out.logits, system.model(**batch).logits)


def test_contradicting_inputs_are_refused(system, batch):
    with pytest.raises(ProcessingError, match="placeholders"):
        system.model(**{**batch, "pixel_values": pixels_of(system, 0, 1)})
    with pytest.raises(ProcessingError, match="exactly one of pixel_values"):
        system.model(**batch, vision_features=torch.zeros(1, 64, 32))
    with pytest.raises(ProcessingError, match="exactly one of input_ids"):
        system.model(pixel_values=batch["pixel_values"])


def test_encoder_and_language_model_may_differ_in_dtype(batch):
    system = tiny_system("demo", dtype=torch.float32)
    reference = system.model(**{**batch, "pixel_values": pixels_of(system, 0)}).logits
    system.model.model.vision_encoder.to(torch.bfloat16)
    mixed = system.model(**{**batch, "pixel_values": pixels_of(system, 0)})
    assert mixed.logits.dtype == torch.float32
    assert F.cosine_similarity(mixed.logits.flatten(), reference.flatten(), dim=0) > 0.9
    system.model.model.language_model.to(torch.bfloat16)
    system.model.lm_head.to(torch.bfloat16)
    assert system.model(**batch).logits.dtype == torch.bfloat16


def test_no_tensor_stays_on_the_module_between_calls(system, batch):
    def held() -> set[tuple[str, str]]:
        return {
            (name, key)
            for name, module in system.model.named_modules()
            for key, value in vars(module).items()
            if isinstance(value, torch.Tensor)
        }

    before = held()
    system.model(**batch)
    system.model.generate(input_ids=prompt_ids(system), pixel_values=batch["pixel_values"], max_new_tokens=2)
    assert held() == before


def test_beams_repeat_rows_with_several_pictures(system):
    ids = torch.cat([prompt_ids(system, images=2)] * 2)
    pixels = pixels_of(system, 0, 1, 2, 3)
    inputs, kwargs = system.model._expand_inputs_for_generation(2, False, ids, pixel_values=pixels)
    assert inputs.shape[0] == 4
    assert torch.equal(kwargs["pixel_values"], pixels[[0, 1, 0, 1, 2, 3, 2, 3]])
    out = system.model.generate(input_ids=ids, pixel_values=pixels, num_beams=2, max_new_tokens=3)
    single = system.model.generate(input_ids=ids[:1], pixel_values=pixels[:2], num_beams=2, max_new_tokens=3)
    assert torch.equal(out[:1, : single.shape[1]], single)
    with pytest.raises(ProcessingError, match="input_ids"):
        system.model._tokens_per_row(None)


def test_image_token_is_never_generated(system):
    with torch.no_grad():
        system.model.lm_head.weight[system.model.config.image_token_id] += 100
    ids = prompt_ids(system)
    out = system.model.generate(input_ids=ids, pixel_values=pixels_of(system, 0), max_new_tokens=8)
    new = out[0, ids.shape[1] :]
    assert (new != system.model.config.image_token_id).all()
    assert (new < len(system.processor.tokenizer)).all()


def test_masks(system):
    config = system.model.model.language_model.config
    embeds = torch.zeros(1, 2, 4, dtype=torch.float64)
    packed = torch.ones(1, 1, 2, 2, dtype=torch.bool).tril()
    assert prepare_attention_mask(packed, embeds, config, False) is packed
    assert prepare_attention_mask(packed.float(), embeds, config, False).dtype == torch.float64
    with pytest.raises(ProcessingError, match="use_cache=False"):
        prepare_attention_mask(packed, embeds, config, True)


@pytest.mark.parametrize(
    ("pixels", "said"),
    [
        (lambda tiles: (tiles * 255).to(torch.uint8), "torch.uint8, but the vision encoder reads normalised floats"),
        (lambda tiles: tiles[:, :1], "are no tiles of 3 bands"),
        (lambda tiles: tiles[..., :-14], "are no tiles of 3 bands and"),
        (lambda tiles: tiles[0], "are no tiles of 3 bands"),
        (lambda tiles: tiles[:0], "hold no picture"),
    ],
)
def test_pixels_that_are_no_tiles_are_refused(system, pixels, said):
    with pytest.raises(ProcessingError, match=said):
        system.model(input_ids=prompt_ids(system), pixel_values=pixels(pixels_of(system, 0)))

"""Composites over an encoder-decoder, beyond the parity of tests/parity: loss, generation, saving, refusals."""

import pytest
import torch
import torch.nn.functional as F
from transformers import AutoConfig, AutoModel, AutoModelForImageTextToText

from geoprose.core.errors import ConfigError, ProcessingError
from geoprose.models.backbone import GeoproseModel
from geoprose.models.config import GeoproseConfig
from geoprose.models.seq2seq import GeoproseForSeq2Seq, GeoproseSeq2SeqModel
from geoprose.systems.build import build_system
from geoprose.systems.load import load_system
from geoprose.systems.presets import load_preset
from geoprose.systems.save import save_system
from geoprose.systems.verify import batch_of, scrambled_system

ROWS = (((48, 48),), ((40, 64), (48, 48)))
SETTINGS = {"max_new_tokens": 4, "eos_token_id": None}


@pytest.fixture(scope="module")
def system():
    return scrambled_system("instructblip-t5")


@pytest.fixture(scope="module")
def prompt(system):
    return {name: value for name, value in batch_of(system, ROWS).items() if name != "decoder_input_ids"}


def row(batch, number):
    """One row of the batch of ``ROWS`` alone."""
    tiles = slice(0, 1) if number == 0 else slice(1, 3)
    per_row = ("input_ids", "attention_mask")
    return {name: value[[number]] if name in per_row else value[tiles] for name, value in batch.items()}


def test_the_loss_is_that_of_the_answer_shifted_by_the_start_token(system, prompt):
    labels = torch.tensor([[5, 6, 7, 8], [9, 10, -100, -100]])
    output = system.model(**prompt, labels=labels)
    expected = F.cross_entropy(output.logits.flatten(0, 1), labels.flatten())
    assert output.loss.item() == pytest.approx(expected.item(), abs=1e-5)
    start = system.model.generation_config.decoder_start_token_id
    padding = system.model.config.text_config.pad_token_id
    read = system.model.prepare_decoder_input_ids_from_labels(labels)
    assert read.tolist() == [[start, 5, 6, 7], [start, 9, 10, padding]]


def test_gradient_reaches_every_part(system, prompt):
    system.model.zero_grad()
    system.model(**prompt, labels=torch.tensor([[5, 6, 7, 8], [9, 10, -100, -100]])).loss.backward()
    without = {name for name, weight in system.model.named_parameters() if weight.grad is None}
    unread = "model.connector.body.encoder.layer.2."
    assert {name for name in without if not name.startswith((f"{unread}intermediate.", f"{unread}output."))} == set()
    system.model.zero_grad()


@torch.no_grad()
def test_beams_of_a_batch_are_those_of_its_rows(system, prompt):
    settings = SETTINGS | {"num_beams": 3, "num_return_sequences": 2}
    together = system.model.generate(**prompt, **settings)
    alone = [system.model.generate(**row(prompt, number), **settings) for number in (0, 1)]
    assert together.shape == (4, 5)
    assert torch.equal(together, torch.cat(alone))


@torch.no_grad()
def test_the_cache_changes_nothing(system, prompt):
    assert torch.equal(
        system.model.generate(**prompt, **SETTINGS), system.model.generate(**prompt, **SETTINGS, use_cache=False)
    )


@torch.no_grad()
def test_encoded_text_can_be_given(system):
    batch = batch_of(system, ROWS)
    answer = batch.pop("decoder_input_ids")
    whole = system.model(**batch, decoder_input_ids=answer)
    names = ("pixel_values", "visual_layouts", "condition_ids", "condition_mask")
    from geoprose.models.inputs import VisualInputs

    visual = VisualInputs(**{name: batch[name] for name in names})
    encoded = system.model.model.encode(batch["input_ids"], batch["attention_mask"], visual_inputs=visual)
    again = system.model(encoder_outputs=encoded, attention_mask=batch["attention_mask"], decoder_input_ids=answer)
    assert torch.equal(whole.logits, again.logits)
    assert [len(run) for run in whole.image_hidden_states] == [5, 5, 5]


def test_auto_classes_read_a_saved_system(system, prompt, tmp_path):
    folder = save_system(system, tmp_path / "system")
    assert AutoConfig.from_pretrained(folder).model_type == "geoprose_seq2seq"
    model = AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.float64)
    assert type(model) is GeoproseForSeq2Seq
    assert type(AutoModel.from_pretrained(folder)) is GeoproseSeq2SeqModel
    loaded = load_system(folder)
    assert type(loaded.model) is GeoproseForSeq2Seq
    assert loaded.spec.kind == "encoder_decoder"
    for other in (model.eval(), loaded.model):
        assert torch.equal(other.generate(**prompt, **SETTINGS), system.model.generate(**prompt, **SETTINGS))


@pytest.mark.parametrize(("preset", "is_tied"), [("blip2-t5", False), ("em-vlm4ad", True)])
def test_the_head_is_tied_where_it_was_published_so(preset, is_tied):
    model = build_system(preset, scale="tiny").model
    shared = model.model.language_model.shared.weight
    assert (model.lm_head.weight is shared) == is_tied
    assert model.model.language_model.encoder.embed_tokens.weight is shared
    assert model.output_scale == pytest.approx(32**-0.5 if is_tied else 1.0)


def test_a_text_without_pictures_is_answered(system):
    ids = torch.tensor([[7, 8, 9]])
    assert system.model.generate(input_ids=ids, **SETTINGS).shape == (1, 5)


def test_wrong_inputs_are_refused(system, prompt):
    with pytest.raises(ProcessingError, match="image placeholders"):
        system.model(
            **{**prompt, "input_ids": prompt["input_ids"][:, :-12]}, decoder_input_ids=torch.zeros(2, 1).long()
        )
    with pytest.raises(ProcessingError, match="exactly one of input_ids"):
        system.model.model.encode()
    with pytest.raises(ValueError, match="not used by the model"):
        system.model.generate(**prompt, pixel_valeus=1)


def test_fusion_and_position_of_the_other_kind_are_refused():
    with pytest.raises(ConfigError, match=r"encoder.decoder"):
        build_system(load_preset("blip2-t5", ["fusion.type=scatter"]), scale="tiny")
    with pytest.raises(ConfigError, match=r"relative"):
        build_system(load_preset("blip2-t5", ["position.type=rope1d"]), scale="tiny")
    with pytest.raises(ConfigError, match=r"encoder.decoder"):
        build_system(load_preset("blip2-opt", ["fusion.type=encoder_decoder_prefix"]), scale="tiny")
    config = build_system("blip2-t5", scale="tiny").model.config
    with pytest.raises(ConfigError, match="T5 goes with kind encoder_decoder"):
        GeoproseModel(
            GeoproseConfig(
                vision_config=config.vision_config,
                text_config=config.text_config,
                vision_encoder=config.vision_encoder,
                connector=config.connector,
            )
        )

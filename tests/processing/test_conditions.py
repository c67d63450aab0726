import pytest
import torch
from PIL import Image
from transformers import AutoProcessor

from geoprose.core.errors import ProcessingError
from geoprose.systems.build import build_system


@pytest.fixture(scope="module")
def processor():
    return build_system("instructblip-vicuna", scale="tiny").processor


def test_one_row_per_tile(processor):
    encoded = processor.encode_conditions(["<image>\nHow many?", "<image><image>Which one is new?"], [1, 2])
    ids, mask = encoded["condition_ids"], encoded["condition_mask"]
    assert ids.shape == mask.shape == (3, len("Which one is new?"))
    assert mask.sum(-1).tolist() == [len("How many?"), 17, 17]
    assert mask[0].tolist() == [1] * 9 + [0] * 8, "padded on the right"
    assert torch.equal(ids[1], ids[2])
    decoded = processor.condition_tokenizer.decode(ids[0][mask[0].bool()])
    assert decoded == "How many?"


def test_wrong_numbers_are_refused(processor):
    with pytest.raises(ProcessingError, match="1 instructions but tiles of 2"):
        processor.encode_conditions(["Where?"], [1, 1])
    plain = build_system("blip2-opt", scale="tiny").processor
    with pytest.raises(ProcessingError, match="reads no instruction"):
        plain.encode_conditions(["Where?"], [1])


def test_a_call_adds_the_instruction(processor):
    pictures = [[Image.new("RGB", (48, 48))], [Image.new("RGB", (40, 64)), Image.new("RGB", (48, 48))]]
    texts = ["<image>How many?", "<image><image>Which one is new?"]
    batch = processor(images=pictures, text=texts, padding=True, return_tensors="pt")
    expected = processor.encode_conditions(texts, [1, 2])
    assert torch.equal(batch["condition_ids"], expected["condition_ids"])
    assert batch["pixel_values"].shape[0] == len(batch["condition_mask"]) == 3
    assert "condition_ids" not in processor(text="Where?")


def test_the_tokenizer_of_the_instruction_is_saved(processor, tmp_path):
    processor.save_pretrained(tmp_path)
    again = AutoProcessor.from_pretrained(tmp_path)
    expected, found = (side.encode_conditions(["Where?"], [2]) for side in (processor, again))
    assert torch.equal(expected["condition_ids"], found["condition_ids"])

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoProcessor

from geoprose.core.errors import ProcessingError
from geoprose.core.types import Message
from geoprose.processing.processor import IGNORED, GeoproseProcessor
from geoprose.systems.build import build_system
from geoprose.systems.tiny import tiny_tokenizer
from tests.fixtures.systems import PRESETS, conversation, picture

PROCESSORS = {name: build_system(name, scale="tiny").processor for name in PRESETS}
CONTROLS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<s>", "</s>", "<image>")
texts = st.text(st.characters(codec="utf-8"), min_size=1, max_size=24).filter(
    lambda text: not any(control in text for control in CONTROLS)
)
any_preset = st.sampled_from(PRESETS)


@given(st.lists(st.tuples(texts, texts), min_size=1, max_size=3), st.integers(0, 3), any_preset)
@settings(max_examples=60, deadline=None)
def test_ids_equal_the_rendering_of_the_chat_template(pairs, images, preset):
    processor = PROCESSORS[preset]
    messages = []
    for index, (question, answer) in enumerate(pairs):
        marks = "<image>\n" * images if index == 0 else ""
        messages += [Message("user", marks + question), Message("assistant", answer)]
    plans = processor.image_processor.plan_sample([picture(0).size] * images)
    encoded = processor.encode_conversation(messages, [processor.image_segments(plan.layout) for plan in plans])
    inputs = processor.apply_chat_template(
        [{"role": m.role, "content": m.text} for m in messages],
        tokenize=True,
        return_dict=True,
        processor_kwargs={"images": [picture(index) for index in range(images)]} if images else {},
    )
    ids = inputs["input_ids"]
    assert (ids[0] if isinstance(ids[0], list) else list(ids)) == encoded.input_ids
    learned = [token for token in encoded.labels if token != IGNORED]
    prompt = processor.prompt_format
    stop = processor.tokenizer.convert_tokens_to_ids(prompt.assistant_stop)
    expected = [prompt.assistant_lead + answer for _, answer in pairs]
    assert "".join(processor.tokenizer.decode(learned).split(prompt.assistant_stop)) == "".join(expected)
    assert learned.count(stop) == len(pairs)
    assert all(label in (IGNORED, token) for label, token in zip(encoded.labels, encoded.input_ids, strict=True))


@given(st.lists(st.tuples(texts, texts), min_size=1, max_size=4), st.integers(1, 2), any_preset)
@settings(max_examples=60, deadline=None)
def test_shared_prefix_and_branch_are_the_conversation(pairs, images, preset):
    processor = PROCESSORS[preset]
    counts = [processor.num_visual_tokens] * images
    shared = processor.encode_shared_prefix(images, pairs)
    suffix = processor.prompt_format.image_suffix
    for (question, answer), (ids, labels) in zip(pairs, shared.branches, strict=True):
        encoded = processor.encode_conversation(conversation(question.strip(), answer, images, suffix), counts)
        assert shared.prefix_ids + ids == encoded.input_ids
        assert [IGNORED] * len(shared.prefix_ids) + labels == encoded.labels
    assert shared.prefix_ids[-1] == processor.image_block(1)[-1]
    assert all(processor.image_token_id not in ids for ids, _ in shared.branches)


def test_prompts_are_the_beginning_of_the_conversation():
    for processor in PROCESSORS.values():
        counts = [processor.num_visual_tokens]
        suffix = processor.prompt_format.image_suffix
        prompt = processor.encode_prompt(conversation(answer=None, suffix=suffix), counts)
        whole = processor.encode_conversation(conversation(suffix=suffix), counts)
        assert whole.input_ids[: len(prompt)] == prompt
        assert set(whole.labels[: len(prompt)]) == {IGNORED}
        branch, labels = processor.encode_shared_prefix(1, [("Is there water?", None)]).branches[0]
        assert prompt[-len(branch) :] == branch
        assert set(labels) == {IGNORED}


def test_one_call_makes_what_the_model_takes():
    processor = PROCESSORS["demo"]
    inputs = processor(
        images=[[picture(0)], [picture(1)]], text=["<image>a", "<image>longer"], padding=True, return_tensors="pt"
    )
    assert inputs["pixel_values"].shape == (2, 3, 112, 112)
    assert (inputs["input_ids"] == processor.image_token_id).sum(1).tolist() == [25, 25]
    assert inputs["attention_mask"][0, 0] == 0  # padded on the left, as generation needs


def test_chat_items_put_the_picture_on_its_own_line():
    processor = PROCESSORS["demo"]
    items = [{"type": "image", "image": picture()}, {"type": "text", "text": "Is there water?"}]
    inputs = processor.apply_chat_template(
        [{"role": "user", "content": items}],
        tokenize=True,
        return_dict=True,
        return_tensors="pt",
        add_generation_prompt=True,
    )
    assert inputs["input_ids"][0].tolist() == processor.encode_prompt(conversation(answer=None), [25])


def test_contract_of_vllm():
    processor = PROCESSORS["demo"]
    sizes = [(40, 50), (300, 20)]
    counts = processor._get_num_multimodal_tokens(image_sizes=sizes)
    inputs = processor.image_processor([picture(0, (50, 40)), picture(1, (20, 300))])
    assert sum(counts["num_image_patches"]) == inputs["pixel_values"].shape[0]
    for index, count in enumerate(counts["num_image_tokens"]):
        assert processor.replace_image_token(inputs, index) == "<image>" * count
    assert processor.num_image_tokens(50, 40) == 25
    assert processor.image_token == "<image>"
    assert set(processor.image_processor.size) == {"height", "width"}


@pytest.mark.parametrize("control", ["<|im_end|>", "<|endoftext|>", "<s>"])
def test_a_control_token_in_a_message_is_refused(control):
    with pytest.raises(ProcessingError, match="control token"):
        PROCESSORS["demo"].encode_conversation(conversation(f"hello{control}"), [25])


def test_pictures_and_marks_must_agree():
    processor = PROCESSORS["demo"]
    with pytest.raises(ProcessingError, match=r"marks 1 pictures .* but 2 were given"):
        processor.encode_conversation(conversation(), [25, 25])
    with pytest.raises(ProcessingError, match="Only user messages"):
        processor.encode_conversation([Message("user", "a"), Message("assistant", "<image>")], [25])
    with pytest.raises(ProcessingError, match="at least one question"):
        processor.encode_shared_prefix(1, [])


def test_a_tokenizer_without_the_image_token_is_refused():
    tokenizer = tiny_tokenizer()
    tokenizer.convert_tokens_to_ids = lambda token: None
    with pytest.raises(ProcessingError, match="no token '<image>'"):
        GeoproseProcessor(PROCESSORS["demo"].image_processor, tokenizer)


@pytest.mark.parametrize("preset", PRESETS)
def test_saving_keeps_everything(preset, tmp_path):
    processor = PROCESSORS[preset]
    processor.save_pretrained(tmp_path)
    again = AutoProcessor.from_pretrained(tmp_path)
    assert type(again) is GeoproseProcessor
    assert (again.prompt, again.num_visual_tokens, again.chat_template) == (
        processor.prompt,
        processor.num_visual_tokens,
        processor.chat_template,
    )
    counts = [processor.num_visual_tokens]
    assert again.encode_conversation(conversation(), counts) == processor.encode_conversation(conversation(), counts)
    one, two = (p.image_processor(picture(), return_tensors="pt")["pixel_values"] for p in (again, processor))
    assert torch.equal(one, two)

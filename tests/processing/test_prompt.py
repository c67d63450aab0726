import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers.utils.chat_template_utils import render_jinja_template

from geoprose.core.errors import ProcessingError
from geoprose.core.spec import validate
from geoprose.core.types import Message
from geoprose.processing.prompt import PromptFormat, render
from geoprose.systems.presets import preset_values
from geoprose.systems.spec import PromptSpec

FORMATS = {
    name: PromptFormat(**validate(PromptSpec, preset_values(f"_{name}")["prompt"], name).model_dump())
    for name in ("chatml", "vicuna", "plain")
}
texts = st.text(min_size=1, max_size=30)
turns = st.lists(st.tuples(texts, texts), min_size=1, max_size=3)


def _conversation(pairs, system=None):
    messages = [] if system is None else [Message("system", system)]
    for question, answer in pairs:
        messages += [Message("user", question), Message("assistant", answer)]
    return messages


def test_chatml_is_that_of_smollm2_without_its_system_message():
    text = render(_conversation([("<image>\nWhat?", "Water.")]), FORMATS["chatml"]).text
    assert text == "<|im_start|>user\n<image>\nWhat?<|im_end|>\n<|im_start|>assistant\nWater.<|im_end|>\n"


def test_vicuna_is_that_of_llava():
    system = (
        "A chat between a curious user and an artificial intelligence assistant. "
        "The assistant gives helpful, detailed, and polite answers to the user's questions."
    )
    messages = _conversation([("<image>\nWhat?", "Water.")])
    assert render(messages, FORMATS["vicuna"]).text == f"<s>{system} USER: <image>\nWhat? ASSISTANT: Water.</s>"
    prompt = render(messages[:1], FORMATS["vicuna"], add_generation_prompt=True).text
    assert prompt == f"<s>{system} USER: <image>\nWhat? ASSISTANT:"


def test_plain_is_short():
    messages = _conversation([("<image>\nWhat?", "Water.")])
    assert render(messages, FORMATS["plain"]).text == "<image>\nWhat?\nWater.<|endoftext|>"


@given(turns, st.none() | texts, st.sampled_from(sorted(FORMATS)), st.booleans())
@settings(max_examples=60, deadline=None)
def test_the_jinja_template_renders_the_same(pairs, system, name, is_prompt):
    prompt = FORMATS[name]
    messages = _conversation(pairs, system)
    messages = messages[:-1] if is_prompt else messages
    chat = [{"role": m.role, "content": m.text} for m in messages]
    rendered, _ = render_jinja_template(
        conversations=[chat], chat_template=prompt.chat_template(), add_generation_prompt=is_prompt
    )
    assert render(messages, prompt, add_generation_prompt=is_prompt).text == rendered[0]


@given(turns, st.sampled_from(sorted(FORMATS)))
def test_targets_are_the_answers_and_what_ends_them(pairs, name):
    prompt = FORMATS[name]
    rendered = render(_conversation(pairs), prompt)
    found = [rendered.text[start:end] for start, end in rendered.target_spans]
    assert found == [prompt.assistant_lead + answer + prompt.assistant_stop for _, answer in pairs]


def test_impossible_conversations_are_refused():
    with pytest.raises(ProcessingError, match="at least one message"):
        render([], FORMATS["chatml"])
    with pytest.raises(ProcessingError, match="first message"):
        render([Message("user", "a"), Message("system", "b")], FORMATS["chatml"])

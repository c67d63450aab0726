"""The adapter for VLMEvalKit: messages, conversations, its table of models, and its tables read back by ``score``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pytest
import torch

from geoprose.core.errors import ConfigError, InputError, ResourceError
from geoprose.core.types import Message
from geoprose.evaluation.interop import vlmevalkit
from geoprose.evaluation.score.request import ScoreRequest
from geoprose.evaluation.score.run import score_file
from geoprose.inference.generate import Request, answer_batch
from tests.fixtures import kits
from tests.fixtures.systems import picture, tiny_system

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from geoprose.systems.build import System


@pytest.fixture(scope="module")
def system() -> System:
    return tiny_system("rsicd-small", dtype=torch.float32)


@pytest.fixture
def known(system: System, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """The stand-in's table of models."""
    monkeypatch.setattr("geoprose.evaluation.interop.answerer.load_answering_system", lambda _: system)
    vlmevalkit.model_class.cache_clear()
    yield kits.install_vlmevalkit(monkeypatch)
    vlmevalkit.model_class.cache_clear()


@pytest.fixture
def model(known: dict[str, Any]) -> Any:
    """The adapter, made as the kit makes it."""
    vlmevalkit.register("rs-tiny", "here", max_new_tokens=6)
    return known["rs-tiny"](use_vllm=False)


@pytest.fixture
def paths(tmp_path: Path) -> list[str]:
    """Pictures on disk, as the kit hands them over."""
    for seed in range(3):
        picture(seed).save(tmp_path / f"{seed}.png")
    return [str(tmp_path / f"{seed}.png") for seed in range(3)]


def image(path: str) -> dict[str, str]:
    return {"type": "image", "value": path}


def text(value: str, **more: str) -> dict[str, str]:
    return {"type": "text", "value": value} | more


def test_answers_are_those_of_the_library(model: Any, system: System, paths: list[str]) -> None:
    message = [image(paths[0]), image(paths[1]), text("Which has water?")]
    expected = answer_batch(system, [Request((picture(0), picture(1)), "Which has water?")], 6)
    assert [model.generate(message, dataset="MMBench")] == expected
    assert model.generate([*message[1::-1], message[2]]) != expected[0]


def test_texts_and_pictures_alternate_and_a_system_text_leads(model: Any, system: System, paths: list[str]) -> None:
    message = [text("Be brief.", role="system"), text("Before:"), image(paths[0]), text("What changed?")]
    request = Request((picture(0),), "Before:\n<image>\nWhat changed?", (Message("system", "Be brief."),))
    assert [model.generate(message)] == answer_batch(system, [request], 6)


def test_a_conversation_keeps_its_turns(model: Any, system: System, paths: list[str]) -> None:
    turns = [
        {"role": "user", "content": [image(paths[2]), text("What is it?")]},
        {"role": "assistant", "content": "A port."},
        {"role": "user", "content": [text("Sure?")]},
    ]
    history = (Message("user", "<image>\nWhat is it?"), Message("assistant", "A port."))
    assert [model.chat(turns)] == answer_batch(system, [Request((picture(2),), "Sure?", history)], 6)


def test_a_begun_answer_is_refused(model: Any) -> None:
    with pytest.raises(InputError, match="ends with assistant"):
        model.generate([text("A or B?"), text("Best Option: (", role="assistant")])


def test_what_the_kit_reads_off_a_model(model: Any) -> None:
    assert (model.INTERLEAVE, model.VIDEO_LLM, model.is_api) == (True, False, False)
    assert model.use_custom_prompt("MMBench") is False
    model.set_dump_image(lambda line: line)


def test_a_name_that_is_taken_and_unknown_options_are_refused(known: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="already has a model GPT4V"):
        vlmevalkit.register("GPT4V", "here")
    vlmevalkit.register("mine", "here", tempo=1)
    with pytest.raises(ConfigError, match="tempo is unknown"):
        known["mine"]()


def test_configs_of_the_kit_find_the_class(model: Any) -> None:
    assert isinstance(model, sys.modules["vlmeval.vlm"].Geoprose)  # type: ignore[attr-defined]
    assert isinstance(model, kits.VlmBase)


def test_without_the_kit_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "vlmeval", None)
    with pytest.raises(ResourceError, match="Install VLMEvalKit"):
        vlmevalkit.register("x", "here")


def test_what_the_adapter_answered_is_scored_from_the_kits_own_table(
    model: Any, paths: list[str], tmp_path: Path
) -> None:
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    book.active.append(["index", "question", "A", "B", "answer", "category", "image_path", "prediction"])
    said = [model.generate([image(path), text("What is it?")]) for path in paths]
    for index, (path, answer) in enumerate(zip(paths, ["A", said[1], "(B) a plane"], strict=True)):
        book.active.append([index, "What is it?", "a ship", "a plane", "B", "scene", path, answer or None])
    book.save(tmp_path / "rs-tiny_DATA.xlsx")
    result = score_file(ScoreRequest(tmp_path / "rs-tiny_DATA.xlsx", "choice"))
    assert result["overall"]["n"] == 3
    assert result["overall"]["accuracy"] == pytest.approx(1 / 3)


def test_the_stand_in_is_the_real_base_class() -> None:
    real = kits.real_class("vlmeval", "vlm/base.py", "BaseModel")
    assert {name: real[name] for name in kits.VLMEVALKIT_METHODS} == kits.VLMEVALKIT_METHODS

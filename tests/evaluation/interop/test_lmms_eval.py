"""The adapter for lmms-eval: its requests in both forms, its registry, and its files read back by ``score``."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import pytest
import torch

from geoprose.core.errors import ConfigError, ResourceError
from geoprose.evaluation.interop import lmms_eval
from geoprose.evaluation.score.request import ScoreRequest
from geoprose.evaluation.score.run import score_file
from geoprose.inference.generate import Request, answer_batch
from geoprose.inference.likelihood import OptionRequest, rank_options
from tests.fixtures import kits
from tests.fixtures.systems import picture, tiny_system

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from geoprose.systems.build import System

DOCS = [
    {"image": picture(seed), "question": text, "answer": "yes", "options": ["yes", "no"]}
    for seed in range(2)
    for text in ("Is there water?", "Is it rural?")
]
GREEDY = {"max_new_tokens": 6, "temperature": 0, "until": ["\n\n"]}


@pytest.fixture(scope="module")
def system() -> System:
    return tiny_system("rsicd-small", dtype=torch.float32)


@pytest.fixture
def make(system: System, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A function that makes the adapter with the stand-in's base class."""
    kits.install_lmms_eval(monkeypatch)
    monkeypatch.setattr("geoprose.evaluation.interop.answerer.load_answering_system", lambda _: system)
    lmms_eval.model_class.cache_clear()

    def made(is_simple: bool, **arguments: Any) -> Any:
        model = lmms_eval.model_class(is_simple)(pretrained="here", batch_size=8, device="cpu", **arguments)
        model.task_dict = {"task": {"test": DOCS}}
        return model

    yield made
    lmms_eval.model_class.cache_clear()


def visuals(doc: dict[str, Any]) -> list[Any]:
    return [doc["image"]]


def messages(doc: dict[str, Any], **more: Any) -> Any:
    number = more.get("round_idx")
    if number == 2:
        assert more["previous_round_info"] == "told"
        return None, True, more["previous_output"], None
    text = doc["question"] if number is None else f"You said {more['previous_output'][-1]}. Sure?"
    content = [{"type": "image", "url": doc["image"]}, {"type": "text", "text": text}]
    turns = [{"role": "user", "content": content}]
    return turns if number is None else (turns, False, more["previous_output"], "told")


def rounds(doc: dict[str, Any], previous_output: list[str], round_idx: int, previous_round_info: Any) -> Any:
    if round_idx == 2:
        return None, None, True, previous_output, None
    return [doc["image"]], f"You said {previous_output[-1]}. Sure?", False, previous_output, "told"


def expected(system: System, doc: dict[str, Any], text: str = "") -> str:
    return answer_batch(system, [Request((doc["image"],), text or doc["question"])], 6)[0]


def test_both_forms_give_the_answers_of_the_library(make: Any, system: System) -> None:
    chat, simple = make(is_simple=False), make(is_simple=True)
    asked = [kits.Instance(("ctx", messages, GREEDY, place, "task", "test")) for place in range(4)]
    plain = [kits.Instance((doc["question"], GREEDY, visuals, n, "task", "test")) for n, doc in enumerate(DOCS)]
    answers = [expected(system, doc) for doc in DOCS]
    assert chat.generate_until(asked) == answers
    assert simple.generate_until(plain) == answers
    assert chat.cache_hook.told == [("generate_until", ("ctx", GREEDY), answer) for answer in answers]
    assert (chat.is_simple, simple.is_simple) == (False, True)


def test_options_are_losses_wrapped_so_that_the_evaluator_keeps_the_pairs(make: Any, system: System) -> None:
    asked = [
        kits.Instance((doc["question"], f" {option}", visuals, place, "task", "test"))
        for place, doc in enumerate(DOCS)
        for option in doc["options"]
    ]
    values = rank_options(system, [OptionRequest((d["image"],), d["question"], ("yes", "no")) for d in DOCS])
    flat = [value for row in values for value in row]
    results = make(is_simple=True).loglikelihood(asked)
    kept = [kits.unwrap_generation_output(result)[0] for result in results]
    assert [pair[0] for pair in kept] == pytest.approx([-value for value in flat])  # the kit takes the smallest
    plain = make(is_simple=True, likelihood_as="log_likelihood").loglikelihood(asked)
    assert [result.text[0] for result in plain] == pytest.approx(flat)


def test_a_target_may_be_a_function_and_a_context_may_stand_alone(make: Any) -> None:
    asked = [
        kits.Instance((DOCS[0]["question"], lambda doc: doc["answer"], visuals, 0, "task", "test")),
        kits.Instance(("", "yes")),
    ]
    (seen, _), (alone, _) = (result.text for result in make(is_simple=True).loglikelihood(asked))
    assert seen != alone


@pytest.mark.parametrize("is_simple", [False, True])
def test_rounds_follow_what_the_task_says(make: Any, system: System, is_simple: bool) -> None:
    args = (
        (DOCS[1]["question"], GREEDY, visuals, rounds, 1, "task", "test")
        if is_simple
        else ("ctx", messages, GREEDY, 1, "task", "test")
    )
    first = expected(system, DOCS[1])
    second = expected(system, DOCS[1], f"You said {first}. Sure?")
    assert make(is_simple).generate_until_multi_round([kits.Instance(args)]) == [[first, second]]


def test_a_task_without_end_is_stopped(make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lmms_eval, "MAX_ROUNDS", 1)
    with pytest.raises(Exception, match="more than 1 rounds"):
        make(is_simple=False).generate_until_multi_round([kits.Instance(("c", messages, GREEDY, 0, "task", "test"))])


def test_the_registry_finds_the_classes_that_the_manifest_names(make: Any, repository: Path) -> None:
    manifest = lmms_eval.manifest()
    for path, is_simple in ((manifest.chat_class_path, False), (manifest.simple_class_path, True)):
        module, name = path.rsplit(".", 1)
        assert module == lmms_eval.__name__
        found = getattr(lmms_eval, name)
        assert issubclass(found, kits.Lmms)
        assert found.is_simple is is_simple
        assert not found.__abstractmethods__
    assert f'geoprose = "{lmms_eval.__name__}:manifest"' in (repository / "pyproject.toml").read_text()
    with pytest.raises(AttributeError):
        lmms_eval.Nothing  # noqa: B018 - the lookup is what is tested


@pytest.mark.parametrize(
    ("arguments", "message"),
    [({"tempo": 1}, "tempo is unknown"), ({"likelihood_as": "x"}, "likelihood_as=x"), ({"batch_size": "auto"}, "auto")],
)
def test_wrong_arguments_are_named(arguments: dict[str, Any], message: str, make: Any) -> None:
    with pytest.raises(ConfigError, match=message):
        lmms_eval.model_class()(**{"pretrained": "here"} | arguments)


def test_without_the_kit_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "lmms_eval", None)
    with pytest.raises(ResourceError, match="pip install lmms_eval"):
        lmms_eval.manifest()
    assert lmms_eval.pair_wrapper()((1.0, True)) == (1.0, True)


def test_what_the_adapter_answered_is_scored_from_the_kits_own_file(make: Any, tmp_path: Path) -> None:
    asked = [kits.Instance(("ctx", messages, GREEDY, place, "task", "test")) for place in range(4)]
    answers = make(is_simple=False).generate_until(asked)
    lines = [
        {"doc_id": n, "target": answers[n] if n else "no", "filtered_resps": answer, "doc_hash": "0", "input": "?"}
        for n, answer in enumerate(answers)
    ]
    path = tmp_path / "20261121_samples_task.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    result = score_file(ScoreRequest(path, "vqa"))
    assert result["overall"]["n"] == 4
    assert result["overall"]["accuracy"] == 0.75


def test_the_stand_in_is_the_real_base_class() -> None:
    assert kits.LMMS_ABSTRACT.keys() == kits.Lmms.__abstractmethods__
    real = kits.real_class("lmms_eval", "api/model.py", "lmms")
    assert {name: real[name] for name in kits.LMMS_ABSTRACT} == kits.LMMS_ABSTRACT

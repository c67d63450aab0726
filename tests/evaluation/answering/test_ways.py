"""Every way of answering on tiny systems: right where the answer is known, refused where it cannot be given."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from PIL import Image

from geoprose.core.errors import ConfigError, TaskError
from geoprose.core.types import Message, Sample
from geoprose.data.neutral import write_samples
from geoprose.evaluation.answering.base import Examinee, Question, Reply
from geoprose.evaluation.answering.dense import run_lengths, written
from geoprose.evaluation.answering.likelihood import best_of
from geoprose.evaluation.answering.registry import ANSWERINGS, build_answering
from geoprose.evaluation.answering.retrieval import Retrieve
from geoprose.evaluation.answering.turns import answer_in_turns
from geoprose.evaluation.predictions import read_predictions
from geoprose.evaluation.run import EvaluateOptions, evaluate
from geoprose.evaluation.tasks import PromptSpec, QuestionType
from geoprose.inference.generate import Request, answer_batch
from geoprose.systems.build import build_system
from tests.fixtures.questions import COLOURS, colour_task, write_colours
from tests.fixtures.systems import randomise, tiny_system

if TYPE_CHECKING:
    from pathlib import Path

    from geoprose.systems.build import System

QUIET = EvaluateOptions(has_report=False)


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_colours(tmp_path_factory.mktemp("colours") / "data", count=6)


@pytest.fixture(scope="module")
def writer() -> System:
    return tiny_system(dtype=torch.float32)


@pytest.fixture(scope="module")
def dual() -> System[Any]:
    system = build_system("clip-vit-l-14", scale="tiny")
    randomise(system.model, seed=1)
    return system


def _rows(out: Path) -> dict[str, Any]:
    return {row.id: row for row in read_predictions(out / "predictions.jsonl")}


def test_likelihood_gives_every_option_a_score_and_the_best_is_the_answer(
    writer: System, data_dir: Path, tmp_path: Path
) -> None:
    task = colour_task(answering="likelihood", baselines=("shuffled",))
    result = evaluate(writer, task, data_dir, tmp_path, QUIET)
    for row in _rows(tmp_path).values():
        labels = sorted(COLOURS) if row.task == "colour" else ["no", "yes"]
        assert list(row.scores) == labels  # the answers that occur, sorted
        assert row.prediction == max(row.scores, key=lambda label: row.scores[label])
        assert all(score < 0 for score in row.scores.values())
    assert result["parse_failures"]["n"] == 0  # an option is always an answer
    by_mean = colour_task(answering="likelihood", answering_options={"is_mean": True}, baselines=())
    evaluate(writer, by_mean, data_dir, tmp_path / "mean", QUIET)
    means = _rows(tmp_path / "mean")
    one = next(iter(means))
    lengths = {label: score / means[one].scores[label] for label, score in _rows(tmp_path)[one].scores.items()}
    assert all(tokens == pytest.approx(round(tokens), rel=1e-4) for tokens in lengths.values())
    assert lengths["green"] > lengths["blue"] > lengths["red"]  # bytes


def test_letters_may_be_ranked_instead_of_texts(writer: System, data_dir: Path, tmp_path: Path) -> None:
    prompt = PromptSpec(template="{question}\n{options}")
    options = {"rank": "letter"}
    task = colour_task(answering="likelihood", answering_options=options, prompt=prompt, baselines=())
    evaluate(writer, task, data_dir, tmp_path, QUIET)
    row = _rows(tmp_path)["test-0-colour"]
    assert list(row.scores) == ["A", "B", "C"]
    assert row.prompt == "Which colour?\n(A) blue\n(B) green\n(C) red"


def test_contrastive_names_the_nearest_label(dual: System[Any], data_dir: Path, tmp_path: Path) -> None:
    from geoprose.inference.zero_shot import LabelClassifier

    task = colour_task(answering="contrastive", labels=tuple(COLOURS), baselines=("shuffled",))
    evaluate(dual, task, data_dir, tmp_path, QUIET)
    rows = _rows(tmp_path)
    classifier = LabelClassifier(dual, tuple(COLOURS))
    for name, row in rows.items():
        ranked = classifier.classify([data_dir / row.images[0]])
        assert row.prediction == ranked[0][0].label, name
        assert list(row.scores) == list(COLOURS)


def test_each_kind_of_system_answers_in_its_own_way_only(writer: System, dual: System[Any], data_dir: Path) -> None:
    dense = build_system("segclip", scale="tiny")
    able = {
        "generate": writer,
        "likelihood": writer,
        "contrastive": dual,
        "retrieval": dual,
        "dense": dense,
    }
    assert set(able) == set(ANSWERINGS.names())
    for name, right in able.items():
        way = build_answering(colour_task(answering=name))
        way.check(right)
        for system in (writer, dual, dense):
            if system is not right:
                with pytest.raises(TaskError, match=f"of kind {system.spec.kind}, which cannot answer by '{name}'"):
                    way.check(system)
    with pytest.raises(TaskError, match="nothing before it"):
        build_answering(colour_task(answering="retrieval", prompt=PromptSpec(shots=1)))
    with pytest.raises(ConfigError, match="does not take"):
        build_answering(colour_task(answering="generate", answering_options={"rank": "text"}))


def test_solved_examples_change_the_answer_and_are_recorded(writer: System, data_dir: Path, tmp_path: Path) -> None:
    task = colour_task(baselines=(), max_new_tokens=6)
    evaluate(writer, task, data_dir, tmp_path / "0", QUIET)
    evaluate(writer, task, data_dir, tmp_path / "2", EvaluateOptions(has_report=False, shots=2))
    without, shown = _rows(tmp_path / "0"), _rows(tmp_path / "2")
    row = shown["test-0-colour"]
    assert len(row.shots) == 2
    assert all(name.startswith("train-") and name.endswith("-colour") for name in row.shots)
    assert without["test-0-colour"].shots == ()
    assert [one.prediction for one in without.values()] != [one.prediction for one in shown.values()]
    run = json.loads((tmp_path / "2" / "run.json").read_text())
    assert run["task"]["prompt"]["shots"] == 2
    text = run["rendered_example"]
    assert text.count("<image>") == 3
    assert text.count("Which colour?") == 3
    assert text.endswith(writer.spec.prompt.assistant_prefix)
    number = row.shots[0].split("-")[1]
    colour = list(COLOURS)[int(number) % 3]
    other = list(COLOURS)[int(row.shots[1].split("-")[1]) % 3]
    history = (
        Message("user", "<image>\nWhich colour?"),
        Message("assistant", colour),
        Message("user", "<image>\nWhich colour?"),
        Message("assistant", other),
    )
    images = tuple(
        data_dir / f"images/{name}.png" for name in (f"train-{number}", f"train-{row.shots[1].split('-')[1]}", "test-0")
    )
    assert answer_batch(writer, [Request(images, "Which colour?", history)], 6) == [row.prediction]


class _Echo:
    """Answers with what it was shown."""

    is_setwise = False

    def check(self, system: Any) -> None:
        """Take any."""

    def answer(self, examinee: Any, questions: Any, on_progress: Any = None) -> list[Reply]:
        replies = [Reply(f"{q.text}!{len(q.history)}/{len(q.images)}") for q in questions]
        if on_progress:
            on_progress(len(replies), len(replies))
        return replies


def test_later_turns_see_the_systems_own_earlier_answers(writer: System, tmp_path: Path) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")

    def turn(number: int) -> Question:
        sample = Sample(f"t/turn-{number}", ("a.png",), (), meta={"turn_of": "t", "turn": number})
        return Question(sample, (tmp_path / "a.png",), f"q{number}")

    alone = Question(Sample("alone", (), ()), (), "alone")
    seen: list[tuple[int, int]] = []
    histories: list[tuple[Message, ...]] = []

    class Spy(_Echo):
        def answer(self, examinee: Any, questions: Any, on_progress: Any = None) -> list[Reply]:
            histories.extend(question.history for question in questions)
            return super().answer(examinee, questions, on_progress)

    questions = [turn(1), turn(2), alone, turn(3)]
    replies = answer_in_turns(Spy(), Examinee(writer, 1, 1), questions, "\n", lambda *pair: seen.append(pair))
    assert [reply.text for reply in replies] == ["q1!0/1", "q2!2/1", "alone!0/0", "q3!4/1"]
    assert seen == [(2, 4), (3, 4), (4, 4)]
    assert histories[-1] == (
        Message("user", "<image>\nq1"),
        Message("assistant", "q1!0/1"),
        Message("user", "q2"),
        Message("assistant", "q2!2/1"),
    )


def test_a_conversation_is_answered_and_scored_turn_by_turn(writer: System, tmp_path: Path) -> None:
    Image.new("RGB", (24, 24), (200, 0, 0)).save(tmp_path / "a.png")
    turns = (
        Message("user", "<image>\nWhich colour?"),
        Message("assistant", "red"),
        Message("user", "Sure?"),
        Message("assistant", "yes"),
    )
    write_samples([Sample("talk", ("a.png",), turns, "colour", "test")], tmp_path / "test.jsonl")
    task = colour_task(prompt=PromptSpec(is_multi_turn=True), baselines=(), train_split="train")
    result = evaluate(writer, task, tmp_path, tmp_path / "out", QUIET)
    rows = _rows(tmp_path / "out")
    assert list(rows) == ["talk/turn-1", "talk/turn-2"]
    assert result["overall"]["n"] == 2
    said = rows["talk/turn-1"].prediction
    history = (turns[0], Message("assistant", said))
    assert answer_batch(writer, [Request((tmp_path / "a.png",), "Sure?", history)], 3) == [
        rows["talk/turn-2"].prediction
    ]


def test_retrieval_ranks_both_sides_and_keeps_every_right_candidate(
    dual: System[Any], data_dir: Path, tmp_path: Path
) -> None:
    from geoprose.inference.zero_shot import embed_images, embed_texts

    pictures = [f"images/test-{number}.png" for number in range(6)]
    texts = [f"a {name} field, number {number}" for number, name in enumerate([*COLOURS, *COLOURS])]
    samples = [
        Sample(f"i{n}", (path,), (Message("user", "<image>"),), "image_to_text", "test", meta={"answers": [f"t{n}"]})
        for n, path in enumerate(pictures)
    ]
    samples += [
        Sample(f"t{n}", (), (Message("user", text),), "text_to_image", "test", meta={"answers": [f"i{n}"]})
        for n, text in enumerate(texts)
    ]
    questions = [
        Question(one, tuple(data_dir / image for image in one.images), one.messages[0].text.replace("<image>", ""))
        for one in samples
    ]
    replies = Retrieve().answer(Examinee(dual, 1, 8), questions)
    similarity = embed_texts(dual, texts) @ embed_images(dual, [data_dir / path for path in pictures]).T
    for n in range(6):
        found = json.loads(replies[6 + n].text)
        order = np.argsort(-similarity[n].numpy(), kind="stable")
        assert found == [f"i{place}" for place in order]
        assert replies[6 + n].scores[f"i{n}"] == pytest.approx(float(similarity[n, n]), abs=1e-6)
        back = json.loads(replies[n].text)
        assert back[0] == f"t{int(similarity[:, n].argmax())}"
    with pytest.raises(TaskError, match="0 of image_to_text"):
        Retrieve().answer(Examinee(dual, 1, 8), questions[6:])
    with pytest.raises(TaskError, match="None of the right answers of t0"):
        Retrieve().answer(Examinee(dual, 1, 8), questions[1:])


@pytest.mark.parametrize(("name", "dates"), [("segclip", 1), ("changeclip", 2)])
def test_dense_systems_draw_masks_at_the_size_of_the_picture(name: str, dates: int, tmp_path: Path) -> None:
    system = build_system(name, scale="tiny")
    randomise(system.model, seed=2)
    for number in range(2):
        pixels = np.random.default_rng(number).integers(0, 256, (30, 50, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{number}.png")
    paths = tuple(tmp_path / f"{number}.png" for number in range(dates))
    way = build_answering(colour_task(answering="dense"))
    [reply] = way.answer(Examinee(system, 1, 1), [Question(Sample("s", (), ()), paths, "")])
    mask = json.loads(reply.text)
    assert mask["size"] == [30, 50]
    counts = [mask["counts"]] if "counts" in mask else list(mask["classes"].values())
    assert all(sum(runs) == 30 * 50 for runs in counts)
    assert ("classes" in mask) == (name == "segclip")


def test_run_lengths_of_a_hand_written_mask() -> None:
    mask = np.array([[0, 1], [0, 1], [1, 0]], dtype=bool)
    assert run_lengths(mask) == [2, 3, 1]  # down the columns: 0 0 1 1 1 0
    assert run_lengths(~mask) == [0, 2, 3, 1]
    assert run_lengths(np.zeros((2, 2), dtype=bool)) == [4]
    assert json.loads(written(np.array([[0, 1]], dtype=np.uint8), ("stay", "change"))) == {
        "size": [1, 2],
        "counts": [1, 1],
    }


def test_the_first_of_equal_options_wins() -> None:
    assert best_of(("a", "b", "c"), (-2.0, -1.0, -1.0)).text == "b"


def test_options_are_required_where_they_are_ranked(writer: System) -> None:
    way = build_answering(colour_task(answering="likelihood"))
    with pytest.raises(TaskError, match="1 questions have no options"):
        way.answer(Examinee(writer, 1, 1), [Question(Sample("s", (), ()), (), "?")])


def test_circular_orders_are_asked_and_grouped(writer: System, tmp_path: Path) -> None:
    Image.new("RGB", (24, 24), (200, 0, 0)).save(tmp_path / "a.png")
    meta = {"options": ["red", "green", "blue"], "answer_index": 0, "answers": ["red"]}
    turns = (Message("user", "<image>\nWhich colour?"), Message("assistant", "red"))
    write_samples([Sample("q", ("a.png",), turns, "colour", "test", meta=meta)], tmp_path / "test.jsonl")
    prompt = PromptSpec(is_circular=True, template="{question} {labels}")
    task = colour_task(prompt=prompt, baselines=(), types={"colour": QuestionType(metric="exact", is_closed=False)})
    evaluate(writer, task, tmp_path, tmp_path / "out", QUIET)
    prompts = {row.id: row.prompt for row in _rows(tmp_path / "out").values()}
    assert prompts == {
        "q": "Which colour? red, green, blue",
        "q/order-1": "Which colour? green, blue, red",
        "q/order-2": "Which colour? blue, red, green",
    }

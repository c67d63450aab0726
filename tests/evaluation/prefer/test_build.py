"""From a system and a task to preference records: pairs, counts, card, determinism, going on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from geoprose.core.errors import DataError, TaskError
from geoprose.data.neutral import read_samples
from geoprose.data.preferences import answer_of, rejected_of
from geoprose.evaluation.prefer import sampled
from geoprose.evaluation.prefer.build import PreferOptions, build_preferences
from geoprose.inference.sample import Sampling
from tests.fixtures.questions import colour_task, write_colours
from tests.fixtures.systems import tiny_system
from tests.fixtures.training import stage, write_recipe

OPTIONS = PreferOptions(Sampling(3))


def _say(request: Any) -> list[str]:
    """Answer by the picture's number: all colours, one wrong colour only, or the right one only."""
    number = int(Path(request.images[0]).stem.rpartition("-")[2])
    if "warm" in request.question:
        return ["no", "maybe", "no"]
    return [["blue", "red", ""], ["red"] * 3, ["blue"] * 3][number % 3]


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(sampled, "sample_answers", lambda system, request, sampling, seed: _say(request))
    return write_colours(tmp_path / "data", 6)


def test_pairs_counts_and_card(data: Path) -> None:
    out = data / "pairs.jsonl"
    card = build_preferences(tiny_system("demo"), colour_task(), data, out, OPTIONS)
    pairs = read_samples(out)
    by_id = {pair.id: (answer_of(pair), rejected_of(pair)) for pair in pairs}
    assert by_id["train-0-colour"] == ("red", "blue")
    assert by_id["train-1-warm"] == ("no", "maybe")
    assert "train-1-colour" not in by_id  # all say red, and it is green
    assert "train-2-colour" not in by_id  # all say blue, and it is
    assert card["preferences"]["questions"] == {"pair": 6, "tie": 2, "all_bad": 4}
    assert len(pairs) == 6
    pair = pairs[0]
    assert pair.images == ("images/train-0.png",)
    assert pair.messages[0].text == "<image>\nWhich colour?"
    assert pair.meta["prefer"] == {"chosen_score": 1.0, "rejected_score": 0.0, "mean_score": pytest.approx(1 / 3)}
    assert pair.meta["answers"] == ["red"]
    assert json.loads((data / "pairs.card.json").read_text()) == card
    assert set(card["files"]) == {"pairs.jsonl", "pairs.answers.jsonl"}
    assert card["preferences"]["sampling"]["num_answers"] == 3
    assert card["preferences"]["sampling"]["max_new_tokens"] == 3


def test_records_elsewhere_still_find_their_pictures(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "elsewhere" / "pairs.jsonl"
    build_preferences(tiny_system("demo"), colour_task(), data, out, OPTIONS)
    pair = read_samples(out)[0]
    assert (out.parent / pair.images[0]).is_file()


def test_a_stopped_run_goes_on_and_gives_the_same(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = data / "whole.jsonl"
    build_preferences(tiny_system("demo"), colour_task(), data, whole, OPTIONS)
    asked: list[Any] = []

    def killed(system: Any, request: Any, sampling: Any, seed: int) -> list[str]:
        asked.append(request)
        if len(asked) == 5:
            raise KeyboardInterrupt
        return _say(request)

    out = data / "stopped.jsonl"
    monkeypatch.setattr(sampled, "sample_answers", killed)
    with pytest.raises(KeyboardInterrupt):
        build_preferences(tiny_system("demo"), colour_task(), data, out, OPTIONS)
    assert not out.exists()
    with (data / "stopped.answers.jsonl").open("a") as handle:
        handle.write('{"id": "train-9')
    build_preferences(tiny_system("demo"), colour_task(), data, out, OPTIONS)
    assert len(asked) == 5 + 8  # 4 of 12 were there
    assert out.read_bytes() == whole.read_bytes()
    with pytest.raises(DataError, match="seed differ"):
        build_preferences(tiny_system("demo"), colour_task(), data, out, PreferOptions(Sampling(3), seed=1))


def test_nothing_to_learn_from_is_an_error(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sampled, "sample_answers", lambda *others: ["purple", "pink"])
    with pytest.raises(TaskError, match="'all_bad': 12"):
        build_preferences(tiny_system("demo"), colour_task(), data, data / "p.jsonl", OPTIONS)
    with pytest.raises(TaskError, match="likelihood"):
        build_preferences(tiny_system("demo"), colour_task(answering="likelihood"), data, data / "p.jsonl", OPTIONS)


def test_the_records_train(data: Path) -> None:
    from geoprose.training.run import run_recipe

    build_preferences(tiny_system("demo"), colour_task(), data, data / "pairs.jsonl", OPTIONS)
    losses, sources = [{"type": "dpo"}], [{"path": "pairs.jsonl"}]
    recipe = write_recipe(data, [stage(losses=losses, data=sources, packing="shared_prefix", steps=2)])
    assert run_recipe(recipe, out_dir=data / "run", data_dir=data).record["stages"]["align"]["units"] == 6

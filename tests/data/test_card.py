"""Data cards: counts, balance, hashes, and what is refused."""

from __future__ import annotations

import hashlib

import pytest

from geoprose.core.errors import ConfigError, DataError
from geoprose.data.card import DataCard, DataSource, describe_samples, hash_files, load_card, read_card, write_card
from tests.fixtures.datasets import make_sample


def test_a_card_counts_samples_images_and_answers() -> None:
    train = [make_sample(0), make_sample(1, answer="no"), make_sample(2)]
    described = describe_samples({"train": train, "test": [make_sample(0, "test")]})
    assert described["num_samples"] == {"train": 3, "test": 1}
    assert described["num_images"] == {"train": 3, "test": 1}
    balance = described["balance"]["train"]["presence"]
    assert (balance.num_samples, balance.num_answers, balance.answers) == (3, 2, {"yes": 2, "no": 1})
    assert balance.majority_share == 0.6667


def test_a_card_survives_the_file(tmp_path) -> None:
    (tmp_path / "train.jsonl").write_text("x")
    card = DataCard(
        name="world",
        licence="CC0-1.0",
        builder="geoprose 0.1.0",
        sources=[DataSource(name="blue-marble", licence="public domain")],
        files=hash_files(tmp_path, [tmp_path / "train.jsonl"]),
        **describe_samples({"train": [make_sample(0)]}),
    )
    write_card(card, tmp_path / "card.json")
    assert load_card(tmp_path / "card.json") == card
    assert card.files == {"train.jsonl": hashlib.sha256(b"x").hexdigest()}


def test_a_misspelt_key_is_named(tmp_path) -> None:
    (tmp_path / "card.json").write_text('{"name": "a", "license": "b", "builder": "c"}')
    with pytest.raises(ConfigError, match="licence"):
        load_card(tmp_path / "card.json")


@pytest.mark.parametrize("content", ["[]", "{", None])
def test_what_is_no_card_is_refused(tmp_path, content) -> None:
    if content is not None:
        (tmp_path / "card.json").write_text(content)
    with pytest.raises(DataError):
        read_card(tmp_path / "card.json")

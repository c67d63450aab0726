"""The caption metrics as classes, and every fault of published scripts as a flagged variant that disagrees."""

from __future__ import annotations

import pytest

from geoprose.core.errors import ResourceError
from geoprose.evaluation.metrics.base import Item
from geoprose.evaluation.metrics.text import text_scores
from geoprose.evaluation.metrics.text.captions import CaptionMetrics
from geoprose.evaluation.metrics.text.change_captions import NO_CHANGE, ChangeCaptionMetrics, says_change
from geoprose.evaluation.metrics.text.region_captions import RegionCaptionMetrics
from geoprose.evaluation.metrics.text.text_scores import MeteorScore, RougeScore, SacreBleuScore, SpiceScore
from geoprose.evaluation.protocols import load_protocol
from tests.fixtures.captions import VECTORS

ITEMS = [
    Item(str(place), text, tuple(own))
    for place, (text, own) in enumerate(zip(VECTORS["candidates"], VECTORS["references"], strict=True))
]
COPIES = [  # each caption is one of five references in other words
    Item("1", "several planes are parked near a terminal", (
        "several planes are parked near a terminal", "an airport with white aircraft", "airplanes stand on the apron",
        "it is a large airport", "the terminal has many boarding bridges",
    )),
    Item("2", "a river runs through a green field", (
        "a river runs through a green field", "curved water beside meadows", "it is a winding stream",
        "there is grass on both banks", "the land is divided by a brook",
    )),
]  # fmt: skip


def mean(protocol: str, variant: str, items: list[Item]) -> float:
    judged = load_protocol(protocol).metric(variant).judge(items)
    return sum(judgement.score for judgement in judged.judgements) / len(items)


@pytest.fixture
def wordnet(monkeypatch: pytest.MonkeyPatch) -> None:
    names = VECTORS["synonyms"]
    monkeypatch.setattr(
        text_scores, "meteor_synonyms", lambda kind: ((lambda w: names.get(w, [])) if kind == "wordnet" else None, kind)
    )


def test_the_default_is_cider_with_bleu_and_rouge_beside_it() -> None:
    judged = CaptionMetrics().judge(ITEMS)
    assert [j.score for j in judged.judgements] == pytest.approx(VECTORS["cider"], abs=1e-12)
    assert [j.extras["rouge_l"] for j in judged.judgements] == pytest.approx(VECTORS["rouge_l"], abs=1e-12)
    assert [judged.corpus[f"bleu_{n}"] for n in range(1, 5)] == pytest.approx(VECTORS["bleu_closest"], abs=1e-12)
    assert judged.corpus["mean_words"] == pytest.approx(sum(len(t.split()) for t in VECTORS["tokens"]) / len(ITEMS))


def test_options_change_what_they_name() -> None:
    shortest = CaptionMetrics(reference_length="shortest").judge(ITEMS).corpus
    assert [shortest[f"bleu_{n}"] for n in range(1, 5)] == pytest.approx(VECTORS["bleu_shortest"], abs=1e-12)
    rouge = CaptionMetrics(score="rouge_l")
    assert rouge.is_accuracy
    assert [j.score for j in rouge.judge(ITEMS).judgements] == pytest.approx(VECTORS["rouge_l"], abs=1e-12)
    assert CaptionMetrics(score="cider").judge(ITEMS).judgements[0].extras.keys() == {"cider_d", "rouge_l"}


def test_empty_captions_repeats_and_capitals_are_counted() -> None:
    items = [Item("1", "A river.", ("a river", "a river", "one river")), Item("2", " ... ", ("a Town",))]
    judged = CaptionMetrics().judge(items)
    assert [j.is_parsed for j in judged.judgements] == [True, False]
    assert judged.judgements[1].score == 0
    assert judged.tables["references"] == {
        "per_item": {"1": 1, "3": 1},
        "distinct_per_item": {"1": 1, "2": 1},
        "items_with_repeated_references": 1,
    }
    assert judged.tables["words"]["empty_candidates"] == 1
    assert judged.tables["capitals"]["predictions"] == judged.tables["capitals"]["items_with_references"] == 1
    assert CaptionMetrics().judge([]).judgements == ()


def test_capitals_do_not_count() -> None:
    lower = [Item(item.id, item.prediction.lower(), item.references) for item in ITEMS]
    ours = [[j.score for j in CaptionMetrics().judge(items).judgements] for items in (ITEMS, lower)]
    assert ours[0] == ours[1]


@pytest.mark.parametrize("protocol", ["captioning", "region-captioning", "change-captioning"])
def test_every_variant_can_be_built_and_says_how_it_differs(protocol: str) -> None:
    spec = load_protocol(protocol)
    for name, variant in spec.variants.items():
        assert variant.differs.endswith("."), name
        assert variant.source
        assert spec.metric(name).judge([]) is not None if variant.metric not in {"meteor", "spice"} else True


def test_mean_over_references_is_about_half_of_cocos_rouge_l() -> None:
    assert load_protocol("captioning").variant("rouge-l-mean-f1").fault
    coco, averaged = mean("captioning", "rouge-l", COPIES), mean("captioning", "rouge-l-mean-f1", COPIES)
    assert coco == pytest.approx(1.0)
    assert 0.2 < averaged / coco < 0.6
    assert mean("captioning", "rouge-l-best-f1", COPIES) == pytest.approx(1.0)


def test_meteor_on_word_numbers_is_lower(wordnet: None) -> None:
    spec = load_protocol("captioning")
    assert spec.variant("meteor-on-ids").fault
    assert spec.variant("meteor-1.5-on-ids").fault
    on_words = mean("captioning", "meteor-wordnet", ITEMS)
    assert on_words == pytest.approx(sum(VECTORS["meteor_nltk"]) / len(ITEMS), abs=1e-12)
    items = [*ITEMS, Item("stems", "a roofed house with trees", ("roof of houses and a tree",))]
    on_ids, without, on_words = (
        mean("captioning", variant, items) for variant in ("meteor-on-ids", "meteor-exact-stem", "meteor-wordnet")
    )
    assert on_ids < without < on_words


def test_a_full_stop_on_the_last_word_costs_meteor(wordnet: None) -> None:
    assert load_protocol("region-captioning").variant("meteor-split").fault
    items = [Item("1", "a small white car.", ("a small white car",))]
    assert mean("region-captioning", "meteor-split", items) < mean("region-captioning", "meteor-wordnet", items) - 0.1


def test_meteor_15_is_unavailable_with_the_reason_and_never_zero(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("geoprose.evaluation.metrics.text.meteor_java.find_spec", lambda _: None)
    for metric in (MeteorScore(kind="1.5"), SpiceScore()):
        with pytest.raises(ResourceError, match="needs"):
            metric.judge(ITEMS)


def test_meteor_says_what_computed_it(wordnet: None) -> None:
    assert MeteorScore().judge(ITEMS).tables["library"]["meteor"] == "wordnet"


def test_a_meteor_without_synonyms_says_so() -> None:
    assert "without synonyms" in str(MeteorScore(kind="exact_stem").judge(ITEMS).tables["library"])


def test_region_captions() -> None:
    items = [Item("1", "Two white cars.", ("two white car",)), Item("2", "", ("a road",))]
    judged = RegionCaptionMetrics(meteor_kind="exact_stem").judge(items)
    assert [j.score for j in judged.judgements] == pytest.approx([1.0, 0.0])
    assert [j.is_parsed for j in judged.judgements] == [True, False]
    assert judged.judgements[0].extras["rouge_1"] == pytest.approx(1.0)
    assert judged.judgements[0].extras["meteor"] == pytest.approx(1 - 0.5 / 27)
    plain = RegionCaptionMetrics(is_stemmed=False, meteor_kind="exact_stem").judge(items)
    assert plain.judgements[0].score == pytest.approx(2 / 3)


def test_region_captions_without_wordnet_say_so() -> None:
    judged = RegionCaptionMetrics().judge(ITEMS)
    assert "doctor --fetch" in judged.unavailable["meteor"]
    assert "meteor" not in judged.judgements[0].extras


def test_rouge_score_class() -> None:
    best = RougeScore(kind="2", over_references="best").judge(ITEMS).judgements
    average = RougeScore(kind="2", over_references="mean").judge(ITEMS).judgements
    for place, values in enumerate(VECTORS["rouge2_stem"]):
        assert best[place].score == pytest.approx(max(values))
        assert average[place].score == pytest.approx(sum(values) / len(values))


def test_sacrebleu_class() -> None:
    judged = SacreBleuScore().judge(ITEMS)
    assert judged.corpus["sacrebleu"] == pytest.approx(VECTORS["sacrebleu"], abs=1e-9)
    assert judged.judgements[3].score == pytest.approx(VECTORS["sacrebleu_sentences"][3] / 100, abs=1e-12)


def change_items() -> list[Item]:
    same = tuple(NO_CHANGE)
    return [
        Item("1", "a road appears", ("a road is built", "a new road appears"), meta={"is_changed": True}),
        Item("2", "There is no difference.", ("houses appear", "some houses are built"), meta={"is_changed": True}),
        Item("3", "", ("trees were cut", "the wood is gone"), meta={"is_changed": True}),
        Item("4", "the scene is the same as before", same, meta={"is_changed": False}),
        Item("5", "a house appears", same, meta={"is_changed": False}),
        Item("6", "", same, meta={"is_changed": False}),
    ]


def test_change_captions_by_subset() -> None:
    judged = ChangeCaptionMetrics().judge(change_items())
    assert judged.corpus["change_n"] == judged.corpus["nochange_n"] == 3
    # An empty caption is on neither side: it is not "change" merely because it is in no list.
    assert judged.corpus["change_acc"] == pytest.approx(1 / 3)
    assert judged.corpus["nochange_acc"] == pytest.approx(1 / 3)
    alone = CaptionMetrics().judge(change_items()[:3])
    assert judged.corpus["change_bleu_1"] == alone.corpus["bleu_1"]
    assert judged.corpus["change_cider"] == pytest.approx(sum(j.score for j in alone.judgements) / 3)


def test_the_second_reference_may_disagree_with_the_mark() -> None:
    item = Item("1", "a road", ("a road appears", "there is no difference ."), meta={"is_changed": True})
    marked = ChangeCaptionMetrics().judge([item])
    assert marked.corpus["change_n"] == 1
    assert marked.unavailable == {"nochange": "no pair of the set is unchanged"}
    assert ChangeCaptionMetrics(truth="second_reference").judge([item]).corpus["nochange_n"] == 1
    unmarked = Item("1", "a road", ("a road appears", "there is no difference ."))
    assert ChangeCaptionMetrics().judge([unmarked]).corpus["nochange_n"] == 1


def test_says_change_ignores_case_and_points() -> None:
    assert not says_change("The scene is the same as before .")
    assert says_change("the scene is not the same as before")

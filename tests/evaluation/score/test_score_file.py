"""`score_file` on generated files: the published definitions of section 5, bad input, warnings."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from geoprose.core.errors import ConfigError, PresetError, TaskError
from geoprose.evaluation.score.request import ScoreRequest
from geoprose.evaluation.score.run import score_file
from geoprose.evaluation.score.table import file_score_table
from tests.fixtures.prediction_files import (
    EARTHDIAL_SCENE,
    GEOCHAT_REFERRING,
    GEOCHAT_SCENE,
    LHRS_BOX,
    LLAVA,
    PLAIN,
    VHM_BOX,
    rsvqa_records,
    write_lines,
)
from tests.fixtures.rsvqa_published import PUBLISHED_ROWS

if TYPE_CHECKING:
    from pathlib import Path


def score(path: Path, task: str, **options: Any) -> dict[str, Any]:
    return score_file(ScoreRequest(path, task, **options))


def kinds(result: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {warning["kind"]: warning for warning in result["warnings"]}


def plain(*pairs: tuple[str, str], name: str = "", image: bool = True) -> list[dict[str, Any]]:
    return [
        {"id": str(number), "prediction": prediction, "reference": reference, "type": name}
        | ({"image": f"{number}.png"} if image else {})
        for number, (prediction, reference) in enumerate(pairs)
    ]


class TestPublishedDefinitions:
    """The tables of brief 004 and of EarthDial, from files with the same counts of right answers."""

    def test_moa_is_the_mean_over_questions_and_the_mean_over_types_stands_beside_it(self, tmp_path: Path) -> None:
        per_type = {"presence": (2736, 2955), "comp": (3712, 4002), "rural_urban": (94, 100), "count": (816, 2947)}
        result = score(write_lines(tmp_path / "lr.jsonl", rsvqa_records(per_type)), "rsvqa", variants=())
        scores = {name: round(100 * block["score"], 2) for name, block in result["by_type"].items()}
        assert scores == {"presence": 92.59, "comp": 92.75, "rural_urban": 94.0, "count": 27.69}
        assert round(100 * result["overall"]["score"], 2) == 92.70
        assert round(100 * result["overall"]["macro"], 2) == 93.11
        assert round(100 * result["aggregates"]["all_types"]["score"], 2) == 73.55
        assert result["overall_types"] == ["presence", "comp", "rural_urban"]
        low, high = result["overall"]["ci95"]
        assert low < result["overall"]["score"] < high

    @pytest.mark.parametrize(
        ("presence", "comparison", "rural_urban", "published"), PUBLISHED_ROWS.values(), ids=PUBLISHED_ROWS
    )
    def test_the_six_rows_of_brief_004_are_means_over_questions(
        self, presence: float, comparison: float, rural_urban: float, published: float, tmp_path: Path
    ) -> None:
        counts = {"presence": (presence, 2955), "comp": (comparison, 4002), "rural_urban": (rural_urban, 100)}
        per_type = {name: (round(percent * n / 100), n) for name, (percent, n) in counts.items()}
        path = write_lines(tmp_path / "lr.jsonl", rsvqa_records(per_type))
        overall = score(path, "rsvqa", variants=())["overall"]
        assert 100 * overall["score"] == pytest.approx(published, abs=0.05)
        assert abs(100 * overall["macro"] - published) > 0.3

    def test_the_scene_rule_of_geochat_is_a_variant(self, tmp_path: Path) -> None:
        result = score(write_lines(tmp_path / "aid.jsonl", GEOCHAT_SCENE), "scene")
        variants = result["by_type"]["scene"]["variants"]
        assert variants["geochat"]["score"] == 1.0  # "bare land." is the folder BareLand
        assert result["by_type"]["scene"]["score"] == 0.5
        assert result["by_type"]["scene"]["oa"] == 0.5

    def test_an_empty_answer_is_right_in_a_faulty_variant_only(self, tmp_path: Path) -> None:
        path = write_lines(tmp_path / "x.jsonl", plain(("", "no"), ("n", "no"), ("yes", "yes"), ("unknown", "no")))
        result = score(path, "vqa")
        variants = result["by_type"]["vqa"]["variants"]
        assert result["by_type"]["vqa"]["score"] == 0.25
        assert variants["substring-prediction-in-reference"]["score"] == 0.75
        assert variants["substring-reference-in-prediction"]["score"] == 0.5
        faulty = [warning for warning in result["warnings"] if warning["kind"] == "faulty-variant"]
        assert any(
            warning["count"] == 2 and "substring-prediction-in-reference" in warning["message"] for warning in faulty
        )
        assert variants["substring-prediction-in-reference"]["fault"]
        assert not variants["exact"]["fault"]


class TestReferences:
    """Right answers in the file, beside it, or in a data set."""

    def test_answers_without_references_are_refused(self, tmp_path: Path) -> None:
        path = write_lines(tmp_path / "x.jsonl", LLAVA)
        with pytest.raises(TaskError, match=r"no right answer for 1 rows \(first: 0\).*--references"):
            score(path, "vqa")

    @pytest.mark.parametrize(
        "record",
        [
            {"question_id": 0, "image": "0.png", "text": "What is this?", "ground_truth": "river"},
            {
                "id": "0",
                "image": "0.png",
                "conversations": [{"from": "human", "value": "?"}, {"from": "gpt", "value": "river"}],
            },
            {"questionId": 0, "answers": [{"answer": "river"}, {"answer": "stream"}]},
            {
                "id": "0",
                "images": ["0.png"],
                "messages": [{"role": "user", "text": "?"}, {"role": "assistant", "text": "a river"}],
            },
        ],
    )
    def test_a_question_file_gives_them(self, record: dict[str, Any], tmp_path: Path) -> None:
        references = write_lines(tmp_path / "questions.jsonl", [record])
        result = score(write_lines(tmp_path / "x.jsonl", LLAVA), "vqa", references=references)
        assert result["overall"]["score"] == 1.0
        assert result["references"] == "questions.jsonl"

    def test_captions_of_karpathy_and_coco_files(self, tmp_path: Path) -> None:
        answers = [{"id": "a.jpg", "prediction": "a plane on grass"}, {"id": "b.jpg", "prediction": "two ships"}]
        path = write_lines(tmp_path / "x.jsonl", answers)
        karpathy = {
            "images": [
                {
                    "filename": "a.jpg",
                    "split": "test",
                    "sentences": [{"raw": "a plane on grass"}, {"raw": "one plane"}],
                },
                {"filename": "b.jpg", "split": "test", "sentences": [{"raw": "two ships"}]},
            ]
        }
        coco = {
            "images": [{"id": "a.jpg"}],
            "annotations": [
                {"image_id": "a.jpg", "id": 1, "caption": "a plane on grass"},
                {"image_id": "a.jpg", "id": 2, "caption": "one plane"},
                {"image_id": "b.jpg", "id": 3, "caption": "two ships"},
            ],
        }
        results = []
        for name, content in (("karpathy", karpathy), ("coco", coco)):
            references = tmp_path / f"{name}.json"
            references.write_text(json.dumps(content, indent=1))
            results.append(score(path, "captioning", references=references)["by_type"]["captioning"])
        assert results[0]["rouge_l"] == results[1]["rouge_l"] == 1.0
        assert results[0]["bleu_1"] == pytest.approx(1.0)

    def test_a_data_set_gives_them(self, tmp_path: Path) -> None:
        data = tmp_path / "data"
        data.mkdir()
        samples = [
            {
                "id": f"s{number}",
                "images": [f"{number}.png"],
                "messages": [{"role": "user", "text": "?"}, {"role": "assistant", "text": text}],
                "task": "scene",
            }
            for number, text in enumerate(("port", "pond"))
        ]
        write_lines(data / "test.jsonl", samples)
        path = write_lines(
            tmp_path / "x.jsonl", [{"id": "s0", "prediction": "port"}, {"id": "s9", "prediction": "pond"}]
        )
        result = score(path, "scene", data=data)
        assert result["overall"]["n"] == 2
        assert result["overall"]["score"] == 0.5
        assert result["counts"]["missing"] == result["counts"]["unknown"] == 1
        assert kinds(result)["missing"]["examples"] == ["s1"]
        assert "empty-answers" not in kinds(result)
        assert kinds(result)["unknown"]["examples"] == ["s9"]
        assert result["images"] == 2

    def test_references_of_other_questions_are_refused(self, tmp_path: Path) -> None:
        references = write_lines(tmp_path / "q.jsonl", [{"id": "other", "answer": "x"}])
        with pytest.raises(TaskError, match="None of the 1 identifiers"):
            score(write_lines(tmp_path / "x.jsonl", LLAVA), "vqa", references=references)
        twice = write_lines(tmp_path / "twice.jsonl", [{"id": "0", "answer": "x"}, {"id": "0", "answer": "y"}])
        with pytest.raises(TaskError, match="repeats the identifier '0'"):
            score(write_lines(tmp_path / "x.jsonl", LLAVA), "vqa", references=twice)
        nothing = write_lines(tmp_path / "nothing.jsonl", [{"id": "0", "text": "?"}])
        with pytest.raises(TaskError, match="holds no right answer"):
            score(write_lines(tmp_path / "x.jsonl", LLAVA), "vqa", references=nothing)


class TestIdentifiers:
    """Identifiers that repeat."""

    ROWS = ({"id": "1", "prediction": "a", "reference": "a"}, {"id": "2", "prediction": "b", "reference": "b"})

    def test_an_equal_answer_counts_once_and_is_said(self, tmp_path: Path) -> None:
        result = score(write_lines(tmp_path / "x.jsonl", [*self.ROWS, self.ROWS[0]]), "vqa")
        assert (result["overall"]["n"], result["counts"]["repeated"]) == (2, 1)
        assert kinds(result)["repeated"]["examples"] == ["1"]

    def test_different_answers_are_refused_unless_one_is_to_be_kept(self, tmp_path: Path) -> None:
        path = write_lines(tmp_path / "x.jsonl", [*self.ROWS, {"id": "1", "prediction": "z", "reference": "a"}])
        with pytest.raises(TaskError, match=r"1 identifiers with several different answers \(first: 1\).*--keep first"):
            score(path, "vqa")
        first, last = score(path, "vqa", keep="first"), score(path, "vqa", keep="last")
        assert (first["overall"]["score"], last["overall"]["score"]) == (1.0, 0.5)
        assert first["counts"]["conflicting"] == last["counts"]["conflicting"] == 1
        assert first["overall"]["n"] == last["overall"]["n"] == 2

    def test_the_last_of_three_counts(self, tmp_path: Path) -> None:
        rows = [{"id": "1", "prediction": text, "reference": "c"} for text in ("a", "b", "c")]
        path = write_lines(tmp_path / "x.jsonl", rows)
        assert score(path, "vqa", keep="last")["overall"]["score"] == 1.0
        assert score(path, "vqa", keep="first")["overall"]["score"] == 0.0

    def test_one_identifier_in_two_types_is_two_questions(self, tmp_path: Path) -> None:
        rows = [self.ROWS[0] | {"type": "presence"}, self.ROWS[0] | {"type": "comp"}]
        assert score(write_lines(tmp_path / "x.jsonl", rows), "rsvqa")["overall"]["n"] == 2


class TestWarnings:
    """What is odd about the answers is counted and said."""

    def test_boxes_over_scale_reversed_and_outside(self, tmp_path: Path) -> None:
        answers = [
            "[200, 100, 400, 300]",
            "[400, 300, 200, 100]",
            "[5000, 1, 6000, 2]",
            "[900, 100, 1100, 300]",
            "none",
        ]
        records = [VHM_BOX[0] | {"pred": text, "filename": f"{n}.jpg"} for n, text in enumerate(answers)]
        found = kinds(score(write_lines(tmp_path / "x.jsonl", records), "grounding"))
        for kind in ("boxes-reversed", "boxes-over-scale", "boxes-outside"):
            assert (found[kind]["count"], found[kind]["of"]) == (1, 5)
            assert found[kind]["examples"]

    def test_unit_boxes_warn_of_adding_one(self, tmp_path: Path) -> None:
        result = score(write_lines(tmp_path / "x.jsonl", LHRS_BOX), "grounding")
        assert kinds(result)["boxes-unit-scale"]["count"] == 2
        assert result["by_type"]["grounding"]["score"] == 0.5
        faulty = [block for block in result["by_type"]["grounding"]["variants"].values() if block["fault"]]
        assert max(block["score"] for block in faulty) == 1.0  # with + 1 even boxes that do not touch match

    def test_pixel_references_need_the_size_of_the_picture(self, tmp_path: Path) -> None:
        path = write_lines(tmp_path / "x.jsonl", GEOCHAT_REFERRING)
        with pytest.raises(TaskError, match=r"size of the picture P0001_0 is unknown.*--images"):
            score(path, "grounding")
        assert score(path, "grounding", size_px=(500, 500))["overall"]["score"] == 1.0
        assert score(path, "grounding", size_px=(1000, 500))["overall"]["score"] == 0.0

    def test_boxes_given_to_a_task_of_words_are_said(self, tmp_path: Path) -> None:
        path = write_lines(tmp_path / "x.jsonl", GEOCHAT_REFERRING)
        assert kinds(score(path, "vqa", size_px=(500, 500)))["no-text"]["count"] == 1
        assert "no-text" not in kinds(score(path, "grounding", size_px=(500, 500)))

    def test_sizes_come_from_the_pictures(self, tmp_path: Path) -> None:
        from PIL import Image

        (tmp_path / "images").mkdir()
        Image.new("RGB", (500, 500)).save(tmp_path / "images" / "P0001_0.png")
        path = write_lines(tmp_path / "x.jsonl", GEOCHAT_REFERRING)
        assert score(path, "grounding", images=tmp_path / "images")["overall"]["score"] == 1.0

    def test_names_that_differ_by_spaces_and_labels_nobody_asked_for(self, tmp_path: Path) -> None:
        found = kinds(score(write_lines(tmp_path / "x.jsonl", EARTHDIAL_SCENE), "scene"))
        assert found["spellings"]["examples"] == ["Medium Residential / MediumResidential (1)"]
        assert found["unknown-labels"]["examples"] == ["medium residential (1)"]
        assert found["no-picture"]["count"] == 1

    def test_one_answer_again_and_again(self, tmp_path: Path) -> None:
        pairs = [("yes", "yes" if number % 4 == 0 else "no") for number in range(40)]
        found = kinds(score(write_lines(tmp_path / "x.jsonl", plain(*pairs)), "vqa"))
        assert found["one-answer"]["count"] == 40
        assert "100% of the rows and right in 25%" in found["one-answer"]["message"]
        even = [("yes", "yes") if number % 2 else ("no", "no") for number in range(40)]
        assert "one-answer" not in kinds(score(write_lines(tmp_path / "y.jsonl", plain(*even)), "vqa"))

    def test_repeated_references_and_empty_answers(self, tmp_path: Path) -> None:
        rows = [
            {"id": "1", "prediction": "a plane", "references": ["a plane", "a plane", "a field"], "image": "1"},
            {"id": "2", "prediction": "", "references": ["a ship", "one ship"], "image": "2"},
        ]
        result = score(write_lines(tmp_path / "x.jsonl", rows), "captioning")
        found = kinds(result)
        assert (found["repeated-references"]["count"], found["repeated-references"]["of"]) == (1, 2)
        assert found["empty-answers"]["count"] == 1
        assert result["by_type"]["captioning"]["unparsed"] == 1
        assert result["by_type"]["captioning"]["n"] == 2

    def test_scores_that_are_no_numbers_are_left_out_and_counted(self, tmp_path: Path) -> None:
        path = tmp_path / "x.jsonl"
        row = '{"id": "%d", "image": "1", "prediction": "a", "reference": "a", "scores": {"a": %s, "b": -2.0}}\n'
        path.write_text(row % (1, "NaN") + row % (2, "-1.0"))
        assert kinds(score(path, "scene"))["not-finite"]["count"] == 1

    def test_signs_that_no_terminal_and_no_file_can_take(self, tmp_path: Path) -> None:
        path = tmp_path / "x.jsonl"
        path.write_text(
            '{"id": "1", "prediction": "\\ud800 \\u001b[31mred", "reference": "red", "type": "a\\u001b[2J"}\n'
        )
        result = score(path, "scene", out=tmp_path / "run")
        assert "\x1b" not in file_score_table(result)
        assert json.loads((tmp_path / "run" / "result.json").read_text())["overall"]["score"] == 0.0

    def test_a_cut_off_file_is_said(self, tmp_path: Path) -> None:
        path = write_lines(tmp_path / "x.jsonl", plain(("a", "a"), ("b", "b")))
        path.write_text(path.read_text()[:-10])
        result = score(path, "vqa")
        assert result["overall"]["n"] == 1
        assert "breaks off in record 2" in kinds(result)["truncated"]["message"]

    def test_types_that_the_task_does_not_score_are_counted(self, tmp_path: Path) -> None:
        records = rsvqa_records({"presence": (3, 4), "colour": (1, 2)})
        result = score(write_lines(tmp_path / "x.jsonl", records), "rsvqa")
        assert result["skipped_types"] == {"colour": 2}
        assert kinds(result)["skipped-type"]["count"] == 2
        with pytest.raises(TaskError, match=r"no row of the types presence.*its types are colour"):
            score(write_lines(tmp_path / "y.jsonl", rsvqa_records({"colour": (1, 2)})), "rsvqa")

    def test_a_sound_file_has_no_warning(self, tmp_path: Path) -> None:
        result = score(write_lines(tmp_path / "x.jsonl", plain(("a", "a"), ("b", "b"))), "vqa")
        assert result["warnings"] == []
        assert "no warnings" in file_score_table(result)


class TestVariants:
    """Variants side by side."""

    def test_the_default_is_first_and_named_ones_follow(self, tmp_path: Path) -> None:
        path = write_lines(tmp_path / "x.jsonl", plain(("a", "a")))
        everything = score(path, "vqa")["by_type"]["vqa"]["variants"]
        assert next(iter(everything)) == "exact"
        assert len(everything) > 3
        chosen = score(path, "vqa", variants=("lower-equal",))["by_type"]["vqa"]["variants"]
        assert list(chosen) == ["exact", "lower-equal"]
        with pytest.raises(PresetError, match="Did you mean 'lower-equal'"):
            score(path, "vqa", variants=("lower-equl",))

    def test_what_cannot_be_computed_says_why_and_shows_no_number(self, tmp_path: Path) -> None:
        block = score(write_lines(tmp_path / "x.jsonl", plain(("a", "a"))), "scene")["by_type"]["scene"]
        assert "scores" in block["unavailable"]["ranked"]
        assert "ranked" not in block["variants"]

    def test_a_variant_has_its_figures_of_the_whole_set(self, tmp_path: Path) -> None:
        rows = [row | {"scores": {"port": -0.1, "pond": -3.0}} for row in plain(("port", "port"), ("pond", "pond"))]
        result = score(write_lines(tmp_path / "x.jsonl", rows), "scene")
        ranked = result["by_type"]["scene"]["variants"]["ranked"]
        assert ranked["score"] == 0.5
        assert ranked["corpus"]["ece"] > 0
        assert ranked["tables"]["reliability"]["kind"] == "reliability"
        assert "beside ranked: ece" in file_score_table(result)

    def test_unknown_names_list_close_ones(self, tmp_path: Path) -> None:
        path = write_lines(tmp_path / "x.jsonl", PLAIN)
        with pytest.raises(PresetError, match="scene"):
            score(path, "scenes")
        with pytest.raises(ConfigError, match="geochat"):
            score(path, "grounding", codec="geochatt")

    def test_the_table_names_every_variant_once_with_its_fault(self, tmp_path: Path) -> None:
        per_type = {"presence": (3, 4), "comp": (1, 4)}
        result = score(write_lines(tmp_path / "x.jsonl", rsvqa_records(per_type)), "rsvqa")
        text = file_score_table(result)
        for name in result["overall"]["variants"]:
            assert name in text
        assert text.count("FAULTY: ") == sum(bool(block["fault"]) for block in result["overall"]["variants"].values())
        assert "mean over types 50.00" in text
        assert max(len(line) for line in text.splitlines()) <= 170

    def test_intervals_are_clustered_by_picture(self, tmp_path: Path) -> None:
        pairs = [("a", "a" if number // 8 % 2 else "b") for number in range(160)]
        apart = plain(*pairs)
        together = [row | {"image": f"{number // 8}.png"} for number, row in enumerate(apart)]
        widths = []
        for name, rows in (("apart", apart), ("together", together)):
            low, high = score(write_lines(tmp_path / f"{name}.jsonl", rows), "vqa")["overall"]["ci95"]
            widths.append(high - low)
        assert widths[1] > 2 * widths[0]

    def test_the_hash_of_the_list_of_pictures_ignores_order(self, tmp_path: Path) -> None:
        rows = plain(("a", "a"), ("b", "b"))
        one = score(write_lines(tmp_path / "x.jsonl", rows), "vqa")["image_list_sha256"]
        two = score(write_lines(tmp_path / "y.jsonl", rows[::-1]), "vqa")["image_list_sha256"]
        three = score(write_lines(tmp_path / "z.jsonl", rows[:1]), "vqa")["image_list_sha256"]
        assert one == two != three
        assert len(one) == 64


class TestOutputs:
    """The folder that ``--out`` writes is a run: it can be reported and compared."""

    def test_a_folder_can_be_reported_and_compared(self, tmp_path: Path) -> None:
        from geoprose.evaluation.outcomes import read_outcomes
        from geoprose.evaluation.predictions import read_predictions

        records = rsvqa_records({"presence": (3, 4), "comp": (1, 4)})
        result = score(write_lines(tmp_path / "x.jsonl", records), "rsvqa", out=tmp_path / "run")
        assert json.loads((tmp_path / "run" / "result.json").read_text()) == result
        outcomes = read_outcomes(tmp_path / "run")
        assert {name: one.score for name, one in outcomes.items() if one.task == "presence"} == {
            "presence-0": 1.0,
            "presence-1": 1.0,
            "presence-2": 1.0,
            "presence-3": 0.0,
        }
        assert outcomes["comp-0"].cluster == "0.tif"
        rows = read_predictions(tmp_path / "run" / "predictions.jsonl")
        assert [row.id for row in rows] == [record["id"] for record in records]
        page = (tmp_path / "run" / "report.html").read_text()
        assert "substring" in page

    def test_a_long_file_is_written_as_its_result_alone(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        from geoprose.evaluation.score import run

        monkeypatch.setattr(run, "MAX_ROWS", 3)
        records = rsvqa_records({"presence": (3, 4)})
        score(write_lines(tmp_path / "x.jsonl", records), "rsvqa", out=tmp_path / "run")
        written = {path.name for path in (tmp_path / "run").iterdir()}
        assert {"result.json", "run.json", "report.html"} == written

    def test_predictions_of_a_run_score_as_the_file_did(self, tmp_path: Path) -> None:
        records = rsvqa_records({"presence": (3, 4), "comp": (1, 4)})
        first = score(write_lines(tmp_path / "x.jsonl", records), "rsvqa", out=tmp_path / "run")
        second = score(tmp_path / "run" / "predictions.jsonl", "rsvqa")
        assert second["predictions"]["layout"] == "geoprose"
        assert second["by_type"] == first["by_type"]

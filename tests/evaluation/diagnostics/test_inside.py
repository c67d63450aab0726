"""Diagnostics that look into a system, on tiny ones: attention, embeddings, compute."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from geoprose.core.errors import ConfigError, TaskError
from geoprose.core.types import Message, Sample
from geoprose.data.neutral import write_samples
from geoprose.evaluation.diagnostics.attention import ENTROPY, REGION
from geoprose.evaluation.diagnostics.attention_read import eager, grid_of, read_attention, why_unreadable
from geoprose.evaluation.diagnostics.base import Request
from geoprose.evaluation.diagnostics.collapse import pairs_of
from geoprose.evaluation.diagnostics.run import build_diagnostic, diagnose
from geoprose.evaluation.tasks import QuestionType
from tests.fixtures.oracle import SIDE, oracle_task, write_oracle_data
from tests.fixtures.systems import conversation, picture, tiny_system

if TYPE_CHECKING:
    from pathlib import Path

    from geoprose.systems.build import System


@pytest.fixture(scope="module")
def system() -> System:
    return tiny_system("llava-1.5", dtype=torch.float32)


@pytest.fixture(scope="module")
def dual() -> System:
    return tiny_system("remoteclip", dtype=torch.float32)


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_oracle_data(tmp_path_factory.mktemp("oracle") / "data", 6)


def test_attention_is_that_of_the_model_and_the_backend_is_put_back(system: System) -> None:
    shown = picture(1)
    config = system.model.model.language_model.config
    before = config._attn_implementation
    read = read_attention(system, shown, "Is there water?", "Yes")
    assert read is not None
    assert config._attn_implementation == before
    tokens = system.processor.tokenizer.encode("Yes", add_special_tokens=False)
    prompt = system.processor.encode_prompt(conversation("Is there water?", None), [system.processor.num_visual_tokens])
    ids = torch.tensor([[*prompt, *tokens]])
    pixels = system.processor.image_processor([[shown]], return_tensors="pt")["pixel_values"]
    with eager(system), torch.no_grad():
        maps = system.model(input_ids=ids, pixel_values=pixels, output_attentions=True, use_cache=False).attentions
    rows = [len(prompt) - 1 + place for place in range(len(tokens))]
    is_visual = ids[0] == system.model.config.image_token_id
    expected = np.stack([one[0][:, rows][..., is_visual].mean((0, 1)).numpy() for one in maps])
    assert read.to_visual_LV == pytest.approx(expected, abs=1e-6)
    assert read.share_L == pytest.approx(expected.sum(1), abs=1e-5)
    assert read_attention(system, shown, "Is there water?", "") is None


def test_cells_of_the_grid_cover_what_the_system_sees(system: System) -> None:
    tokens = system.processor.num_visual_tokens
    grid = grid_of(system, (40, 40), tokens)
    assert not isinstance(grid, str)
    assert grid.side**2 == tokens
    assert grid.boxes[0][:2] == pytest.approx((0, 0))
    assert grid.boxes[-1][2:] == pytest.approx((40, 40))
    assert grid.boxes[1][0] == pytest.approx(40 / grid.side)
    wide = grid_of(system, (80, 40), tokens)  # padded to a square: the first row of cells looks at padding
    assert not isinstance(wide, str)
    assert wide.boxes[0][1] == pytest.approx(-20)


def test_attention_on_regions(system: System, data_dir: Path, tmp_path: Path) -> None:
    task = oracle_task(types={"place": QuestionType(metric="exact")})
    options = {"permutations": 20}
    result = diagnose("attention", build_diagnostic("attention", options), Request(tmp_path, system, task, data_dir))
    own = result["by_type"]["attention"]
    assert result["overall"]["metric"] == REGION
    assert 0 < result["overall"]["score"] < 1
    rows = own["tables"]["regions"]
    assert len(rows) == system.spec.language_model.config["num_hidden_layers"]
    for row in rows.values():
        assert row["area"] == pytest.approx(100 / SIDE**2, abs=1e-6)
        assert row["chance_low"] <= row["chance_high"]
        assert 0 < row["p"] <= 1
    assert len(own["tables"]["layers"]["x"]) == len(rows)
    entropies = own["tables"]["layers"]["series"]["entropy, share of the largest"]
    assert all(0 <= value <= 1 for value in entropies)
    assert "Attention on regions" in (tmp_path / "report.html").read_text()


def test_attention_that_cannot_be_read_is_said(dual: System, data_dir: Path, tmp_path: Path) -> None:
    assert "kind dual_encoder" in why_unreadable(dual)
    assert "gated_cross_attention" in why_unreadable(tiny_system("flamingo", dtype=torch.float32))
    task = oracle_task(types={"place": QuestionType(metric="exact")}, answering="contrastive")
    result = diagnose("attention", build_diagnostic("attention", {}), Request(tmp_path, dual, task, data_dir))
    assert "score" not in result["overall"]
    assert "no language model" in result["by_type"]["attention"]["unavailable"][ENTROPY]


def test_tokens_that_are_no_cells_have_entropy_and_no_region(data_dir: Path, tmp_path: Path) -> None:
    system = tiny_system("qwen-vl", dtype=torch.float32)
    task = oracle_task(types={"place": QuestionType(metric="exact")})
    request = Request(tmp_path, system, task, data_dir, limit=2)
    result = diagnose("attention", build_diagnostic("attention", {}), request)
    assert result["overall"]["metric"] == ENTROPY
    assert "no cells of the picture" in result["by_type"]["attention"]["unavailable"][REGION]


def _retrieval(folder: Path, count: int = 6) -> Path:
    (folder / "images").mkdir(parents=True)
    samples = []
    for number in range(count):
        path = f"images/{number}.png"
        picture(number).save(folder / path)
        texts = [f"picture {number} with a port", "an aerial image"]
        ids = [f"{number}#{place}" for place in range(len(texts))]
        turns = (Message("user", "<image>"), Message("assistant", ids[0]))
        samples.append(Sample(str(number), (path,), turns, "image_to_text", "test", meta={"answers": ids}))
        for name, text in zip(ids, texts, strict=True):
            asked = (Message("user", text), Message("assistant", str(number)))
            samples.append(Sample(name, (), asked, "text_to_image", "test", meta={"answers": [str(number)]}))
    write_samples(samples, folder / "test.jsonl")
    return folder


def test_shape_of_embeddings(dual: System, tmp_path: Path) -> None:
    data = _retrieval(tmp_path / "data")
    kinds = {name: QuestionType(protocol="retrieval") for name in ("image_to_text", "text_to_image")}
    task = oracle_task(name="find", types=kinds, answering="retrieval")
    request = Request(tmp_path / "out", dual, task, data)
    result = diagnose("retrieval-collapse", build_diagnostic("retrieval-collapse", {"neighbours": 2}), request)
    tables = result["by_type"]["retrieval-collapse"]["tables"]
    assert tables["pairs"]["n"] == 12
    assert tables["pairs"]["texts_that_occur_more_than_once"] == 1
    assert tables["sides"]["pictures"]["n"] == 6
    assert tables["sides"]["texts"]["n"] == 7
    assert tables["sides"]["pictures"]["effective_rank"] <= tables["sides"]["pictures"]["rank_at_most"] == 5
    assert tables["hubs"]["pictures found by texts"]["found_on_average"] == pytest.approx(7 * 2 / 6)
    assert result["overall"]["score"] == tables["sides"]["pictures"]["uniformity"] < 0
    assert 0 <= tables["pairs"]["low"] <= tables["pairs"]["alignment"] <= tables["pairs"]["high"] <= 4
    assert tables["spectrum"]["series"]["pictures"][-1] == pytest.approx(1)
    few = build_diagnostic("retrieval-collapse", {"max_items": 3})
    fewer = diagnose("retrieval-collapse", few, Request(tmp_path / "few", dual, task, data))
    assert fewer["by_type"]["retrieval-collapse"]["tables"]["sides"]["pictures"]["n"] == 3
    assert fewer["by_type"]["retrieval-collapse"]["tables"]["pairs"]["n"] == 6


def test_pairs_of_captions() -> None:
    turns = (Message("user", "<image>\nDescribe."), Message("assistant", "a port"))
    samples = [Sample(str(n), (f"{n}.png",), turns, "caption", meta={"answers": ["a port", f"port {n}"]}) for n in "ab"]
    found = pairs_of(samples)
    assert found.images == ("a.png", "b.png")
    assert found.texts == ("a port", "port a", "port b")
    assert found.pairs == ((0, 0), (0, 1), (1, 0), (1, 2))
    assert found.repeated == 1


def test_embeddings_need_a_dual_encoder_and_pairs(system: System, dual: System, data_dir: Path, tmp_path: Path) -> None:
    collapse = build_diagnostic("retrieval-collapse", {})
    with pytest.raises(ConfigError, match="embeddings need a dual encoder"):
        diagnose("retrieval-collapse", collapse, Request(tmp_path, system, oracle_task(), data_dir))
    task = oracle_task(types={"colour": QuestionType(metric="exact")})
    with pytest.raises(TaskError, match="6 pictures and 1 texts"):
        diagnose("retrieval-collapse", collapse, Request(tmp_path, dual, task, data_dir))


def test_frontier_counts_tokens_operations_and_time(data_dir: Path, tmp_path: Path) -> None:
    system = tiny_system("llava-next", dtype=torch.float32)
    side = system.spec.resolution.image_size
    task = oracle_task(types={"colour": QuestionType(metric="exact")})
    diagnostic = build_diagnostic("frontier", {"sides": [side // 2, 2 * side], "text_tokens": 8})
    result = diagnose("frontier", diagnostic, Request(tmp_path, system, task, data_dir, limit=3))
    rows = list(result["by_type"]["frontier"]["tables"]["points"].values())
    assert rows[0]["visual_tokens"] <= rows[1]["visual_tokens"]
    assert 0 < rows[0]["gflops"] <= rows[1]["gflops"]
    assert all(row["seconds"] > 0 for row in rows)
    assert rows[0]["on_the_front_of_visual_tokens"]
    assert result["overall"]["n"] == 3


def test_frontier_says_when_size_costs_nothing(system: System, data_dir: Path, tmp_path: Path) -> None:
    task = oracle_task(types={"colour": QuestionType(metric="exact")})
    diagnostic = build_diagnostic("frontier", {"sides": [16, 64]})
    result = diagnose("frontier", diagnostic, Request(tmp_path, system, task, data_dir, limit=2))
    assert "spends the same on every size" in result["warnings"][0]

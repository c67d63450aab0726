from __future__ import annotations

import json

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("gguf")

from typing import TYPE_CHECKING  # noqa: E402

from transformers import AutoModelForCausalLM, AutoTokenizer  # noqa: E402

from geoprose.core.errors import ModelError  # noqa: E402
from geoprose.systems import converted  # noqa: E402
from geoprose.systems.convert_gguf import convert_smollm2, ensure_smollm2  # noqa: E402
from tests.fixtures.weights import CHAT_TEMPLATE, write_tiny_gguf  # noqa: E402

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, np.ndarray], Path]:
    folder = tmp_path_factory.mktemp("gguf")
    tensors = write_tiny_gguf(folder / "tiny.gguf")
    return folder / "tiny.gguf", tensors, convert_smollm2(folder / "tiny.gguf", folder / "out")


def test_every_tensor_arrives_unchanged(tiny: tuple[Path, dict[str, np.ndarray], Path]) -> None:
    _, tensors, out_dir = tiny
    model = AutoModelForCausalLM.from_pretrained(out_dir)
    state = model.state_dict()
    assert set(state) == {*tensors, "lm_head.weight"}
    for name, value in tensors.items():
        np.testing.assert_array_equal(state[name].numpy(), value, err_msg=name)
    assert state["lm_head.weight"].data_ptr() == state["model.embed_tokens.weight"].data_ptr()
    assert not hasattr(model.config, "quantization_config")
    assert model.config.num_key_value_heads == 2


def test_tokenizer_and_chat_template_arrive(tiny: tuple[Path, dict[str, np.ndarray], Path]) -> None:
    tokenizer = AutoTokenizer.from_pretrained(tiny[2])
    assert tokenizer.chat_template == CHAT_TEMPLATE
    tokens = tokenizer("<|im_start|>in 12<|im_end|>").input_ids
    assert tokenizer.convert_ids_to_tokens(tokens)[:2] == ["<|im_start|>", "in"]
    assert tokens[-1] == 2
    assert tokenizer.decode(tokens) == "<|im_start|>in 12<|im_end|>"


def test_second_call_does_nothing(
    tiny: tuple[Path, dict[str, np.ndarray], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    gguf_path, _, out_dir = tiny
    before = (out_dir / "model.safetensors").stat().st_mtime_ns

    def refuse(*_: object) -> None:
        raise AssertionError("converted again")

    monkeypatch.setattr("geoprose.systems.convert_gguf._convert", refuse)
    assert convert_smollm2(gguf_path, out_dir) == out_dir
    assert (out_dir / "model.safetensors").stat().st_mtime_ns == before


def test_record_names_source_versions_and_hashes(tiny: tuple[Path, dict[str, np.ndarray], Path]) -> None:
    record = json.loads((tiny[2] / "conversion.json").read_text())
    assert record["source_name"] == "tiny.gguf"
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= set(record["files"])
    assert record["verified"]["tensors_equal_after_reload"] == 12


def test_damaged_weights_are_converted_again(tmp_path: Path) -> None:
    write_tiny_gguf(tmp_path / "tiny.gguf")
    out_dir = convert_smollm2(tmp_path / "tiny.gguf", tmp_path / "out")
    weights = out_dir / "model.safetensors"
    good = weights.read_bytes()
    flipped = bytearray(good)
    flipped[-1] ^= 1
    weights.write_bytes(flipped)
    orphan = tmp_path / ".out.killed.tmp"
    orphan.mkdir()
    convert_smollm2(tmp_path / "tiny.gguf", out_dir)
    assert weights.read_bytes() == good
    assert not list(tmp_path.glob(".out.*"))
    write_tiny_gguf(tmp_path / "tiny.gguf", seed=1)
    convert_smollm2(tmp_path / "tiny.gguf", out_dir)
    assert weights.read_bytes() != good


def test_failed_check_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_tiny_gguf(tmp_path / "tiny.gguf")
    original = torch.equal
    monkeypatch.setattr(torch, "equal", lambda a, b: a.shape != (32,) and original(a, b))
    with pytest.raises(ModelError, match="differs from its source after reloading"):
        convert_smollm2(tmp_path / "tiny.gguf", tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert not list(tmp_path.glob(".out.*"))


def test_bad_sources_are_explained(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="does not exist"):
        convert_smollm2(tmp_path / "absent.gguf", tmp_path / "out")
    (tmp_path / "text.gguf").write_text("this is not a model")
    with pytest.raises(ModelError, match="cannot be read as a GGUF"):
        convert_smollm2(tmp_path / "text.gguf", tmp_path / "out")
    write_tiny_gguf(tmp_path / "tiny.gguf")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("precious")
    with pytest.raises(ModelError, match="not a conversion"):
        convert_smollm2(tmp_path / "tiny.gguf", tmp_path / "mine")
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "precious"


def test_ensure_resolves_and_caches_by_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import hashlib

    write_tiny_gguf(tmp_path / "own.gguf")
    sha256 = hashlib.sha256((tmp_path / "own.gguf").read_bytes()).hexdigest()
    monkeypatch.setenv("GEOPROSE_ASSET_SMOLLM2_135M_INSTRUCT", str(tmp_path / "own.gguf"))
    monkeypatch.setenv("GEOPROSE_ASSET_SMOLLM2_135M_INSTRUCT_SHA256", sha256)
    folder = ensure_smollm2(tmp_path / "cache")
    assert folder == tmp_path / "cache" / "converted" / f"smollm2-135m-instruct-{sha256[:12]}"
    assert (folder / converted.RECORD).is_file()


@pytest.mark.network
@pytest.mark.slow
def test_real_smollm2_writes_english(tmp_path: Path) -> None:
    folder = ensure_smollm2()
    model, tokenizer = AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    assert model.num_parameters() == 134_515_008
    text = tokenizer.apply_chat_template(
        [{"role": "user", "content": "What is the capital of France?"}], tokenize=False, add_generation_prompt=True
    )
    inputs = tokenizer(text, return_tensors="pt")
    output = model.generate(**inputs, max_new_tokens=20, do_sample=False)
    assert "Paris" in tokenizer.decode(output[0, inputs.input_ids.shape[1] :])

from __future__ import annotations

import json

import numpy as np
import pytest

torch = pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")

from typing import TYPE_CHECKING  # noqa: E402

from transformers import Dinov2Model  # noqa: E402

from geoprose.core.errors import ModelError  # noqa: E402
from geoprose.systems import convert_onnx  # noqa: E402
from geoprose.systems.convert_onnx import convert_dinov2, encoder_graph, ensure_dinov2, onnx_encoder_output  # noqa: E402
from tests.fixtures.weights import write_tiny_dinov2_onnx  # noqa: E402

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("onnx")
    write_tiny_dinov2_onnx(folder / "tiny.onnx")
    return folder / "tiny.onnx", convert_dinov2(folder / "tiny.onnx", folder / "out")


@pytest.mark.parametrize("size_px", [(10, 10), (14, 6), (4, 8)])
def test_converted_model_gives_the_output_of_the_graph(tiny: tuple[Path, Path], size_px: tuple[int, int]) -> None:
    onnx_path, out_dir = tiny
    pixels = np.random.default_rng(1).standard_normal((2, 3, *size_px)).astype(np.float32)
    tokens = [onnx_encoder_output(onnx.load(onnx_path), pixels[index : index + 1]) for index in range(2)]
    with torch.inference_mode():
        found = Dinov2Model.from_pretrained(out_dir).eval()(pixel_values=torch.from_numpy(pixels)).last_hidden_state
    np.testing.assert_allclose(found.numpy(), np.concatenate(tokens), atol=2e-5)


def test_config_is_read_from_the_shapes(tiny: tuple[Path, Path]) -> None:
    model = Dinov2Model.from_pretrained(tiny[1])
    config = model.config
    assert (config.hidden_size, config.num_hidden_layers, config.num_attention_heads) == (128, 1, 2)
    assert (config.patch_size, config.image_size, config.mlp_ratio) == (2, 10, 4)
    assert torch.count_nonzero(model.state_dict()["embeddings.mask_token"]) == 0
    record = json.loads((tiny[1] / "conversion.json").read_text())
    assert 0 < record["verified"]["max_abs_difference_to_onnx"] < 1e-5


def test_second_call_does_nothing(tiny: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("converted again")

    monkeypatch.setattr(convert_onnx, "_convert", refuse)
    assert convert_dinov2(*tiny) == tiny[1]


def test_graph_that_computes_something_else_is_refused(tmp_path: Path) -> None:
    write_tiny_dinov2_onnx(tmp_path / "tiny.onnx", wrong_epsilon=True)
    with pytest.raises(ModelError, match=r"differs from tiny\.onnx"):
        convert_dinov2(tmp_path / "tiny.onnx", tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("drop", "message"),
    [
        ("backbone.layernorm.bias", "layernorm.bias"),
        ("backbone.embeddings.cls_token", "cls_token"),
        ("backbone.encoder.layer.0.attention.attention.query.bias", "q_proj"),
        ("onnx::Reshape_1", ""),
    ],
)
def test_missing_tensors_are_named(tmp_path: Path, drop: str, message: str) -> None:
    write_tiny_dinov2_onnx(tmp_path / "tiny.onnx", drop=drop)
    if not message:  # an anonymous name may change freely; only its shape matters
        convert_dinov2(tmp_path / "tiny.onnx", tmp_path / "out")
        return
    with pytest.raises(ModelError, match=message):
        convert_dinov2(tmp_path / "tiny.onnx", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_file_that_is_not_onnx_is_explained(tmp_path: Path) -> None:
    (tmp_path / "text.onnx").write_text("this is not a graph")
    with pytest.raises(ModelError, match="ONNX"):
        convert_dinov2(tmp_path / "text.onnx", tmp_path / "out")


@pytest.mark.network
@pytest.mark.slow
def test_real_encoder_agrees_with_onnxruntime(tmp_path: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    from geoprose.assets.resolve import resolve

    folder = ensure_dinov2()
    onnx.save(encoder_graph(onnx.load(resolve("dinov2-small-focus"))), str(tmp_path / "encoder.onnx"))
    session = onnxruntime.InferenceSession(str(tmp_path / "encoder.onnx"))
    pixels = np.random.default_rng(2).standard_normal((1, 3, 224, 224)).astype(np.float32)
    (expected,) = session.run(None, {"input_image": pixels})
    with torch.inference_mode():
        found = Dinov2Model.from_pretrained(folder).eval()(pixel_values=torch.from_numpy(pixels)).last_hidden_state
    assert expected.shape == (1, 257, 384)
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-4)

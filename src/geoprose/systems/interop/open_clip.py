"""open_clip's layout of CLIP with a ViT: GeoRSCLIP and RemoteCLIP are published in it.

Attention weights are fused (``in_proj_weight`` holds q, k, v one below the other); projections are matrices that
multiply from the right, so they are transposed; the class is not in transformers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from safetensors.torch import load_file

from geoprose.core.errors import ConfigError, ResourceError
from geoprose.systems.interop.dual_encoder import DualEncoderReference, as_scalar, as_vector
from geoprose.systems.interop.key_map import Fuse, KeyMap, Rename, Rule

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor
    from transformers import PreTrainedConfig

_BLOCK = (
    ("layer_norm1", "ln_1"),
    ("layer_norm2", "ln_2"),
    ("mlp.fc1", "mlp.c_fc"),
    ("mlp.fc2", "mlp.c_proj"),
    ("self_attn.out_proj", "attn.out_proj"),
)


def _transposed(tensor: Tensor) -> Tensor:
    return tensor.T.contiguous()


def _blocks(ours: str, theirs: str) -> list[Rule]:
    layer, block = f"{ours}.encoder.layers.{{i}}", f"{theirs}transformer.resblocks.{{i}}"
    rules: list[Rule] = [Rename(f"{layer}.{mine}.{{rest}}", f"{block}.{other}.{{rest}}") for mine, other in _BLOCK]
    for kind in ("weight", "bias"):
        heads = tuple(f"{layer}.self_attn.{name}_proj.{kind}" for name in "qkv")
        rules.append(Fuse(heads, f"{block}.attn.in_proj_{kind}"))
    return rules


class OpenClipReference(DualEncoderReference):
    """``open_clip.CLIP`` with the default text tower and a ViT."""

    architecture = "open_clip.CLIP"

    def key_map(self, ours: Any) -> KeyMap:
        """Return the names of the weights."""
        vision, text = "vision.model", "text.model"
        rules: list[Rule] = [
            Rename(f"{vision}.embeddings.class_embedding", "visual.class_embedding"),
            Rename(f"{vision}.embeddings.position_embedding.weight", "visual.positional_embedding"),
            Rename(f"{vision}.embeddings.patch_embedding.weight", "visual.conv1.weight"),
            Rename(f"{vision}.pre_layrnorm.{{rest}}", "visual.ln_pre.{rest}"),
            Rename(f"{vision}.post_layernorm.{{rest}}", "visual.ln_post.{rest}"),
            Rename("vision_projection.weight", "visual.proj", _transposed, _transposed),
            Rename(f"{text}.embeddings.token_embedding.weight", "token_embedding.weight"),
            Rename(f"{text}.embeddings.position_embedding.weight", "positional_embedding"),
            Rename(f"{text}.final_layer_norm.{{rest}}", "ln_final.{rest}"),
            Rename("text_projection.weight", "text_projection", _transposed, _transposed),
            Rename("logit_scale", "logit_scale", as_scalar, as_vector),
            *_blocks(vision, "visual."),
            *_blocks(text, ""),
        ]
        # Checkpoints of the original release carry these beside the weights.
        return KeyMap(rules, theirs_only=("attn_mask", "input_resolution", "context_length", "vocab_size"))

    def config(self, ours: Any) -> PreTrainedConfig:
        """Refuse: transformers has no class of this layout.

        Raises:
            ConfigError: Always.
        """
        raise ConfigError("open_clip.CLIP is no class of transformers; name reference: clip to compare with CLIPModel.")

    def published_state(self, folder: Path) -> dict[str, Tensor]:
        """Return the weights of the one safetensors file in ``folder``.

        Raises:
            ResourceError: If there is not exactly one.
        """
        files = sorted(folder.glob("*.safetensors"))
        if len(files) != 1:
            raise ResourceError(
                f"{folder} holds {len(files)} safetensors files; one of open_clip's layout is needed. Pickled "
                "checkpoints (.pt) are not read: convert one with torch.load(..., weights_only=True) and save_file."
            )
        return dict(load_file(files[0]))

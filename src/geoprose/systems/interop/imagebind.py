"""Names of the released ImageBind weights; there is no transformers class, so no ``Reference``."""

from __future__ import annotations

from geoprose.systems.interop.key_map import KeyMap, Rename, Rule

_BLOCK = (
    ("attention.qkv.weight", "attn.in_proj_weight"),
    ("attention.qkv.bias", "attn.in_proj_bias"),
    ("attention.out.{rest}", "attn.out_proj.{rest}"),
    ("attention.extra_key", "attn.bias_k"),
    ("attention.extra_value", "attn.bias_v"),
    ("norm_1.{rest}", "norm_1.{rest}"),
    ("norm_2.{rest}", "norm_2.{rest}"),
    ("mlp.0.{rest}", "mlp.fc1.{rest}"),
    ("mlp.2.{rest}", "mlp.fc2.{rest}"),
)
# Their stems by modality: name of the stem, name of the patch layer inside it.
_STEMS = {
    "vision": ("rgbt_stem", "proj.1"),
    "audio": ("rgbt_stem", "proj"),
    "depth": ("depth_stem", "proj"),
    "thermal": ("rgbt_stem", "proj"),
    "imu": ("imu_stem", "proj"),
}
# Their heads by modality: places of the norm and of the projection.
_HEADS = {"text": ("proj.0", "proj.1"), "imu": ("0", "3")}


def imagebind_key_map(modality: str, ours: str = "") -> KeyMap:
    """Return the names of one tower.

    Args:
        modality: ``vision``, ``text``, ``audio``, ``depth``, ``thermal`` or ``imu``.
        ours: Prefix of our names, such as ``"model.vision_encoder.tower."``.
    """
    trunk, head = f"modality_trunks.{modality}", f"modality_heads.{modality}"
    norm, projection = _HEADS.get(modality, ("0", "2"))
    pairs = [
        *_stem(modality),
        ("input_norm.{rest}", f"{trunk}.pre_transformer_layer.0.{{rest}}"),
        *((f"blocks.{{layer}}.{our}", f"{trunk}.blocks.{{layer}}.{their}") for our, their in _BLOCK),
        ("head_norm.{rest}", f"{head}.{norm}.{{rest}}"),
        ("projection.{rest}", f"{head}.{projection}.{{rest}}"),
        ("log_scale", f"modality_postprocessors.{modality}.1.log_logit_scale"),
    ]
    rules: list[Rule] = [Rename(ours + our, their) for our, their in pairs]
    return KeyMap(rules)


def _stem(modality: str) -> list[tuple[str, str]]:
    start = f"modality_preprocessors.{modality}"
    if modality == "text":
        return [("stem.patches.{rest}", f"{start}.token_embedding.{{rest}}"), ("stem.positions", f"{start}.pos_embed")]
    stem, layer = _STEMS[modality]
    table = "pos_embed" if modality == "imu" else "pos_embedding_helper.pos_embed"
    return [
        ("stem.patches.{rest}", f"{start}.{stem}.{layer}.{{rest}}"),
        ("stem.norm.{rest}", f"{start}.{stem}.norm_layer.{{rest}}"),
        ("stem.class_token", f"{start}.cls_token"),
        ("stem.positions", f"{start}.{table}"),
    ]

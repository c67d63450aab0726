"""Shrink a system to something that builds in a fraction of a second: same parts, random weights, a byte tokenizer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import CONFIG_MAPPING, PreTrainedTokenizerFast

from geoprose.core.spec import merge
from geoprose.models.registries import VISION_ENCODERS
from geoprose.processing.prompt import IMAGE_MARK
from geoprose.systems.hf_config import known_values

if TYPE_CHECKING:
    from geoprose.systems.spec import PromptSpec, SystemSpec

_SPECIAL_TOKENS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<s>", "</s>", IMAGE_MARK)
_CONTROLS = ("image_token", "image_start", "image_end", "image_row", "assistant_stop")
_TOWER = {
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "mlp_ratio": 2,
    "projection_dim": 32,
}
_LANGUAGE = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
# Why not transformers' 0.02: at width 32 the picture would move the logits by less than rounding.
_INITIALIZER_RANGE = 0.2


def tiny_spec(spec: SystemSpec) -> SystemSpec:
    """Return the spec with every part shrunk and no pretrained weights.

    The tile has four visual tokens along each edge, whatever the connector merges, so that grids stay grids.
    """
    values: dict[str, Any] = spec.model_dump(mode="json")
    encoder, language = values["vision_encoder"], values["language_model"]
    tower = encoder["config"]
    for part in [encoder, *(b["encoder"] for b in values.get("branches", {}).values() if b["encoder"])]:
        own = part["config"]
        known = known_values(own.get("model_type") or VISION_ENCODERS.get(part["type"]).model_type)
        shrunk = {key: value for key, value in _TOWER.items() if key in own or key.startswith(("hidden", "num"))}
        own.update({k: v for k, v in {**shrunk, "initializer_range": _INITIALIZER_RANGE}.items() if k in known})
    for signal in values.get("signals", {}).values():
        signal |= {"hidden_size": 16, "num_layers": 1, "num_heads": 2, "output_tokens": 3, "output_size": 8}
    config = language["config"]
    is_grouped = config.get("num_key_value_heads", 1) != config.get("num_attention_heads", 1)
    smaller = {**_LANGUAGE, "num_key_value_heads": 2 if is_grouped else 4, "initializer_range": _INITIALIZER_RANGE}
    config.update(_under_its_names(language["type"], smaller))
    config.pop("head_dim", None)
    encoder["weights"] = language["weights"] = None
    language["keep_layers"] = ()
    for branch in values.get("branches", {}).values():
        if branch["encoder"]:
            branch["encoder"]["weights"] = None
    if isinstance(encoder["feature_layer"], list):
        encoder["feature_layer"] = list(range(1, 1 + len(encoder["feature_layer"])))
    factor = values["connector"].get("factor", 1)
    values["resolution"]["image_size"] = 4 * factor * encoder["pool"] * tower.get("patch_size", 14)
    if values["connector"].get("position_grid"):
        values["connector"]["position_grid"] = 4
    return type(spec).model_validate(merge(values, spec.tiny))


def _under_its_names(model_type: str, values: dict[str, Any]) -> dict[str, Any]:
    """Return the values that a config of this type has, named as it names them (T5 calls the width ``d_model``)."""
    config_class: Any = CONFIG_MAPPING[model_type]
    own, names = config_class().to_dict(), getattr(config_class, "attribute_map", {})
    return {names.get(key, key): value for key, value in values.items() if names.get(key, key) in own}


def tiny_tokenizer(prompt: PromptSpec | None = None) -> PreTrainedTokenizerFast:
    """Return a byte-level tokenizer that knows the control tokens of the common formats and those of ``prompt``."""
    own = (getattr(prompt, name) for name in _CONTROLS) if prompt else ()
    special = list(dict.fromkeys([*_SPECIAL_TOKENS, *(token for token in own if token)]))
    vocabulary = {token: index for index, token in enumerate(special)}
    for symbol in sorted(pre_tokenizers.ByteLevel.alphabet()):
        vocabulary[symbol] = len(vocabulary)
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in special])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<s>",  # noqa: S106 - a token of text
        eos_token="<|endoftext|>",  # noqa: S106 - a token of text
        pad_token="<|endoftext|>",  # noqa: S106 - a token of text
        extra_special_tokens=[token for token in special if token not in ("<s>", "<|endoftext|>")],
        model_max_length=4096,
    )

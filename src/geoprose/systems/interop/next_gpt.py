"""Names of NExT-GPT's released trained parts; there is no transformers class, so no ``Reference``."""

from __future__ import annotations

from geoprose.systems.interop.key_map import KeyMap, Rename, Rule

_HEAD = (
    ("input.{rest}", "fc.{rest}"),
    ("encoder.{rest}", "tfm.encoder.{rest}"),
    ("decoder.{rest}", "tfm.decoder.{rest}"),
    ("output.{rest}", "model.{rest}"),
    ("queries", "query_embs"),
)
_HEADS = {"image": "gen_text_hidden_fcs", "video": "gen_text_hidden_fcs_video", "audio": "gen_text_hidden_fcs_audio"}


def signal_head_rules(ours: str = "", theirs: str = "") -> list[Rule]:
    """Return the names of one output head behind these prefixes."""
    return [Rename(ours + our, theirs + their) for our, their in _HEAD]


def next_gpt_key_map() -> KeyMap:
    """Return the names of what NExT-GPT trains besides LoRA: input layer and output heads."""
    rules: list[Rule] = [Rename("model.connector.layers.0.{rest}", "llama_proj.{rest}")]
    for name, theirs in _HEADS.items():
        rules += signal_head_rules(f"signal_heads.{name}.", f"{theirs}.0.")
    return KeyMap(rules)

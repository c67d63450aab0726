"""Discrete visual tokens have names in the vocabulary: find them, add them, write their ids in the config."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tokenizers import AddedToken

from geoprose.core.errors import ConfigError
from geoprose.models.parts.sizes import num_codes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from geoprose.models.config import GeoproseConfig
    from geoprose.systems.spec import SystemSpec

_LETTERS = str.maketrans("0123456789", "ABCDEFGHIJ")


def code_names(token: str, count: int) -> list[str]:
    """Return the name of every code's token.

    Args:
        token: Pattern with ``{code}``, with a format such as ``{code:06d}``, or ``{letters}``: the decimal digits of
            the code as A to J (Chameleon).
        count: Number of codes.

    Raises:
        ConfigError: If the pattern does not tell codes apart.
    """
    names = [token.format(code=code, letters=str(code).translate(_LETTERS)) for code in range(count)]
    if len(set(names)) != count:
        raise ConfigError(
            f"The token pattern {token!r} names several codes alike; write {{code}} or {{letters}} in it."
        )
    return names


def add_tokens(tokenizer: Any, spec: SystemSpec) -> None:
    """Add the tokens that discrete parts need and the tokenizer lacks."""
    names: list[str] = []
    if spec.connector.type == "vq_embed":
        names += code_names(spec.connector.token, num_codes(spec.vision_encoder.config))  # type: ignore[attr-defined]
    if spec.packer.type == "eol_rows":
        names.append(spec.packer.eol_token)  # type: ignore[attr-defined]
    if spec.image_head is not None:
        names += spec.image_head.tokens()
    known = tokenizer.get_vocab() if names else {}
    missing = [name for name in names if name not in known]
    if missing:
        tokenizer.add_tokens([AddedToken(name, special=True, normalized=False) for name in missing])


def name_tokens(config: GeoproseConfig, tokenizer: Any) -> GeoproseConfig:
    """Write the ids of codes and of the end of line into a config; returns it."""
    assert config.connector is not None
    assert config.vision_config is not None
    if config.connector["type"] == "vq_embed":
        names = code_names(config.connector["token"], num_codes(config.vision_config))
        config.connector = {**config.connector, "ids": _compact(tokenizer.convert_tokens_to_ids(names))}
    packer = config.merging()[0]
    if packer["type"] == "eol_rows":
        config.packer = {**packer, "eol_id": tokenizer.convert_tokens_to_ids(packer["eol_token"])}
    return config


def code_ids(config: GeoproseConfig) -> list[int]:
    """Return the token ids that only pictures may use; empty for systems without discrete visual tokens."""
    assert config.connector is not None
    if config.connector["type"] != "vq_embed":
        return []
    ids = config.connector.get("ids", 0)
    return list(range(ids, ids + num_codes(config.vision_config))) if isinstance(ids, int) else list(ids)


def _compact(ids: Sequence[int]) -> int | list[int]:
    """Return the first id when they follow each other, so that a config does not list thousands of numbers."""
    return ids[0] if list(ids) == list(range(ids[0], ids[0] + len(ids))) else list(ids)

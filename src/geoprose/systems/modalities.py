"""Modalities beside pictures on their way from a spec into tokenizer and config: marks, signal tokens, their ids."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tokenizers import AddedToken

from geoprose.models.registries import VISION_ENCODERS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from geoprose.models.config import GeoproseConfig
    from geoprose.systems.spec import SystemSpec
    from geoprose.systems.specs.branches import BranchSpec


def own_tokens(spec: SystemSpec) -> list[str]:
    """Return the tokens that further modalities need: marks of what the system reads, signals of what it asks for."""
    signals = [token for signal in spec.signals.values() for token in signal.tokens()]
    return [*spec.branch_tokens().values(), *signals]


def add_modality_tokens(tokenizer: Any, spec: SystemSpec) -> None:
    """Add the tokens that further modalities need and the tokenizer lacks."""
    names = own_tokens(spec)
    known = tokenizer.get_vocab() if names else {}
    marks = set(spec.branch_tokens().values())
    # Marks are control tokens that no answer holds; signals are words that the model writes and learns.
    missing = [AddedToken(name, special=name in marks, normalized=False) for name in names if name not in known]
    if missing:
        tokenizer.add_tokens(missing)


def name_modalities(config: GeoproseConfig, tokenizer: Any) -> GeoproseConfig:
    """Write the ids of marks and signal tokens into a config; returns it."""
    for branch in (config.branches or {}).values():
        branch["token_id"] = tokenizer.convert_tokens_to_ids(branch["token"])
    for signal in (config.signals or {}).values():
        signal["token_ids"] = tokenizer.convert_tokens_to_ids(signal["tokens"])
    return config


def modality_values(spec: SystemSpec, num_tokens: int, sub_config: Callable[..., Any]) -> dict[str, Any]:
    """Return ``branches`` and ``signals`` as the transformers config holds them; None where there are none.

    Args:
        spec: The system.
        num_tokens: Tokens of the tokenizer; the last of them are taken for those of the modalities until
            ``name_modalities`` looks them up.
        sub_config: Makes the transformers config of a part.
    """
    ids = dict(zip(own_tokens(spec), range(num_tokens - len(own_tokens(spec)), num_tokens), strict=True))
    branches = {
        modality: {
            **branch.as_config(),
            "encoder_config": _encoder_config(branch, f"branches.{modality}.encoder", sub_config),
            "token": spec.branch_tokens()[modality],
            "token_id": ids[spec.branch_tokens()[modality]],
        }
        for modality, branch in spec.branches.items()
    }
    signals = {
        modality: {**signal.as_config(), "token_ids": [ids[token] for token in signal.tokens()]}
        for modality, signal in spec.signals.items()
    }
    return {"branches": branches or None, "signals": signals or None}


def _encoder_config(branch: BranchSpec, part: str, sub_config: Callable[..., Any]) -> dict[str, Any] | None:
    if branch.encoder is None:
        return None
    values: dict[str, Any] = dict(branch.encoder.config)
    model_type = str(values.pop("model_type", VISION_ENCODERS.get(branch.encoder.type).model_type))
    found: Mapping[str, Any] = sub_config(model_type, values, part).to_diff_dict()
    return {**found, "model_type": model_type}

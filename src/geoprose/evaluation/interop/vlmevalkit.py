"""A system as a model of VLMEvalKit; `register` puts it into the kit's table before its ``run.py`` starts."""

from __future__ import annotations

import importlib
from functools import cache, partial
from typing import TYPE_CHECKING, Any, ClassVar

from geoprose.core.errors import ConfigError, ResourceError
from geoprose.evaluation.interop.answerer import DEFAULT_NEW_TOKENS, Answerer, Decoding, Question
from geoprose.evaluation.interop.turns import Part, Turn

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from geoprose.core.types import Role

CLASS_NAME = "Geoprose"
"""Name under ``vlmeval.vlm``, for the kit's JSON configs."""


class VlmEvalKitAdapter:
    """What VLMEvalKit asks of a model, answered by a system of this project.

    The kit asks one question at a time, so only the encoded picture is shared between questions about it. Videos come
    as frames, as many as the kit's data set says; ``num_frames`` only counts for a video given as a file.

    Args:
        pretrained: Folder or preset of the system.
        device: Device that the system is moved to; where it was loaded when empty.
        num_frames: Pictures that stand for a video file.
        max_new_tokens: Longest answer.
        others: Refused, except what the kit gives every model and greedy decoding does not need.

    Raises:
        ConfigError: If an argument is unknown.

    Source:
        VLMEvalKit e8e78f0, vlmeval/vlm/base.py (class BaseModel), vlmeval/inference.py, inference_mt.py,
        inference_video.py, vlmeval/config.py.
    """

    INTERLEAVE: ClassVar[bool] = True
    VIDEO_LLM: ClassVar[bool] = False
    is_api: ClassVar[bool] = False
    allowed_types: ClassVar[list[str]] = ["text", "image", "video"]

    def __init__(
        self,
        pretrained: str,
        device: str = "",
        num_frames: int = 8,
        max_new_tokens: int = DEFAULT_NEW_TOKENS,
        **others: Any,
    ) -> None:
        unknown = sorted(set(others) - {"use_vllm", "verbose", "retry"})
        if unknown:
            raise ConfigError(f"{unknown[0]} is unknown. Known: pretrained, device, num_frames, max_new_tokens.")
        super().__init__()
        self.answerer = Answerer(pretrained, device, num_frames=num_frames)
        self._decoding = Decoding(max_new_tokens)

    def generate_inner(self, message: Sequence[Mapping[str, Any]], dataset: str | None = None) -> str:
        """Answer one question: items ``{"type": "text" | "image" | "video", "value": ...}``, with a role or without.

        Args:
            message: The items in order.
            dataset: Name of the benchmark; the prompt is the kit's, so it changes nothing.

        Raises:
            InputError: If the items end with a begun answer, which cannot be continued.
            DataError: If a picture cannot be read.
        """
        del dataset
        return self._answer(_turns(message))

    def chat_inner(self, messages: Sequence[Mapping[str, Any]], dataset: str | None = None) -> str:
        """Answer the last of several turns, ``{"role": ..., "content": [items]}``.

        Args:
            messages: The turns.
            dataset: Name of the benchmark; changes nothing.

        Raises:
            InputError: If the last turn is not the user's.
            DataError: If a picture cannot be read.
        """
        del dataset
        return self._answer([Turn(turn["role"], tuple(map(_part, _items(turn["content"])))) for turn in messages])

    def _answer(self, turns: Sequence[Turn]) -> str:
        return self.answerer.answer([Question(lambda: turns, self._decoding)])[0]


def register(name: str, pretrained: str, **options: Any) -> None:
    """Make a system known to VLMEvalKit under a name, for ``--model NAME`` and as class ``Geoprose`` of its configs.

    Args:
        name: Name of the model; the kit's result files carry it.
        pretrained: Folder or preset of the system.
        options: Further arguments of `VlmEvalKitAdapter`.

    Raises:
        ResourceError: If VLMEvalKit is not installed.
        ConfigError: If the kit already has a model of that name.
    """
    known = _import("vlmeval.config").supported_VLM
    if name in known:
        raise ConfigError(f"VLMEvalKit already has a model {name}. Give another name: it is written beside the scores.")
    made = model_class()
    setattr(_import("vlmeval.vlm"), CLASS_NAME, made)
    known[name] = partial(made, pretrained=pretrained, **options)


@cache
def model_class() -> type:
    """Return the class for VLMEvalKit: its base class with this adapter in front.

    Raises:
        ResourceError: If VLMEvalKit is not installed.
    """
    base = _import("vlmeval.vlm.base").BaseModel
    return type(CLASS_NAME, (VlmEvalKitAdapter, base), {"__module__": __name__})


def _turns(message: Sequence[Mapping[str, Any]]) -> list[Turn]:
    """Join neighbouring items of one role; items without a role are the user's."""
    turns: list[Turn] = []
    for item in _items(message):
        role: Role = item.get("role", "user")
        if turns and turns[-1].role == role:
            turns[-1] = Turn(role, (*turns[-1].parts, _part(item)))
        else:
            turns.append(Turn(role, (_part(item),)))
    return turns


def _items(content: Any) -> list[Mapping[str, Any]]:
    return [{"type": "text", "value": content}] if isinstance(content, str) else list(content)


def _part(item: Mapping[str, Any]) -> Part:
    return Part(item["type"], item["value"])


def _import(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ResourceError(
            f"{name} cannot be imported: {error}. Install VLMEvalKit from github.com/open-compass/VLMEvalKit."
        ) from error

"""lmms-eval's requests, as tuples of arguments, as questions; chat messages and the older simple form."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from geoprose.core.errors import InputError, TaskError
from geoprose.evaluation.interop.answerer import Question
from geoprose.evaluation.interop.turns import Part, Turn

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from geoprose.evaluation.interop.turns import Kind

PICTURES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".gif", ".tiff", ".tif", ".webp"})
SOUNDS = frozenset({".wav", ".mp3", ".m4a", ".aac", ".flac", ".ogg", ".opus"})

Args = tuple[Any, ...]


def chat_question(args: Args, docs: Mapping[str, Any]) -> Callable[[], list[Turn]]:
    """Return what makes the conversation of ``(context, doc_to_messages, options, doc_id, task, split)``."""
    _, doc_to_messages, _, doc_id, task, split = args
    return lambda: read_messages(doc_to_messages(docs[task][split][doc_id]))


def simple_question(args: Args, docs: Mapping[str, Any]) -> Callable[[], list[Turn]]:
    """Return what makes the conversation of ``(context, options, doc_to_visual, doc_id, task, split)``."""
    context, _, doc_to_visual, doc_id, task, split = args
    return lambda: read_visuals(doc_to_visual(docs[task][split][doc_id]), context)


def group_options(requests: Sequence[Args], docs: Mapping[str, Any]) -> list[Question]:
    """Join requests for likelihoods that follow each other and ask the same, so that their options are one question.

    Args:
        requests: ``(context, continuation, doc_to_visual, doc_id, task, split)``, the continuation a text or a
            function of the document; or ``(context, continuation)`` alone, without pictures.
        docs: Documents by task, split and number.
    """
    grouped: list[tuple[tuple[Any, ...], Callable[[], list[Turn]], list[str]]] = []
    for args in requests:
        context, continuation = args[0], args[1]
        same: tuple[Any, ...] = (context,)
        make: Callable[[], list[Turn]] = partial(read_visuals, (), context)
        if len(args) > 2:
            doc_to_visual, doc_id, task, split = args[2:]
            doc = docs[task][split][doc_id]
            same = (context, doc_id, task, split)
            make = simple_question((context, None, doc_to_visual, doc_id, task, split), docs)
            continuation = continuation(doc) if callable(continuation) else continuation
        if not grouped or grouped[-1][0] != same:
            grouped.append((same, make, []))
        grouped[-1][2].append(str(continuation))
    return [Question(make, options=tuple(options)) for _, make, options in grouped]


def read_messages(messages: Sequence[Mapping[str, Any]]) -> list[Turn]:
    """Read chat messages: ``{"role": ..., "content": [{"type": "text", "text": ...}, {"type": "image", "url": ...}]}``.

    Raises:
        InputError: If an item is neither text, nor picture, nor video.
    """
    turns = []
    for message in messages:
        content = message["content"]
        items = [{"type": "text", "text": content}] if isinstance(content, str) else content
        turns.append(Turn(message["role"], tuple(_read_item(item) for item in items)))
    return turns


def read_visuals(visuals: Sequence[Any] | None, context: Any) -> list[Turn]:
    """Read the simple form: pictures and videos, then the text about them, all of the user.

    Raises:
        InputError: If a visual is neither picture nor video, or the context is not text.
    """
    if not isinstance(context, str):
        raise InputError(f"A task of lmms-eval gives {type(context).__name__} where its question should be text.")
    return [Turn("user", (*(_read_visual(visual) for visual in visuals or ()), Part("text", context)))]


class ChatRound:
    """The rounds of one document in chat form.

    Args:
        args: ``(context, doc_to_messages, options, doc_id, task, split)``.
        docs: Documents by task, split and number.

    Attributes:
        said: The system's answers so far.
        options: How to generate.
    """

    def __init__(self, args: Args, docs: Mapping[str, Any]) -> None:
        _, self._write, options, doc_id, task, split = args
        self._doc = docs[task][split][doc_id]
        self._info: Any = None
        self.options = dict(options)
        self.said: list[str] = []

    def next(self, number: int) -> list[Turn] | None:
        """Return the conversation of a round; None when the task is done."""
        if number == 0:
            return read_messages(self._write(self._doc))
        payload = self._write(
            self._doc, round_idx=number, previous_output=list(self.said), previous_round_info=self._info
        )
        if not (isinstance(payload, tuple) and len(payload) == 4):
            return None
        messages, is_done, _, self._info = payload
        return None if is_done else read_messages(messages)


class SimpleRound:
    """The rounds of one document in simple form.

    Args:
        args: ``(context, options, doc_to_visual, doc_to_text, doc_id, task, split)``.
        docs: Documents by task, split and number.

    Attributes:
        said: The system's answers so far, or what the task made of them.
        options: How to generate.
    """

    def __init__(self, args: Args, docs: Mapping[str, Any]) -> None:
        self._context, options, self._see, self._write, doc_id, task, split = args
        self._doc = docs[task][split][doc_id]
        self._info: Any = None
        self.options = dict(options)
        self.said: list[str] = []

    def next(self, number: int) -> list[Turn] | None:
        """Return the conversation of a round; None when the task is done.

        Raises:
            TaskError: If the task does not give the five values of a round.
        """
        if number == 0:
            return read_visuals(self._see(self._doc), self._context)
        payload = self._write(
            self._doc, previous_output=list(self.said), round_idx=number, previous_round_info=self._info
        )
        if not (isinstance(payload, tuple) and len(payload) == 5):
            raise TaskError("A task of several rounds must give visuals, text, whether it is done, outputs and info.")
        visuals, context, is_done, outputs, self._info = payload
        self.said = list(outputs) if outputs else self.said
        return None if is_done else read_visuals(visuals, context)


def _read_item(item: Mapping[str, Any]) -> Part:
    kind = item["type"]
    if kind == "text":
        return Part("text", item["text"])
    if kind in ("image", "video"):
        if item.get("start_time") is not None or item.get("end_time") is not None:
            raise InputError("A task asks for a part of a video by its times; cut the video or give its frames.")
        return Part(kind, item["url"])
    raise InputError(f"A task shows {kind!r}; this system takes text, pictures and videos.")


def _read_visual(visual: Any) -> Part:
    if isinstance(visual, dict) and ("url" in visual or "path" in visual or "type" in visual):
        value = visual.get("url") or visual.get("path")
        return _read_item({**visual, "type": visual.get("type", "video"), "url": value})
    if isinstance(visual, list):
        return Part("video", visual)
    if not isinstance(visual, str):
        return Part("image", visual)
    suffix = Path(visual).suffix.lower()
    if suffix in SOUNDS:
        raise InputError(f"A task shows the sound {Path(visual).name}; this system takes text, pictures and videos.")
    kind: Kind = "image" if suffix in PICTURES or visual.startswith("data:image") else "video"
    return Part(kind, visual)

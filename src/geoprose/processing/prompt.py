"""Prompt formats as data: how a conversation becomes text, and which of its characters the model must learn."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from geoprose.core.errors import ProcessingError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from geoprose.core.types import Message

IMAGE_MARK = "<image>"


@dataclass(frozen=True)
class PromptFormat:
    """The pieces of a chat template.

    A conversation is ``start``, the system turn if there is a system text, then the turns one after another. The
    loss covers an assistant turn's text and ``assistant_stop``.

    Attributes:
        start: Written once at the beginning, e.g. a begin-of-sequence token.
        default_system: System text used when the conversation brings none; empty for no system turn.
        system_prefix: Before the system text.
        system_suffix: After the system text.
        user_prefix: Before a user's text.
        user_suffix: After a user's text.
        assistant_prefix: Before an assistant's text; ends the prompt of a generation.
        assistant_lead: Between that and the text, learned by the model (Vicuna: a space).
        assistant_stop: What the model writes to end its turn.
        assistant_suffix: Between the end of the assistant's turn and the next turn; carries no loss.
        image_suffix: Written after an image that a chat message gives as its own item (``{"type": "image"}``).
        image_token: The token that stands for one visual token; each ``<image>`` mark becomes as many as it needs.
        image_start: Written before the image tokens of a picture; ``{rows}`` and ``{columns}`` become its grid.
        image_end: Written after them.
        image_row: Written after every row of image tokens, where the packer has rows.
    """

    start: str = ""
    default_system: str = ""
    system_prefix: str = ""
    system_suffix: str = ""
    user_prefix: str = ""
    user_suffix: str = ""
    assistant_prefix: str = ""
    assistant_lead: str = ""
    assistant_stop: str = ""
    assistant_suffix: str = ""
    image_suffix: str = "\n"
    image_token: str = IMAGE_MARK
    image_start: str = ""
    image_end: str = ""
    image_row: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return the pieces as a dictionary of strings."""
        return asdict(self)

    def chat_template(self) -> str:
        """Return the Jinja template that renders the same text, for ``apply_chat_template``."""
        literals = {name: _jinja_literal(value) for name, value in asdict(self).items()}
        return _TEMPLATE.format(image=_jinja_literal(IMAGE_MARK), **literals)


@dataclass(frozen=True)
class Rendered:
    """A conversation as text.

    Attributes:
        text: The whole text, one ``<image>`` per picture.
        target_spans: Start and end of the characters that carry loss.
    """

    text: str
    target_spans: tuple[tuple[int, int], ...]


def render(messages: Sequence[Message], prompt: PromptFormat, add_generation_prompt: bool = False) -> Rendered:
    """Write a conversation in a prompt format.

    Args:
        messages: At most one system message first, then turns.
        prompt: The format.
        add_generation_prompt: End with the beginning of an assistant's turn.

    Raises:
        ProcessingError: If there is no message, or a system message comes later than first.
    """
    if not messages:
        raise ProcessingError("A conversation needs at least one message.")
    if any(message.role == "system" for message in messages[1:]):
        raise ProcessingError("Only the first message of a conversation may have the role 'system'.")
    has_system = messages[0].role == "system"
    system_text = messages[0].text if has_system else prompt.default_system
    pieces = [prompt.start]
    if system_text:
        pieces.append(prompt.system_prefix + system_text + prompt.system_suffix)
    length = sum(len(piece) for piece in pieces)
    spans: list[tuple[int, int]] = []
    for message in messages[1:] if has_system else messages:
        piece, target = _turn(message, prompt)
        if target is not None:
            spans.append((length + target[0], length + target[1]))
        pieces.append(piece)
        length += len(piece)
    if add_generation_prompt:
        pieces.append(prompt.assistant_prefix)
    return Rendered("".join(pieces), tuple(spans))


def _turn(message: Message, prompt: PromptFormat) -> tuple[str, tuple[int, int] | None]:
    if message.role == "user":
        return prompt.user_prefix + message.text + prompt.user_suffix, None
    learned = prompt.assistant_lead + message.text + prompt.assistant_stop
    start = len(prompt.assistant_prefix)
    return prompt.assistant_prefix + learned + prompt.assistant_suffix, (start, start + len(learned))


def _jinja_literal(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n")
    return f"'{escaped}'"


_TEMPLATE = (
    "{{% macro body(content) -%}}"
    "{{%- if content is string -%}}{{{{- content -}}}}"
    "{{%- else -%}}{{%- for item in content -%}}"
    "{{%- if item['type'] in ('image', 'video') -%}}{{{{- {image} + {image_suffix} -}}}}"
    "{{%- elif item['type'] == 'text' -%}}{{{{- item['text'] -}}}}{{%- endif -%}}"
    "{{%- endfor -%}}{{%- endif -%}}"
    "{{%- endmacro -%}}"
    "{{{{- {start} -}}}}"
    "{{%- if messages[0]['role'] != 'system' and {default_system} -%}}"
    "{{{{- {system_prefix} + {default_system} + {system_suffix} -}}}}"
    "{{%- endif -%}}"
    "{{%- for message in messages -%}}"
    "{{%- set text = body(message['content']) -%}}"
    "{{%- if message['role'] == 'system' -%}}"
    "{{%- if text -%}}{{{{- {system_prefix} + text + {system_suffix} -}}}}{{%- endif -%}}"
    "{{%- elif message['role'] == 'user' -%}}{{{{- {user_prefix} + text + {user_suffix} -}}}}"
    "{{%- elif message['role'] == 'assistant' -%}}"
    "{{{{- {assistant_prefix} -}}}}"
    "{{% generation %}}{{{{- {assistant_lead} + text + {assistant_stop} -}}}}{{% endgeneration %}}"
    "{{{{- {assistant_suffix} -}}}}"
    "{{%- endif -%}}"
    "{{%- endfor -%}}"
    "{{%- if add_generation_prompt -%}}{{{{- {assistant_prefix} -}}}}{{%- endif -%}}"
)

"""The processor: pictures and messages to what the model's forward takes."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from transformers import BatchFeature
from transformers.processing_utils import MultiModalData, ProcessorMixin

from geoprose.core.errors import ProcessingError
from geoprose.core.types import Message
from geoprose.layout.arrangements import ARRANGEMENTS, arrangement_of
from geoprose.layout.visual import VisualLayout
from geoprose.processing.conditions import ReadsConditions
from geoprose.processing.limits import check_length
from geoprose.processing.modalities import ReadsModalities
from geoprose.processing.prompt import IMAGE_MARK, PromptFormat, Rendered, render
from geoprose.processing.visuals import Video, flatten_visuals

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

IGNORED = -100
ImageTokens = int | tuple[int, ...]
"""Image tokens of one visual, or of each of its rows."""


@dataclass(frozen=True)
class EncodedConversation:
    """Token ids of a conversation and its labels: -100 except an assistant's text and its end-of-turn."""

    input_ids: list[int]
    labels: list[int]


@dataclass(frozen=True)
class SharedPrefix:
    """Several questions about the same pictures: what they share, and what each adds.

    Attributes:
        prefix_ids: Tokens up to and including the last picture; no label falls on them.
        branches: Token ids and labels behind the prefix, one pair per question.
    """

    prefix_ids: list[int]
    branches: list[tuple[list[int], list[int]]]


class GeoproseProcessor(ReadsConditions, ReadsModalities, ProcessorMixin):  # type: ignore[misc]  # transformers is untyped
    """Pictures and text to ``pixel_values``, ``input_ids`` and ``attention_mask``.

    Args:
        image_processor: Makes tiles of pictures.
        tokenizer: A fast tokenizer that knows ``<image>`` as one special token.
        chat_template: Jinja template; by default made from ``prompt``.
        prompt: Pieces of the prompt format, see ``PromptFormat``.
        packer: ``{"type": name, **options}`` of the packer; its arrangement counts tokens.
        num_visual_tokens: Visual tokens per tile.
        branches: Marks of further modalities, see ``ReadsModalities``.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - each is saved under its name (contract of transformers)
        self,
        image_processor: Any = None,
        tokenizer: Any = None,
        chat_template: str | None = None,
        prompt: dict[str, Any] | None = None,
        packer: dict[str, Any] | None = None,
        num_visual_tokens: int = 1,
        branches: dict[str, dict[str, Any]] | None = None,
    ) -> None:
        self.branches = dict(branches or {})
        self.prompt = dict(prompt or {})
        self.packer = dict(packer or {"type": "flat"})
        self.num_visual_tokens = num_visual_tokens
        self.image_token = self.prompt_format.image_token
        self.image_token_id = tokenizer.convert_tokens_to_ids(self.image_token)
        self.mark_id = tokenizer.convert_tokens_to_ids(IMAGE_MARK)
        for token, token_id in ((self.image_token, self.image_token_id), (IMAGE_MARK, self.mark_id)):
            if token_id in (None, tokenizer.unk_token_id):
                raise ProcessingError(f"The tokenizer has no token {token!r}; add it as a special token first.")
        template = chat_template or self.prompt_format.chat_template()
        super().__init__(image_processor, tokenizer, chat_template=template)

    @property
    def prompt_format(self) -> PromptFormat:
        """The prompt format as a value."""
        return PromptFormat(**self.prompt)

    def num_tiles(self, width_px: int, height_px: int) -> int:
        """Return the rows of ``pixel_values`` that a picture of this size takes."""
        return int(self.image_processor.plan(width_px, height_px).layout.num_tiles)

    def num_image_tokens(self, width_px: int, height_px: int) -> int:
        """Return the image tokens that a picture of this size takes in the text, row tokens not counted."""
        return sum(self.image_segments(self.image_processor.plan(width_px, height_px).layout))

    def image_segments(self, layout: VisualLayout) -> tuple[int, ...]:
        """Return the image tokens of each row of a visual in the text; one row where the packer has none."""
        return arrangement_of(self.packer).segments(layout, self.num_visual_tokens)

    def encode_conversation(
        self,
        messages: Sequence[Message],
        num_tokens_per_image: Sequence[ImageTokens],
        items: Mapping[str, int] | None = None,
    ) -> EncodedConversation:
        """Tokenise a conversation whole, as the chat template renders it, and label it ourselves.

        Args:
            messages: The conversation; each ``<image>`` in it stands for one picture.
            num_tokens_per_image: Visual tokens of each picture, in order; a tuple gives them row by row.
            items: Inputs of each further modality that the conversation marks (``{"audio": 1}`` for one ``<audio>``).

        Raises:
            ProcessingError: If marks and pictures differ in number, or a text holds a control token.
        """
        self._check_texts(messages)
        ids, labels, _ = self._encode(render(messages, self.prompt_format), num_tokens_per_image, items)
        return EncodedConversation(ids, labels)

    def encode_prompt(
        self,
        messages: Sequence[Message],
        num_tokens_per_image: Sequence[ImageTokens],
        items: Mapping[str, int] | None = None,
    ) -> list[int]:
        """Tokenise a conversation up to where the assistant begins to write; see ``encode_conversation``."""
        self._check_texts(messages)
        rendered = render(messages, self.prompt_format, add_generation_prompt=True)
        return self._encode(rendered, num_tokens_per_image, items)[0]

    def encode_shared_prefix(
        self,
        images: int,
        question_answer_pairs: Sequence[tuple[str, str | None]],
        num_tokens_per_image: Sequence[ImageTokens] | None = None,
    ) -> SharedPrefix:
        """Tokenise several single-turn conversations about the same pictures, their common beginning once.

        For every branch, ``prefix_ids + branch_ids`` equals what ``encode_conversation`` gives for the one user
        message of ``images`` marks, each followed by the format's ``image_suffix``, and the question (and the answer).

        Args:
            images: Number of pictures.
            question_answer_pairs: Question, and answer or None for a prompt to generate from. A mark and white space at
                the beginning of a question are dropped: the pictures come first anyway.
            num_tokens_per_image: Visual tokens of each picture; one tile each by default.

        Raises:
            ProcessingError: If there are no pairs, or a question's first token would merge into the prefix.
        """
        if not question_answer_pairs:
            raise ProcessingError("Give at least one question.")
        counts: list[ImageTokens] = list(num_tokens_per_image or [self.num_visual_tokens] * images)
        block = (IMAGE_MARK + self.prompt_format.image_suffix) * images
        prefix: list[int] | None = None
        branches: list[tuple[list[int], list[int]]] = []
        for question, answer in question_answer_pairs:
            messages = [Message("user", block + question.replace(IMAGE_MARK, "").strip())]
            if answer is not None:
                messages.append(Message("assistant", answer))
            self._check_texts(messages)
            rendered = render(messages, self.prompt_format, add_generation_prompt=answer is None)
            ids, labels, starts = self._encode(rendered, counts)
            cut = bisect_left(starts, rendered.text.rfind(IMAGE_MARK) + len(IMAGE_MARK)) if images else 0
            if prefix is not None and ids[:cut] != prefix:
                raise ProcessingError(f"Question {question!r} does not share the beginning of the other questions.")
            prefix = ids[:cut]
            branches.append((ids[cut:], labels[cut:]))
        assert prefix is not None
        return SharedPrefix(prefix, branches)

    def _encode(
        self,
        rendered: Rendered,
        num_tokens_per_image: Sequence[ImageTokens],
        items: Mapping[str, int] | None = None,
    ) -> tuple[list[int], list[int], list[int]]:
        """Return ids, labels and the character each token starts at; image marks expanded."""
        encoded = self.tokenizer(rendered.text, add_special_tokens=False, return_offsets_mapping=True, verbose=False)
        tokens = encoded["input_ids"]
        num_marks = tokens.count(self.mark_id)
        if num_marks != len(num_tokens_per_image):
            raise ProcessingError(
                f"The text marks {num_marks} pictures with {IMAGE_MARK} but {len(num_tokens_per_image)} were given; "
                "write one mark per picture."
            )
        self.check_items(tokens, items)
        repeats = self.tokens_per_mark()
        counts = iter(num_tokens_per_image)
        spans = rendered.target_spans
        ids: list[int] = []
        labels: list[int] = []
        starts: list[int] = []
        for token, (start, end) in zip(tokens, encoded["offset_mapping"], strict=True):
            added = self.image_block(next(counts)) if token == self.mark_id else [token] * repeats.get(token, 1)
            # A token that straddles the border of a target belongs to the side its last character lies on.
            is_target = any(span_start < end <= span_end for span_start, span_end in spans)
            ids += added
            labels += [token if is_target else IGNORED] * len(added)
            starts += [start] * len(added)
        check_length(len(ids), self.tokenizer)
        return ids, labels, starts

    def image_block(self, tokens: ImageTokens) -> list[int]:
        """Return the token ids that stand for one visual: start, rows of image tokens, end."""
        rows = (tokens,) if isinstance(tokens, int) else tokens
        pieces = self.prompt_format
        start, row_end, end = (
            self._control_ids(text) for text in (self._image_start(rows), pieces.image_row, pieces.image_end)
        )
        return [*start, *(token for row in rows for token in ([self.image_token_id] * row + row_end)), *end]

    def _image_start(self, rows: Sequence[int]) -> str:
        """Return the text in front of a picture; some systems write its grid there."""
        text = self.prompt_format.image_start
        if "{" not in text:
            return text
        extra = getattr(ARRANGEMENTS.get(self.packer["type"]), "row_extra", 0)
        return text.replace("{rows}", str(len(rows))).replace("{columns}", str(max(rows, default=extra) - extra))

    def _control_ids(self, text: str) -> list[int]:
        return self.tokenizer.encode(text, add_special_tokens=False) if text else []

    def _check_texts(self, messages: Sequence[Message]) -> None:
        marks = (IMAGE_MARK, *self.marks)
        controls = [token for token in self.tokenizer.all_special_tokens if token not in marks]
        for message in messages:
            found = [token for token in controls if token in message.text]
            if found:
                raise ProcessingError(
                    f"The {message.role} message holds the control token {found[0]!r}, which would end or forge "
                    "a turn; remove it from the text."
                )
            marked = [mark for mark in marks if mark in message.text]
            if message.role != "user" and marked:
                raise ProcessingError(f"Only user messages may hold {marked[0]}; the {message.role} message does.")

    def prepare_inputs_layout(self, images: Any = None, text: Any = None, **kwargs: Any) -> tuple[Any, Any, Any, Any]:
        """Return what a call was given, the image marks of the text written as the system's own image token."""
        if self.image_token != IMAGE_MARK and text is not None:
            texts = [text] if isinstance(text, str) else list(text)
            text = [sample.replace(IMAGE_MARK, self.image_token) for sample in texts]
        prepared: tuple[Any, Any, Any, Any] = super().prepare_inputs_layout(images=images, text=text, **kwargs)
        return prepared

    def validate_inputs(self, images: Any = None, text: Any = None, videos: Any = None, **kwargs: Any) -> None:
        """Check what a call was given; a video counts as one image mark of the text.

        Raises:
            ProcessingError: If videos come as an argument of their own, which would be ignored.
            ValueError: If marks and visuals differ in number (contract of transformers).
        """
        if videos is not None:
            raise ProcessingError("Give videos among the images, as Video(frames), in the order of their marks.")
        if images is not None:
            images = [v.frames[0] if isinstance(v, Video) and v.frames else v for v in flatten_visuals(images)]
        super().validate_inputs(images=images, text=text, **kwargs)

    def _process_images(self, images: Any, **kwargs: Any) -> tuple[BatchFeature, list[str]]:
        # Why not the one of transformers: it counts pictures itself and knows no Video among them.
        inputs = self.image_processor(images, **kwargs)
        return inputs, [self.replace_image_token(inputs, index) for index in range(len(inputs["visual_layouts"]))]

    def replace_image_token(self, image_inputs: dict[str, Any], image_idx: int, **kwargs: Any) -> str:
        """Return the image tokens that picture ``image_idx`` expands to (contract of transformers and vLLM)."""
        layouts = image_inputs.get("visual_layouts")
        layout = VisualLayout() if layouts is None else VisualLayout(*(int(value) for value in layouts[image_idx]))
        pieces = self.prompt_format
        counts = self.image_segments(layout)
        rows = "".join(self.image_token * count + pieces.image_row for count in counts)
        return self._image_start(counts) + rows + pieces.image_end

    def _get_num_multimodal_tokens(self, image_sizes: Any = None, **kwargs: Any) -> MultiModalData:
        """Return image tokens and rows of ``pixel_values`` per picture of (height, width) (contract of vLLM)."""
        if image_sizes is None:
            return MultiModalData()
        sizes = [(width_px, height_px) for height_px, width_px in image_sizes]
        return MultiModalData(
            num_image_tokens=[self.num_image_tokens(*size) for size in sizes],
            num_image_patches=[self.num_tiles(*size) for size in sizes],
        )

    @property
    def model_input_names(self) -> list[str]:
        """Names of what a call returns."""
        return ["input_ids", "attention_mask", "pixel_values", "visual_layouts"]

    def pad_prompts(self, prompts: Sequence[Sequence[int]]) -> BatchFeature:
        """Left-pad prompts for generation: ``input_ids`` and ``attention_mask`` (B, T)."""
        batch = self.tokenizer.pad(
            {"input_ids": [list(ids) for ids in prompts]}, padding_side="left", return_tensors="pt"
        )
        return BatchFeature({"input_ids": batch["input_ids"], "attention_mask": batch["attention_mask"]})

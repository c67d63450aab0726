"""The words of a text tower that learns from nothing: a WordPiece vocabulary of the training captions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers
from tokenizers.processors import TemplateProcessing
from transformers import BertConfig, PreTrainedTokenizerFast

from geoprose.core.errors import ResourceError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

_CONTROLS = {
    "pad_token": "[PAD]",
    "unk_token": "[UNK]",
    "cls_token": "[CLS]",
    "sep_token": "[SEP]",
    "mask_token": "[MASK]",
}
CONFIG_NAME = "config.json"


def write_words(folder: Path, captions: Iterable[str], size: int) -> None:
    """Write a BERT-style tokenizer unless it is there.

    Args:
        folder: Folder to write; ``config.json`` in it makes it a transformers folder and is written last.
        captions: Training captions; no other text may shape the vocabulary.
        size: Most entries.
    """
    if not (folder / CONFIG_NAME).is_file():
        words = _train(captions, size)
        words.save_pretrained(folder)
        BertConfig(vocab_size=len(words)).save_pretrained(folder)


def vocabulary_of(folder: Path) -> int:
    """Return the entries of the tokenizer that ``write_words`` wrote.

    Raises:
        ResourceError: If there is none.
    """
    if not (folder / CONFIG_NAME).is_file():
        raise ResourceError(f"{folder} holds no words of a text tower. Run the reproduction with --only prepare first.")
    return int(BertConfig.from_pretrained(folder).vocab_size)


def _train(captions: Iterable[str], size: int) -> PreTrainedTokenizerFast:
    core = Tokenizer(models.WordPiece(unk_token=_CONTROLS["unk_token"]))
    core.normalizer = normalizers.BertNormalizer()
    core.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = trainers.WordPieceTrainer(vocab_size=size, special_tokens=list(_CONTROLS.values()), show_progress=False)
    core.train_from_iterator(captions, trainer)
    start, end = _CONTROLS["cls_token"], _CONTROLS["sep_token"]
    core.post_processor = TemplateProcessing(
        single=f"{start} $A {end}", special_tokens=[(token, core.token_to_id(token)) for token in (start, end)]
    )
    return PreTrainedTokenizerFast(tokenizer_object=core, padding_side="right", **_CONTROLS)

"""A Q-Former that starts from BERT reads words as BERT does, and its word head says what BERT's says."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
from transformers import BertConfig, BertForMaskedLM

from geoprose.core.errors import ConfigError, ResourceError
from geoprose.models.parts.connectors.qformer import QFormerConnector
from geoprose.systems.build import build_system
from geoprose.systems.tiny import tiny_tokenizer
from geoprose.training.losses.base import LossContext
from geoprose.training.losses.qformer import ItcLoss
from geoprose.training.losses.qformer_bert import start_from_bert
from geoprose.training.losses.qformer_words import WordHead
from geoprose.training.specs.loss_contrastive import ItcLossSpec

if TYPE_CHECKING:
    from pathlib import Path

SIZES = {"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 48}
VOCABULARY = 60


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, BertForMaskedLM]:
    torch.manual_seed(0)
    model = BertForMaskedLM(BertConfig(vocab_size=VOCABULARY, max_position_embeddings=512, **SIZES))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn_like(parameter) * 0.3)
        model.bert.embeddings.token_type_embeddings.weight.zero_()  # the Q-Former has no token types
    folder = tmp_path_factory.mktemp("bert")
    model.save_pretrained(folder)
    tiny_tokenizer().save_pretrained(folder)
    return folder, model.eval()


@torch.no_grad()
def test_words_read_alone_are_those_of_bert(bert: tuple[Path, BertForMaskedLM]) -> None:
    folder, theirs = bert
    qformer = QFormerConnector(24, 8, 5, 32, 3, 2, 48, condition=True, vocab_size=VOCABULARY + 1).eval()
    head = WordHead(qformer.words.word_embeddings)
    last = qformer.words.word_embeddings.weight[-1].clone()
    start_from_bert(qformer, head, folder)
    ids = torch.randint(1, VOCABULARY, (2, 7), generator=torch.Generator().manual_seed(1))
    mask = torch.tensor([[1] * 7, [1] * 4 + [0] * 3])
    expected = theirs(ids, attention_mask=mask, output_hidden_states=True)
    hidden = qformer.read_text(ids, mask)
    assert float((hidden - expected.hidden_states[-1])[mask.bool()].abs().max()) < 1e-4
    logits = head(hidden)[..., :VOCABULARY]
    assert float((logits - expected.logits)[mask.bool()].abs().max()) < 1e-3
    assert torch.equal(qformer.words.word_embeddings.weight[-1], last)
    for layer in qformer.body.encoder.layer:
        assert torch.equal(layer.intermediate.dense.weight, layer.intermediate_query.dense.weight)
        assert torch.equal(layer.output.LayerNorm.bias, layer.output_query.LayerNorm.bias)


def test_a_loss_starts_the_systems_own_qformer(bert: tuple[Path, BertForMaskedLM]) -> None:
    # The tokenizer of the folder has more rows than this BERT; the rows beyond start at random.
    system = build_system("blip2-opt", scale="tiny")
    loss = ItcLoss(ItcLossSpec(shared_size=16, bert=str(bert[0])), LossContext(system))
    body = system.model.model.connector.body
    theirs = bert[1].bert.encoder.layer[0]
    assert torch.equal(body.encoder.layer[0].attention.attention.query.weight, theirs.attention.self.query.weight)
    assert torch.equal(body.encoder.layer[0].intermediate_query.dense.weight, theirs.intermediate.dense.weight)
    assert len(loss.words.tokenizer) > VOCABULARY


def test_what_does_not_fit_is_named(bert: tuple[Path, BertForMaskedLM], tmp_path: Path) -> None:
    qformer = QFormerConnector(24, 8, 5, 16, 3, 2, 48, condition=True, vocab_size=VOCABULARY + 1)
    with pytest.raises(ConfigError, match="does not fit the Q-Former"):
        start_from_bert(qformer, WordHead(qformer.words.word_embeddings), bert[0])
    with pytest.raises(ResourceError, match="no BERT"):
        start_from_bert(qformer, WordHead(qformer.words.word_embeddings), tmp_path)

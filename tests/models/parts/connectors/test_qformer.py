import pytest
import torch

from geoprose.core.errors import ProcessingError
from geoprose.models.inputs import VisualInputs
from geoprose.models.parts.connectors.qformer import QFormerConnector

SIZES = {"num_queries": 5, "hidden_size": 16, "num_layers": 3, "num_heads": 2, "intermediate_size": 24}
FEATURES = torch.randn(3, 7, 12, generator=torch.Generator().manual_seed(0))
IDS = torch.tensor([[4, 5, 6, 7], [8, 9, 0, 0], [3, 2, 1, 0]])
MASK = (IDS > 0).long()


def qformer(**options):
    torch.manual_seed(0)
    built = QFormerConnector(12, 10, **SIZES, vocab_size=20, max_positions=6, **options)
    with torch.no_grad():
        for weight in built.parameters():
            weight.normal_(std=0.3)
    return built.eval()


def test_queries_become_visual_tokens():
    plain = qformer()
    assert plain(FEATURES).shape == (3, 5, 10)
    assert plain.num_visual_tokens(7) == plain.num_visual_tokens(1000) == 5


def test_patches_are_a_set():
    plain = qformer().double()
    features = FEATURES.double()
    assert torch.allclose(plain(features), plain(features[:, torch.randperm(7)]), atol=1e-12)
    assert not torch.allclose(plain(features), plain(features.flip(0)), atol=1e-3)


def test_only_every_second_layer_reads_the_patches():
    layers = qformer(cross_attention_frequency=2).body.encoder.layer
    assert [layer.has_cross_attention for layer in layers] == [True, False, True]


def test_the_instruction_changes_the_tokens_and_its_padding_does_not():
    aware = qformer(condition=True)
    tokens = aware(FEATURES, IDS, MASK)
    longer = torch.nn.functional.pad(IDS, (0, 2), value=11), torch.nn.functional.pad(MASK, (0, 2))
    assert torch.allclose(tokens, aware(FEATURES, *longer), atol=1e-5)
    assert not torch.allclose(tokens, aware(FEATURES, IDS.flip(0), MASK.flip(0)), atol=1e-2)
    all_real = aware(FEATURES, IDS)
    assert torch.allclose(tokens[0], all_real[0], atol=1e-5)
    assert not torch.allclose(tokens[1], all_real[1], atol=1e-2)


def test_connect_reads_the_visual_inputs():
    aware = qformer(condition=True)
    inputs = VisualInputs(condition_ids=IDS, condition_mask=MASK)
    assert torch.equal(aware.connect(FEATURES, inputs), aware(FEATURES, IDS, MASK))
    assert torch.equal(qformer().connect(FEATURES, VisualInputs()), qformer()(FEATURES))


def test_gradient_reaches_every_weight():
    plain = qformer()
    plain(FEATURES).square().sum().backward()
    assert [name for name, weight in plain.named_parameters() if not bool(weight.grad.any())] == []
    aware = qformer(condition=True)
    aware(FEATURES, IDS, MASK).square().sum().backward()
    without = {name for name, weight in aware.named_parameters() if not bool(weight.grad.any())}
    last = {"intermediate.dense", "output.dense", "output.LayerNorm"}
    assert without == {f"body.encoder.layer.2.{part}.{kind}" for part in last for kind in ("weight", "bias")}


def test_an_unfit_instruction_is_refused():
    aware = qformer(condition=True)
    with pytest.raises(ProcessingError, match="give condition_ids"):
        aware(FEATURES)
    with pytest.raises(ProcessingError, match="one row per tile; there are 3 tiles"):
        aware(FEATURES, IDS[:2], MASK[:2])
    with pytest.raises(ProcessingError, match="one row per tile"):
        aware(FEATURES, IDS, MASK[:, :2])
    with pytest.raises(ProcessingError, match="at most 6 tokens"):
        aware(FEATURES, torch.ones(3, 7, dtype=torch.long))
    with pytest.raises(ProcessingError, match="reads no instruction"):
        qformer()(FEATURES, IDS)


def test_queries_are_drawn():
    fresh = QFormerConnector(12, 10, **SIZES)
    fresh.init_weights()
    assert fresh.query_tokens.detach().std().item() == pytest.approx(0.02, rel=0.3)

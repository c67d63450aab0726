"""What one training step may move: gradients, PEFT, TRL."""

import copy

import pytest
import torch
from datasets import Dataset
from peft import LoraConfig, get_peft_model
from trl import SFTConfig, SFTTrainer

from geoprose.layout.visual import VisualLayout
from geoprose.systems.load import load_system
from geoprose.systems.save import save_system
from tests.fixtures.systems import PRESETS, conversation, picture, tiny_system

# transformers 5.23 renamed gradient checkpointing; peft 0.21 and trl 1.16 still use the old names.
pytestmark = pytest.mark.filterwarnings("ignore:.*gradient_checkpointing.* is deprecated:FutureWarning")

LORA = LoraConfig(r=2, target_modules=r"model\.language_model\..*\.(q|v)_proj", init_lora_weights=False)
NOT_ASKED = ("model.branches.", "image_head.", "signal_heads.")
"""What a question about pictures does not use: other modalities, and heads that write pictures and signals."""


def _batch(system):
    processor = system.processor
    visual = processor.image_processor(picture(0), return_tensors="pt")
    rows = [processor.image_segments(VisualLayout(*layout)) for layout in visual["visual_layouts"].tolist()]
    encoded = processor.encode_conversation(conversation(), rows)
    text = {"input_ids": torch.tensor([encoded.input_ids]), "labels": torch.tensor([encoded.labels])}
    if processor.condition_tokenizer is not None:
        visual |= processor.encode_conditions(["Is there water?"], [len(visual["pixel_values"])])
    dtype = system.model.dtype
    return text | {name: x.to(dtype) if x.is_floating_point() else x for name, x in visual.items()}


@pytest.mark.parametrize("preset", PRESETS)
def test_every_trainable_parameter_receives_gradient(preset):
    system = tiny_system(preset)
    model = system.model.train()
    model(**_batch(system)).loss.backward()
    trainable = [name for name, parameter in model.named_parameters() if parameter.requires_grad]
    asked = [name for name in trainable if not name.startswith(NOT_ASKED)]
    assert [name for name in asked if model.get_parameter(name).grad is None] == []
    is_tokenizer = system.spec.vision_encoder.type == "vq"  # discrete codes let no gradient through
    assert is_tokenizer != any(name.startswith("model.vision_encoder") for name in trainable)


def test_gradient_checkpointing_changes_no_gradient():
    system = tiny_system("demo")
    grads = []
    for checkpointed in (False, True):
        model = copy.deepcopy(system.model).train()
        if checkpointed:
            model.activation_checkpointing_enable()
        model(**_batch(system), use_cache=False).loss.backward()
        grads.append({name: p.grad for name, p in model.named_parameters() if p.grad is not None})
    assert grads[0].keys() == grads[1].keys()
    for name, grad in grads[0].items():
        torch.testing.assert_close(grads[1][name], grad, atol=1e-7, rtol=1e-5)


def _lora_step(system):
    model = get_peft_model(system.model, LORA)
    for name, parameter in model.named_parameters():
        if ".connector." in name:
            parameter.requires_grad_(True)
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1)
    model(**_batch(system)).loss.backward()
    optimizer.step()
    return model, {name for name, parameter in model.named_parameters() if not torch.equal(parameter, before[name])}


def test_a_lora_step_moves_adapter_and_connector_only():
    model, moved = _lora_step(tiny_system("demo"))
    assert moved == {name for name, _ in model.named_parameters() if "lora_" in name or ".connector." in name}
    assert sum("lora_" in name for name in moved) == 8


@pytest.mark.parametrize("adapter", ["merged", "separate"])
def test_a_trained_adapter_survives_saving(tmp_path, adapter):
    system = tiny_system("demo")
    batch = _batch(system)
    system.model, _ = _lora_step(system)
    system.model.eval()
    expected = system.model(**batch).logits
    loaded = load_system(save_system(system, tmp_path / "out", adapter=adapter))
    assert (tmp_path / "out" / "adapter").is_dir() == (adapter == "separate")
    assert any("lora_" in name for name, _ in loaded.model.named_parameters()) == (adapter == "separate")
    torch.testing.assert_close(loaded.model(**batch).logits, expected, atol=1e-6, rtol=0)
    # Saving left the model in memory as it was.
    assert torch.equal(system.model(**batch).logits, expected)


def test_trl_sft_steps(tmp_path):
    system = tiny_system("demo", dtype=torch.float32)
    rows = {
        "prompt": [[{"role": "user", "content": f"Question {index}?"}] for index in range(4)],
        "completion": [[{"role": "assistant", "content": "Water."}] for _ in range(4)],
        "images": [[picture(index)] for index in range(4)],
    }
    settings = SFTConfig(
        output_dir=str(tmp_path),
        max_steps=2,
        per_device_train_batch_size=2,
        learning_rate=1e-2,
        max_length=None,
        bf16=False,
        use_cpu=True,
        gradient_checkpointing=False,
        report_to=[],
        save_strategy="no",
        logging_steps=1,
        disable_tqdm=True,
    )
    before = {name: p.detach().clone() for name, p in system.model.named_parameters()}
    trainer = SFTTrainer(
        model=system.model, args=settings, train_dataset=Dataset.from_dict(rows), processing_class=system.processor
    )
    result = trainer.train()
    assert result.global_step == 2
    assert torch.isfinite(torch.tensor(result.training_loss))
    moved = {name for name, p in system.model.named_parameters() if not torch.equal(p, before[name])}
    assert moved == {name for name, p in system.model.named_parameters() if p.requires_grad}

"""Released vocabularies with rows beside the table: Idefics keeps added tokens apart, Mllama has eight more words."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from geoprose.core.errors import ModelError
from geoprose.systems.interop import REFERENCES
from geoprose.systems.load import load_system
from geoprose.systems.save import save_system
from geoprose.systems.transfer import export_checkpoint, import_checkpoint
from geoprose.systems.verify import batch_of, scrambled_system

SIZES = (((48, 48), (64, 40)),)
OWN = ("<|endoftext|>", "<s>", "</s>")
ADDED = {
    "idefics": ((), ("<fake_token_around_image>", "<image>", "<end_of_utterance>")),
    "llama-3.2-vision": (("<|eot_id|>",), ("<|image|>",)),
}
"""Tokens of each system inside its first vocabulary, and those behind it."""


def _tokenizer(own, added):
    words = [*OWN, *own, *sorted(pre_tokenizers.ByteLevel.alphabet())]
    tokenizer = Tokenizer(models.BPE(vocab={word: index for index, word in enumerate(words)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    special = [*OWN, *own, *added]
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in special])
    ends = {"bos_token": OWN[1], "eos_token": OWN[0], "pad_token": OWN[0]}
    return len(words), PreTrainedTokenizerFast(tokenizer_object=tokenizer, **ends, extra_special_tokens=special[2:])


def _released_config(config, num_words, num_added):
    values = config.to_dict()
    if "text_config" not in values:
        return type(config)(**{**values, "vocab_size": num_words, "additional_vocab_size": num_added})
    text = {**values["text_config"], "vocab_size": num_words}
    return type(config)(**{**values, "text_config": text, "image_token_index": num_words})


@pytest.fixture(scope="module", params=sorted(ADDED))
def released(request, tmp_path_factory):
    """The model of the transformers class, the folder it was saved in, and the preset of its sizes as a file."""
    root = tmp_path_factory.mktemp("added")
    tiny = scrambled_system(request.param)
    reference = REFERENCES.get(tiny.spec.reference)()
    own, added = ADDED[request.param]
    num_words, tokenizer = _tokenizer(own, added)
    config = _released_config(reference.config(tiny.model.config), num_words, len(added))
    theirs = reference.model_class()(config).eval()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in theirs.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.3)
    theirs.save_pretrained(root / "released")
    tokenizer.save_pretrained(root / "released")
    preset = root / "tiny.yaml"
    preset.write_text(json.dumps(tiny.spec.model_dump(mode="json") | {"name": "tiny"}))
    return theirs, root / "released", str(preset), num_words


@torch.no_grad()
def test_the_imported_system_computes_what_the_class_computes(released):
    theirs, folder, preset, num_words = released
    system = import_checkpoint(folder, preset).system
    assert system.model.config.image_token_id >= num_words
    batch = batch_of(system, SIZES)
    assert int(batch["input_ids"].max()) >= num_words, "no added token is in the prompt"
    reference = REFERENCES.get(system.spec.reference)()
    reference.build(system.model)
    expected = theirs(**reference.inputs(batch)).logits
    ours = system.model(**batch).logits
    assert ours.shape == expected.shape
    assert (ours - expected).abs().max() < 1e-4
    answer = system.model.generate(**batch, max_new_tokens=3, eos_token_id=None)
    assert answer.shape[1] == batch["input_ids"].shape[1] + 3


def test_added_rows_go_out_apart_and_come_back(released, tmp_path):
    _, folder, preset, _ = released
    system = import_checkpoint(folder, preset).system
    saved = load_system(save_system(system, tmp_path / "ours"))
    again = export_checkpoint(saved, tmp_path / "exported")
    first, second = (load_file(place / "model.safetensors") for place in (folder, again))
    assert set(first) == set(second)
    assert all(torch.equal(first[name], second[name]) for name in first)
    state = import_checkpoint(again, preset).system.model.state_dict()
    assert all(torch.equal(state[name], tensor) for name, tensor in system.model.state_dict().items())


def test_a_table_that_lacks_its_added_rows_is_refused(released, tmp_path):
    """Control: without the added rows, or with a row too few, nothing is imported."""
    _, folder, preset, _ = released
    copy = tmp_path / "damaged"
    copy.mkdir()
    for path in folder.iterdir():
        (copy / path.name).write_bytes(path.read_bytes())
    state = load_file(copy / "model.safetensors")
    extra = [name for name in state if "additional_embedding" in name]
    table = next(name for name in state if name.endswith("embed_tokens.weight"))
    if extra:
        del state[extra[0]]
    else:
        state[table] = state[table][:-8].clone()
    save_file(state, copy / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match=r"missing|mismatch"):
        import_checkpoint(copy, preset)

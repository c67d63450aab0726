"""Pictures that are written code by code: the same codes and pixels as transformers, in float64 with random weights."""

import pytest
import torch

from geoprose.inference.images import ImageSettings, encode_image_prompts, generate_image, write_codes
from geoprose.systems.interop import REFERENCES
from geoprose.systems.verify import scrambled_system

PROMPTS = ["a harbour", "two tennis courts and a road"]


@pytest.fixture(scope="module", params=["chameleon", "chameleon-34b"])
def chameleon(request):
    return _pair(request.param, seed=4)


@pytest.fixture(scope="module")
def emu3():
    return _pair("emu3")


@pytest.fixture(scope="module")
def janus():
    return _pair("janus")


def _pair(name, seed=0):
    system = scrambled_system(name, seed)
    theirs = REFERENCES.get(system.spec.reference)().build(system.model)
    return system, theirs


def _write(system, guidance, negative="", grid=None):
    spec = system.spec.image_head
    grid = grid or (spec.rows, spec.columns)
    ids, mask = encode_image_prompts(system, PROMPTS, grid, negative if guidance != 1 else None)
    return ids, mask, write_codes(system.model, ids, mask, grid, guidance, ImageSettings())


@torch.no_grad()
@pytest.mark.parametrize("guidance", [1.0, 4.0])
def test_janus_writes_what_transformers_writes(janus, guidance):
    system, theirs = janus
    ids, mask, codes = _write(system, guidance)
    tokenizer = system.processor.tokenizer
    theirs.generation_config.generation_kwargs = {"boi_token_id": tokenizer.convert_tokens_to_ids("<begin_of_image>")}
    theirs.generation_config.bos_token_id = tokenizer.convert_tokens_to_ids("<|begin▁of▁sentence|>")
    theirs.generation_config.pad_token_id = tokenizer.pad_token_id
    # transformers merges the two halves of its batch only above 1; just above, the first half is what remains.
    expected = theirs.generate(
        ids[:2],
        attention_mask=mask[:2],
        generation_mode="image",
        guidance_scale=max(guidance, 1.0 + 1e-12),
        do_sample=False,
    )
    assert torch.equal(codes.flatten(1), expected)
    assert len(codes.unique()) > 4, "one code everywhere proves nothing"
    pixels = system.model.image_head.decode(system.model, codes)
    assert torch.equal(pixels.permute(0, 2, 3, 1), theirs.decode_image_tokens(expected))


@torch.no_grad()
def test_emu3_writes_constrained_rows_with_guidance_as_transformers_does(emu3):
    system, theirs = emu3
    tokenizer, spec = system.processor.tokenizer, system.spec.image_head
    rows, columns = 3, 4
    negative = "lowres, a very long list of what nobody wants"
    start = encode_image_prompts(system, PROMPTS[:1], (rows, columns), negative)
    own = [tokenizer.encode(text, add_special_tokens=False) for text in _texts(system, PROMPTS[0], negative)]
    ends = tokenizer.convert_tokens_to_ids(list(spec.end))
    eol = tokenizer.convert_tokens_to_ids("<|extra_200|>")
    visual = theirs.vocabulary_mapping.image_tokens

    def allowed(_, ids):
        offset = len(ids) - len(own[0]) + 1
        if offset > rows * (columns + 1):
            return [ends[offset - rows * (columns + 1) - 1]]
        return [eol] if offset % (columns + 1) == 0 else visual

    count = rows * (columns + 1) + len(ends)
    expected = theirs.generate(
        torch.tensor([own[0]]),
        attention_mask=torch.ones(1, len(own[0]), dtype=torch.long),
        negative_prompt_ids=torch.tensor([own[1]]),
        negative_prompt_attention_mask=torch.ones(1, len(own[1]), dtype=torch.long),
        guidance_scale=spec.guidance,
        prefix_allowed_tokens_fn=allowed,
        max_new_tokens=count,
        do_sample=False,
        eos_token_id=None,
        pad_token_id=0,
    )[:, len(own[0]) :]
    codes = write_codes(system.model, *start, (rows, columns), spec.guidance, ImageSettings())
    written = generate_image(system, PROMPTS[0], negative, ImageSettings(rows=rows, columns=columns))
    assert torch.equal(written.codes_HW, codes[0])
    assert list(written.token_ids) == expected[0].tolist()
    assert len(codes.unique()) > 3, "one code everywhere proves nothing"
    pixels = theirs.decode_image_tokens(image_tokens=expected, height=rows, width=columns)
    torch.testing.assert_close(system.model.image_head.decode(system.model, codes), pixels, rtol=0, atol=1e-10)
    side = system.model.model.vision_encoder.patch_size
    assert written.picture.size == (columns * side, rows * side)


def _texts(system, *prompts):
    start = system.spec.prompt.start
    return [f"{start}{prompt}<|image start|>3*4<|image token|>" for prompt in prompts]


@torch.no_grad()
@pytest.mark.parametrize("guidance", [1.0, 3.0])
def test_chameleon_writes_what_the_unmasked_modules_of_transformers_say(chameleon, guidance):
    system, theirs = chameleon
    ids, mask, codes = _write(system, guidance)
    table = theirs.model.vocabulary_mapping.convert_img2bpe(torch.arange(24))
    for step in range(codes[0].numel()):
        # Whole sequences, no cache, and the head of transformers without its mask.
        hidden = theirs.model(ids, attention_mask=mask, use_cache=False).last_hidden_state[:, -1]
        scores = theirs.lm_head(hidden)[:, table]
        if guidance != 1:
            prompted, unprompted = scores.chunk(2)
            scores = unprompted + guidance * (prompted - unprompted)
        chosen = scores.argmax(-1)
        assert torch.equal(chosen, codes.flatten(1)[:, step])
        read = table[chosen].repeat(2 if guidance != 1 else 1)
        ids, mask = (torch.cat([x, y.unsqueeze(1)], 1) for x, y in ((ids, read), (mask, torch.ones_like(read))))
    assert len(codes.unique()) > 3, "one code everywhere proves nothing"


def test_transformers_cannot_write_chameleon_pictures_and_ours_can(chameleon):
    system, theirs = chameleon
    ids = torch.tensor([system.processor.tokenizer.encode("a harbour", add_special_tokens=False)])
    codes = set(theirs.model.vocabulary_mapping.image_tokens)
    assert not codes & set(theirs.generate(ids, max_new_tokens=8, do_sample=False, pad_token_id=0)[0].tolist())
    written = generate_image(system, "a harbour")
    assert written.codes_HW.shape == (4, 4)
    assert codes >= set(written.token_ids[:-1])
    assert written.picture is None  # transformers has only the encoding half of this tokenizer

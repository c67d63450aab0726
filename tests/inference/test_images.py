"""Settings of written pictures: sampling, grids, refusals; what they equal is in tests/parity."""

import pytest
import torch

from geoprose.core.errors import ConfigError, InputError
from geoprose.inference.images import ImageSettings, generate_image
from geoprose.systems.build import build_system


@pytest.fixture(scope="module")
def emu3():
    return build_system("emu3", scale="tiny")


def test_a_seed_decides_what_is_drawn(emu3):
    drawn = [
        generate_image(emu3, "a road", settings=ImageSettings(temperature=1.0, seed=s)).codes_HW for s in (1, 1, 2)
    ]
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])


def test_drawing_from_one_code_is_taking_the_likeliest(emu3):
    greedy = generate_image(emu3, "a road").codes_HW
    drawn = generate_image(emu3, "a road", settings=ImageSettings(temperature=2.0, top_k=1)).codes_HW
    assert torch.equal(greedy, drawn)


def test_a_grid_of_its_own_and_a_picture_of_its_size(emu3):
    image = generate_image(emu3, "a road", settings=ImageSettings(rows=2, columns=5))
    assert image.codes_HW.shape == (2, 5)
    assert image.picture.size == (10, 4)
    eol = emu3.processor.tokenizer.convert_tokens_to_ids("<|extra_200|>")
    assert [place for place, token in enumerate(image.token_ids) if token == eol] == [5, 11]
    assert len(image.token_ids) == 2 * 6 + 3


@pytest.mark.parametrize(
    ("prompt", "settings", "message"),
    [
        (" ", ImageSettings(), "prompt is empty"),
        ("a road", ImageSettings(rows=-1), "at least one row"),
        ("a road", ImageSettings(guidance=-1.0), "guidance"),
        ("a road", ImageSettings(temperature=-0.1), "temperature"),
        ("a road", ImageSettings(temperature=1.0, top_k=0), "top_k"),
    ],
)
def test_wrong_settings_are_refused(emu3, prompt, settings, message):
    with pytest.raises(InputError, match=message):
        generate_image(emu3, prompt, settings=settings)


def test_a_system_that_only_reads_says_so():
    with pytest.raises(ConfigError, match="fuyu writes no pictures"):
        generate_image(build_system("fuyu", scale="tiny"), "a road")

"""Pictures that are already codes take the place of pixels, in ``forward`` and in ``generate``."""

import pytest
import torch

from geoprose.core.errors import ProcessingError
from geoprose.models.inputs import VisualInputs
from geoprose.systems.verify import batch_of, scrambled_system


@torch.no_grad()
@pytest.mark.parametrize("preset", ["chameleon", "emu3"])
def test_codes_say_what_their_pixels_say(preset):
    system = scrambled_system(preset)
    batch = batch_of(system, (((8, 8),), ((6, 10), (8, 8))))
    inputs = VisualInputs(pixel_values=batch["pixel_values"], visual_layouts=batch["visual_layouts"])
    codes = system.model.model.vision_encoder.encode(inputs)
    coded = {name: value for name, value in batch.items() if name != "pixel_values"} | {"visual_ids": codes}
    assert torch.equal(system.model(**coded).logits, system.model(**batch).logits)
    settings = {"max_new_tokens": 3, "do_sample": False, "num_return_sequences": 1}
    assert torch.equal(system.model.generate(**coded, **settings), system.model.generate(**batch, **settings))
    with pytest.raises(ProcessingError, match="Give exactly one of"):
        system.model(**batch, visual_ids=codes)


@torch.no_grad()
def test_several_sampled_answers_see_their_own_pictures():
    system = scrambled_system("emu3")
    batch = batch_of(system, (((8, 8),), ((6, 10), (8, 8))))
    settings = {"max_new_tokens": 4, "do_sample": False, "num_beams": 2, "num_return_sequences": 2}
    together = system.model.generate(**batch, **settings)
    first = batch_of(system, (((8, 8),),))
    alone = system.model.generate(**first, **settings)
    assert torch.equal(together[:2, -4:], alone[:, -4:])

import pytest

from geoprose.core.errors import ProcessingError
from geoprose.systems.build import build_system
from tests.fixtures.systems import conversation


def test_a_conversation_longer_than_the_context_is_refused():
    processor = build_system("llava-1.5", scale="tiny").processor
    assert processor.tokenizer.model_max_length == 4096
    assert processor.encode_prompt(conversation(answer=None, images=2), [16, 16])
    with pytest.raises(ProcessingError, match="tokens with its pictures, and the language model reads at most 4096"):
        processor.encode_prompt(conversation(answer=None, images=2), [16, 4096])

"""What is one prefix and what is not, and how rows are cut into pieces."""

import pytest
import torch

from geoprose.core.errors import InputError
from geoprose.core.types import Message
from geoprose.inference.features import FeatureCache, image_key
from geoprose.inference.generate import Request, answer_batch, encode_prompts
from geoprose.inference.likelihood import OptionRequest, rank_options
from geoprose.inference.shared_prefix import MAX_PREFIXES, Group, Row, batches, group_prompts, messages_of, pieces
from tests.fixtures.systems import picture, tiny_system

SHOT = (Message("user", "<image>\nIs there water?"), Message("assistant", "Yes"))


@pytest.fixture(scope="module")
def system():
    return tiny_system("rsicd-small", dtype=torch.float32)


def _groups(system, requests):
    return group_prompts(system, encode_prompts(system, requests))


def test_questions_about_one_picture_are_one_group(system):
    requests = [Request((picture(seed),), text) for text in ("Where?", "Why?") for seed in (0, 1)]
    groups = _groups(system, requests)
    assert [[row.index for row in group.rows] for group in groups] == [[0, 2], [1, 3]]
    image_token = system.model.config.image_token_id
    for group, prompts in zip(groups, ((0, 2), (1, 3)), strict=True):
        whole = encode_prompts(system, requests)
        assert [group.prefix_ids + row.prompt_ids for row in group.rows] == [whole[index].ids for index in prompts]
        assert group.prefix_ids.count(image_token) == whole[0].ids.count(image_token)


@pytest.mark.parametrize("sharing", ["cascade", "copy"])
def test_the_same_text_with_another_picture_never_shares_a_cache(system, sharing, tmp_path):
    paths = []
    for seed in range(3):
        paths.append(tmp_path / f"{seed}.png")
        picture(seed).save(paths[-1])
    for images in (paths, [picture(seed) for seed in range(3)]):
        requests = [Request((image,), text) for image in images for text in ("Where?", "What is it?")]
        groups = _groups(system, requests)
        assert [len(group.rows) for group in groups] == [2, 2, 2]
        # Equal tokens: only the pictures keep the groups apart.
        assert groups[0].prefix_ids == groups[1].prefix_ids == groups[2].prefix_ids
        asked = [OptionRequest(request.images, request.question, ("y", "n")) for request in requests]
        together = [row[0] for row in rank_options(system, asked, sharing=sharing)]
        alone = [rank_options(system, [request], sharing=sharing)[0][0] for request in asked]
        assert together == pytest.approx(alone, abs=1e-5)
        assert all(abs(together[a] - together[b]) > 1e-3 for a, b in ((0, 2), (2, 4), (0, 4)))


def test_palettes_are_part_of_a_picture():
    first = picture(0).convert("P", palette=1, colors=4)
    second = first.copy()
    second.putpalette([255 - value for value in first.getpalette()])
    assert first.tobytes() == second.tobytes()
    assert image_key(first) != image_key(second)
    assert image_key(first) == image_key(first.convert("RGB"))


def test_earlier_turns_are_part_of_the_prefix_and_take_the_first_pictures(system):
    shot, asked = picture(0), picture(1)
    request = Request((shot, asked), "Is there a road?", SHOT)
    suffix = system.processor.prompt_format.image_suffix
    assert messages_of(system, request) == (*SHOT, Message("user", f"<image>{suffix}Is there a road?"))
    other = Request((shot, asked), "Is there a field?", SHOT)
    unlike = Request((shot, asked), "Is there a field?", (SHOT[0], Message("assistant", "No")))
    groups = _groups(system, [request, other, unlike])
    assert [[row.index for row in group.rows] for group in groups] == [[0, 1], [2]]


def test_text_behind_the_last_picture_is_shared_where_it_is_long(system):
    history = (*SHOT, Message("user", "And what lies in the north of it?"), Message("assistant", "A wood"))
    requests = [Request((picture(0),), text, history) for text in ("Is it dense?", "Where does it end?")]
    (group,) = _groups(system, requests)
    assert system.processor.tokenizer.decode(group.prefix_ids).count("A wood") == 1
    assert max(len(row.prompt_ids) for row in group.rows) < 40


def test_marks_between_words_stay_where_they_are(system):
    pair = (picture(0), picture(1))
    between = Request(pair, "What is in <image> but not in <image>?")
    assert messages_of(system, between)[0].text == between.question
    suffix = system.processor.prompt_format.image_suffix
    front = f"<image>{suffix}<image>{suffix}What changed?"
    for text in ("What changed?", "<image>\n<image>\nWhat changed?", "<image>What changed?"):
        assert messages_of(system, Request(pair, text))[0].text == front


def test_wrong_histories_are_refused(system):
    with pytest.raises(InputError, match="mark 1 pictures"):
        messages_of(system, Request((), "Why?", SHOT))
    with pytest.raises(InputError, match="end with the user"):
        messages_of(system, Request((picture(0),), "Why?", SHOT[:1]))


def test_batches_hold_prefixes_of_equal_length_and_at_most_so_many():
    groups = [Group((), [0] * length, [Row(0, [1])]) for length in [5, 3] * (MAX_PREFIXES + 1)]
    found = batches(groups, batch_size=64)
    assert [len(batch) for batch in found] == [MAX_PREFIXES, 1, MAX_PREFIXES, 1]
    assert all(len({len(group.prefix_ids) for group in batch}) == 1 for batch in found)
    assert [len(batch) for batch in batches(groups[:8], batch_size=3)] == [3, 1, 3, 1]


def test_pieces_keep_every_row_once_similar_lengths_together():
    rows = [[Row(index, [0] * (1 + index * 7 % 10)) for index in range(start, start + 5)] for start in (0, 5)]
    groups = [Group((), [1], own) for own in rows]
    found = list(pieces(groups, 4))
    assert sorted(row.index for _, piece in found for row in piece) == list(range(10))
    for owner_B, piece in found:
        assert owner_B.tolist() == sorted(owner_B.tolist())
        assert [int(row.index >= 5) for row in piece] == owner_B.tolist()
    longest = [max(len(row.prompt_ids) for row in piece) for _, piece in found]
    assert longest == sorted(longest)


def test_each_prefix_is_run_once_however_many_pieces_its_rows_take(system, monkeypatch):
    lengths = []
    forward = type(system.model).forward

    def counted(self, *args, **kwargs):
        lengths.append(kwargs["input_ids"].shape)
        return forward(self, *args, **kwargs)

    monkeypatch.setattr(type(system.model), "forward", counted)
    requests = [Request((picture(0),), f"What is number {index}?") for index in range(20)]
    for sharing in ("cascade", "copy"):
        lengths.clear()
        answer_batch(system, requests, 1, batch_size=8, sharing=sharing, features=FeatureCache(system))
        prefix = len(_groups(system, requests)[0].prefix_ids)
        assert [shape[1] for shape in lengths].count(prefix) == 1
        assert len(lengths) == 1 + 3

"""Rules of the key maps: unequal parts, one of ours for many of theirs, and what is said where they do not fit."""

import pytest
import torch

from geoprose.core.errors import ModelError
from geoprose.systems.interop.key_map import Fuse, KeyMap, Rename, Split

FUSED = KeyMap([Fuse(("q.{i}", "k.{i}"), "qk.{i}", sizes=(3, 1))])
EXPERTS = KeyMap([
    Split("experts.{i}", ("{i}.{part}.gate", "{i}.{part}.up"),
          lambda t: [[e[:1] for e in t], [e[1:] for e in t]],
          lambda pieces: torch.stack([torch.cat(list(parts)) for parts in zip(*pieces, strict=True)])),
    Rename("head", "head"),
])  # fmt: skip


def test_parts_of_unequal_size_are_cut_where_they_were_joined():
    ours = {"q.0": torch.arange(3.0), "k.0": torch.arange(3.0, 4.0)}
    theirs = FUSED.to_theirs(ours)
    assert theirs["qk.0"].tolist() == [0, 1, 2, 3]
    back, left_out = FUSED.to_ours(theirs)
    assert left_out == []
    assert {name: value.tolist() for name, value in back.items()} == {"q.0": [0, 1, 2], "k.0": [3]}
    with pytest.raises(ModelError, match=r"1 mismatched: qk\.0 is \(5,\)"):
        FUSED.to_ours({"qk.0": torch.zeros(5)})


def test_one_of_ours_is_many_of_theirs():
    ours = {"experts.7": torch.arange(6.0).reshape(3, 2, 1), "head": torch.ones(1)}
    theirs = EXPERTS.to_theirs(ours)
    assert {name: value.tolist() for name, value in theirs.items() if "gate" in name} == {
        "7.0.gate": [[0]],
        "7.1.gate": [[2]],
        "7.2.gate": [[4]],
    }
    back, _ = EXPERTS.to_ours(dict(reversed(theirs.items())))
    assert all(torch.equal(back[name], ours[name]) for name in ours)


def test_what_is_missing_of_many_is_named():
    theirs = EXPERTS.to_theirs({"experts.7": torch.zeros(3, 2, 1)})
    del theirs["7.1.up"], theirs["7.0.gate"]
    with pytest.raises(ModelError, match=r"2 missing: 7\.0\.gate, 7\.1\.up"):
        EXPERTS.to_ours(theirs)


def test_shapes_of_many_must_agree():
    theirs = EXPERTS.to_theirs({"experts.7": torch.zeros(3, 2, 1)}) | {"7.1.up": torch.zeros(1, 4)}
    with pytest.raises(ModelError, match=r"1 mismatched: 7\.0\.gate and its likes"):
        EXPERTS.to_ours(theirs)


def test_every_unknown_name_is_counted():
    with pytest.raises(ModelError, match=r"7 unexpected: a0, a1, a2, a3, a4\."):
        EXPERTS.to_ours({f"a{number}": torch.zeros(1) for number in range(7)})

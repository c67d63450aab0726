"""Sampled answers: the packed decoder against whole sequences, and the batch that scores them."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from geoprose.training.distillation.decoder import PackedDecoder
from geoprose.training.distillation.prompts import Prompts, prompts_of
from geoprose.training.distillation.sampling import (
    Answers,
    SamplingOptions,
    random_of,
    sample_batch,
    scoring_batch,
    write_answers,
)
from geoprose.training.distillation.teacher_pass import TeacherPass
from geoprose.training.distillation.vocabulary import Vocabulary
from geoprose.training.forward import model_inputs
from geoprose.training.teacher import TEACHER_FEATURES, Teacher
from tests.fixtures.distillation import SMALL_PICTURE, batch_of, rows_about_pictures, tiny_system, tiny_teacher

IMAGE_STOP = (0,)


@pytest.fixture(scope="module")
def student() -> Any:
    return tiny_system()


def _prompts(system: Any, samples: int = 1, join_rows: bool = False) -> Prompts:
    batch = batch_of(rows_about_pictures(system), join_rows)
    return prompts_of(batch, int(system.model.config.image_token_id), samples)


def _options(length: int = 4, samples: int = 1, mix: float = 0.0) -> SamplingOptions:
    return SamplingOptions(length, samples, 1.0, mix, IMAGE_STOP)


def _spelled(prompts: Prompts) -> list[list[int]]:
    ids = prompts.layout.ids_BT[prompts.row_S]
    return [row[sees].tolist() for row, sees in zip(ids, prompts.sees_SP, strict=True)]


@pytest.mark.parametrize("join_rows", [False, True])
def test_prompts_are_the_gold_rows_without_answers(student: Any, join_rows: bool) -> None:
    image = [student.model.config.image_token_id] * 16
    prompts = _prompts(student, join_rows=join_rows)
    assert _spelled(prompts) == [
        [7, *image, 20, 30, 40, 41],
        [7, *image, 20, 30, 42, 60],
        [7, *image, 20, *image, 20, 31, 40, 42],
        [7, *image, 20, *image, 20, 31, 42, 61],
        [7, 32, 40, 43],
        [7, 32, 42, 62],
    ]
    assert prompts.group_S.tolist() == list(range(6))
    assert not {50, 51, 52} & set(prompts.layout.ids_BT.flatten().tolist())


def test_later_turns_see_the_earlier_gold_answers() -> None:
    batch = {
        "input_ids": torch.tensor([[1, 2, 3, 4, 5, 6, 7]]),
        "next_ids": torch.tensor([[-100, 3, 4, -100, -100, 7, 8]]),
        "attention_mask": torch.ones(1, 7, dtype=torch.long),
    }
    prompts = prompts_of(batch, 99, samples=2)
    assert _spelled(prompts) == [[1, 2]] * 2 + [[1, 2, 3, 4, 5, 6]] * 2
    assert prompts.group_S.tolist() == [0, 0, 1, 1]


def _one_by_one(system: Any, prompts: Prompts, answers: Answers) -> list[torch.Tensor]:
    """Log-probabilities of the tokens of every answer, each in a sequence of its own."""
    found = []
    vocabulary = Vocabulary(system)
    image = system.model.config.image_token_id
    features = prompts.rest["vision_features"]
    counts = [1, 2, 0]
    rows = (0, 0, 1, 1, 2, 2) if len(answers.tokens_SL) == 6 else tuple(r for r in (0, 0, 1, 1, 2, 2) for _ in range(3))
    for slot, prompt in enumerate(_spelled(prompts)):
        tokens = answers.tokens_SL[slot][answers.is_real_SL[slot]]
        ids = torch.tensor([[*prompt, *tokens.tolist()]])
        start = sum(counts[: rows[slot]])
        own = features[start : start + counts[rows[slot]]] if image in prompt else None
        hidden = system.model.model(input_ids=ids, vision_features=own, use_cache=False).last_hidden_state
        logits = vocabulary.logits(system.model, hidden[0, len(prompt) - 1 : -1])
        found.append(logits.log_softmax(-1).gather(-1, tokens[:, None])[:, 0])
    return found


@torch.no_grad()
@pytest.mark.parametrize("join_rows", [False, True])
def test_packed_writing_and_scoring_equal_sequences_of_their_own(student: Any, join_rows: bool) -> None:
    prompts = _prompts(student, 3, join_rows)
    vocabulary = Vocabulary(student)
    stops = SamplingOptions(6, 3, 1.0, 0.0, tuple(range(0, 262, 3)))  # many stop tokens: answers of all lengths
    answers = write_answers([PackedDecoder(student.model, prompts)], vocabulary, stops, random_of(0, 5))
    lengths = answers.is_real_SL.sum(-1)
    assert len(set(lengths.tolist())) > 2
    batch = scoring_batch(prompts, answers)
    hidden = student.model.model(**model_inputs(student.model, batch), use_cache=False).last_hidden_state
    logits = vocabulary.logits(student.model, hidden.flatten(0, 1)[batch["place"]])
    scored = logits.log_softmax(-1).gather(-1, batch["answers"][:, :, None])[:, :, 0]
    for slot, alone in enumerate(_one_by_one(student, prompts, answers)):
        # RMSNorm and RoPE of transformers compute in float32 inside a float64 model.
        torch.testing.assert_close(scored[slot, : lengths[slot]], alone, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(answers.log_q_SL[slot, : lengths[slot]].double(), alone, atol=1e-5, rtol=1e-5)


def test_answers_follow_seed_and_number_and_leave_the_model_as_it_was(student: Any) -> None:
    batch = batch_of(rows_about_pictures(student))
    vocabulary, teacher = Vocabulary(student), tiny_teacher()
    student.model.train()
    state = torch.get_rng_state()

    def answers(seed: int, number: int) -> torch.Tensor:
        numbered = {**batch, "number": torch.tensor(number)}
        return sample_batch(student.model, teacher, numbered, vocabulary, _options(), seed)["answers"]

    first = answers(1, 2)
    assert torch.equal(first, answers(1, 2))
    assert not torch.equal(first, answers(1, 3))
    assert not torch.equal(first, answers(2, 2))
    assert student.model.training
    assert torch.equal(torch.get_rng_state(), state)
    student.model.eval()


def test_image_and_padding_tokens_are_never_said(student: Any) -> None:
    vocabulary = Vocabulary(student)
    assert vocabulary.size == 262
    logits = vocabulary.logits(student.model, torch.randn(3, 32, dtype=torch.float64))
    assert logits.shape == (3, 262)
    assert float(logits.softmax(-1)[:, student.model.config.image_token_id].max().detach()) == 0.0


def test_frequencies_follow_the_mixture(student: Any) -> None:
    """The first token of 4,000 samples: shares within four standard deviations of (1 - a) q + a p."""
    teacher = tiny_teacher(layers=3, width=48)
    rows = rows_about_pictures(student, (0,))
    prompts = prompts_of(batch_of(rows), 99, samples=2000)
    vocabulary = Vocabulary(student)
    with torch.no_grad():
        decoders = [PackedDecoder(model, prompts) for model in (student.model, teacher.model)]
        q, p = (vocabulary.logits(d.model, d.states_SD[:1]).softmax(-1)[0] for d in decoders)
        tokens = write_answers(decoders, vocabulary, _options(1, mix=0.4), random_of(3, 0)).tokens_SL[:2000, 0]
    expected = 0.6 * q + 0.4 * p
    shares = torch.bincount(tokens, minlength=262).double() / 2000
    deviation = (expected * (1 - expected) / 2000).sqrt() + 1e-4
    assert float(((shares - expected) / deviation).abs().max()) < 4.5
    assert float(((shares - q) / deviation).abs().max()) > 6  # negative control: not the student alone


@torch.no_grad()
def test_a_teacher_with_other_visual_tokens_scores_and_writes(student: Any) -> None:
    teacher = tiny_teacher(5, **SMALL_PICTURE)
    own = batch_of(rows_about_pictures(teacher.system))
    batch = {**batch_of(rows_about_pictures(student)), TEACHER_FEATURES: own["vision_features"]}
    sampled = sample_batch(student.model, teacher, batch, Vocabulary(student), _options(3, 2, 0.5), 0)
    theirs = TeacherPass(teacher, sampled, int(student.model.config.image_token_id), 16)
    states = theirs.at(sampled["place"][sampled["is_answer"]])
    prompts = prompts_of(own, int(teacher.model.config.image_token_id), 2)
    answers = Answers(sampled["answers"], sampled["is_answer"], sampled["log_q"], sampled["log_p"])
    batch_of_its_own = scoring_batch(prompts, answers)
    alone = TeacherPass(Teacher(teacher.system), batch_of_its_own, int(teacher.model.config.image_token_id), 4)
    wanted = alone.at(batch_of_its_own["place"][sampled["is_answer"]])
    torch.testing.assert_close(states, wanted, atol=1e-5, rtol=1e-5)
    log_p = Vocabulary(student).logits(teacher.model, states).log_softmax(-1)
    said = sampled["answers"][sampled["is_answer"]]
    torch.testing.assert_close(
        log_p.gather(-1, said[:, None])[:, 0], sampled["log_p"][sampled["is_answer"]].double(), atol=1e-4, rtol=1e-4
    )

"""A system as a model of lmms-eval: ``--model geoprose --model_args pretrained=DIR``.

The entry point ``lmms_eval.models`` of this package names `manifest`; lmms-eval then asks this module for the class it
wants. Chat is what it takes by default; tasks that score options need ``--force_simple``, because its chat tasks only
generate.
"""

from __future__ import annotations

import importlib
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar, Literal, get_args

from geoprose.core.errors import ConfigError, ResourceError, TaskError
from geoprose.evaluation.interop.answerer import PIECE, Answerer, Question, read_decoding
from geoprose.evaluation.interop.lmms_eval_requests import (
    ChatRound,
    SimpleRound,
    chat_question,
    group_options,
    simple_question,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from geoprose.evaluation.interop.turns import Turn

LikelihoodAs = Literal["loss", "log_likelihood"]
"""Sign of what ``loglikelihood`` returns. lmms-eval's docstring asks for the log-likelihood, but its multiple choice
takes the smallest value, since most of its adapters return the loss."""

MAX_ROUNDS = 100
CLASSES = {"GeoproseChat": False, "GeoproseSimple": True}
"""Classes that lmms-eval finds here, and their ``is_simple``."""


class LmmsEvalAdapter:
    """What lmms-eval asks of a model, answered by a system of this project.

    Args:
        pretrained: Folder or preset of the system.
        batch_size: Questions decoded together. lmms-eval gives 1 unless ``--batch_size`` says more.
        device: Device that the system is moved to; where it was loaded when empty.
        num_frames: Pictures that stand for a video.
        max_new_tokens: Longest answer whatever the task says; the task's when 0.
        likelihood_as: What ``loglikelihood`` returns: ``loss`` (the negative), which its multiple choice needs, or
            ``log_likelihood``.
        others: Refused, except ``max_batch_size``, which lmms-eval always has.

    Raises:
        ConfigError: If an argument is unknown or no number.

    Source:
        lmms-eval 0.7.3, lmms_eval/api/model.py (class lmms), lmms_eval/api/task.py (construct_requests and
        process_results, which takes argmin), lmms_eval/models/registry_v2.py.
    """

    is_simple: ClassVar[bool] = False
    task_dict: dict[str, Any]
    cache_hook: Any

    def __init__(
        self,
        pretrained: str,
        batch_size: int | str = 64,
        device: str = "",
        *,
        num_frames: int = 8,
        max_new_tokens: int = 0,
        likelihood_as: str = "loss",
        **others: Any,
    ) -> None:
        unknown = sorted(set(others) - {"max_batch_size"})
        if unknown:
            raise ConfigError(
                f"--model_args {unknown[0]} is unknown. Known: pretrained, num_frames, max_new_tokens, likelihood_as."
            )
        if likelihood_as not in get_args(LikelihoodAs):
            raise ConfigError(f"likelihood_as={likelihood_as} is unknown. Known: {', '.join(get_args(LikelihoodAs))}.")
        if not str(batch_size).isdigit():
            raise ConfigError(f"--batch_size {batch_size} is not supported; give a number.")
        super().__init__()
        self.answerer = Answerer(pretrained, device or "", int(batch_size), int(num_frames))
        self.pretrained, self._max_new_tokens = str(pretrained), int(max_new_tokens)
        self._sign = -1.0 if likelihood_as == "loss" else 1.0

    @property
    def device(self) -> Any:
        """Where the model is; lmms-eval gathers counts there when several processes share the work."""
        return self.answerer.system.model.device

    def generate_until(self, requests: Sequence[Any]) -> list[str]:
        """Answer in words, up to the task's stopping texts."""
        questions, keys = [], []
        for request in requests:
            question, context, options = self._read(request.args)
            questions.append(question)
            keys.append((context, options))
        answers = self.answerer.answer(questions)
        for key, answer in zip(keys, answers, strict=True):
            self.cache_hook.add_partial("generate_until", key, answer)
        return answers

    def loglikelihood(self, requests: Sequence[Any]) -> list[Any]:
        """Score given answers; see ``likelihood_as`` for the sign. Options of one question are scored together.

        Returns:
            One pair of score and whether greedy decoding writes that answer per request, wrapped where lmms-eval would
            turn a bare pair into text.
        """
        groups = group_options([request.args for request in requests], self.task_dict)
        scored = self.answerer.score(groups)
        wrap = pair_wrapper()
        return [wrap((self._sign * value, is_greedy)) for row in scored for value, is_greedy in row]

    def generate_until_multi_round(self, requests: Sequence[Any]) -> list[list[str]]:
        """Answer round after round; the task writes each round from the answers before it."""
        said: list[list[str]] = []
        for start in range(0, len(requests), PIECE):
            said.extend(self._rounds([request.args for request in requests[start : start + PIECE]]))
        return said

    def _read(self, args: tuple[Any, ...]) -> tuple[Question, Any, dict[str, Any]]:
        """Return a question, its context and its options, as the caches of lmms-eval want them."""
        if self.is_simple:
            turns, options = simple_question(args, self.task_dict), dict(args[1])
        else:
            turns, options = chat_question(args, self.task_dict), dict(args[2])
        return Question(turns, read_decoding(options, self._max_new_tokens)), args[0], options

    def _rounds(self, requests: Sequence[tuple[Any, ...]]) -> list[list[str]]:
        kind = SimpleRound if self.is_simple else ChatRound
        rounds = [kind(args, self.task_dict) for args in requests]
        active = list(rounds)
        for number in range(MAX_ROUNDS + 1):
            asked = [(one, turns) for one in active if (turns := one.next(number)) is not None]
            if not asked:
                return [one.said for one in rounds]
            questions = [
                Question(_given(turns), read_decoding(one.options, self._max_new_tokens)) for one, turns in asked
            ]
            for (one, _), answer in zip(asked, self.answerer.answer(questions), strict=True):
                one.said.append(answer)
            active = [one for one, _ in asked]
        raise TaskError(f"A task of lmms-eval asks for more than {MAX_ROUNDS} rounds; it never says that it is done.")


def manifest() -> Any:
    """Return what lmms-eval's registry takes from the entry point ``lmms_eval.models``.

    Raises:
        ResourceError: If lmms-eval is not installed.
    """
    made = _import("lmms_eval.models.registry_v2").ModelManifest
    return made(
        model_id="geoprose",
        chat_class_path=f"{__name__}.GeoproseChat",
        simple_class_path=f"{__name__}.GeoproseSimple",
    )


@cache
def model_class(is_simple: bool = False) -> type:
    """Return the class for lmms-eval: its base class with this adapter in front.

    Args:
        is_simple: Whether requests come as text and visuals, or as chat messages.

    Raises:
        ResourceError: If lmms-eval is not installed.
    """
    base = _import("lmms_eval.api.model").lmms
    name = next(name for name, simple in CLASSES.items() if simple == is_simple)
    return type(name, (LmmsEvalAdapter, base), {"is_simple": is_simple, "__module__": __name__})


def __getattr__(name: str) -> type:
    if name in CLASSES:
        return model_class(CLASSES[name])
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def pair_wrapper() -> Callable[[tuple[float, bool]], Any]:
    """Return what keeps a pair of score and greedy flag a pair on its way through lmms-eval's evaluator.

    Why: release 0.7.3 passes every output through ``unwrap_generation_output``, which makes text of a bare pair, so
    that its own multiple choice fails for every model; what stands in a ``GenerationResult`` it leaves alone.
    """
    try:
        instance = importlib.import_module("lmms_eval.api.instance")
    except ImportError:
        return lambda pair: pair
    unwrap = getattr(instance, "unwrap_generation_output", None)
    if unwrap is None or isinstance(unwrap((0.0, True))[0], tuple):
        return lambda pair: pair
    made: Callable[[tuple[float, bool]], Any] = instance.GenerationResult
    return made


def _given(turns: Sequence[Turn]) -> Callable[[], Sequence[Turn]]:
    return lambda: turns


def _import(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ResourceError(f"{name} cannot be imported: {error}. `pip install lmms_eval`.") from error

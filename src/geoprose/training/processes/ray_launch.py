"""The same run on a Ray cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from geoprose.core.errors import GeoproseError, ResourceError, TrainingError
from geoprose.training.processes.distributed import TIMEOUT
from geoprose.training.processes.elsewhere import absolute, finished_run

if TYPE_CHECKING:
    from collections.abc import Mapping

    from geoprose.training.run import RunResult

_RAY_FOLDER = "ray"


def run_with_ray(arguments: Mapping[str, Any], num_workers: int, use_gpu: bool | None = None) -> RunResult:
    """Train a recipe in ``num_workers`` processes that Ray Train starts; each calls ``run_recipe``.

    The run's folder must be on a disk that all workers share: the first one writes it, the others read features there.
    ``RAY_ADDRESS`` says where the cluster is; without it Ray starts one on this machine.

    Args:
        arguments: Of ``run_recipe``, by name. Workers may start in another folder, so paths become absolute here.
        num_workers: Processes that train together.
        use_gpu: One graphics card for each; None where the cluster has that many.

    Raises:
        ResourceError: If Ray is not installed.
        GeoproseError: What ``run_recipe`` raised in a worker.
        TrainingError: If Ray could not run the workers to their end.
    """
    try:
        import ray
        from ray.train import RunConfig, ScalingConfig
        from ray.train.torch import TorchConfig, TorchTrainer
    except ImportError as error:
        raise ResourceError(
            "Ray Train is not installed. Install geoprose[ray], or start the run with torchrun or accelerate launch."
        ) from error
    told = absolute(arguments)
    ray.init(ignore_reinit_error=True)
    if use_gpu is None:
        use_gpu = ray.cluster_resources().get("GPU", 0) >= num_workers
    trainer = TorchTrainer(
        _worker,
        train_loop_config=told,
        scaling_config=ScalingConfig(num_workers=num_workers, use_gpu=use_gpu),
        torch_config=TorchConfig(timeout_s=int(TIMEOUT.total_seconds())),
        run_config=RunConfig(storage_path=str(told["out_dir"] / _RAY_FOLDER)),
    )
    try:
        trainer.fit()
    except Exception as error:
        failures = getattr(error, "worker_failures", {}).values()  # what the workers raised, in order of rank
        ours = next((failure for failure in failures if isinstance(failure, GeoproseError)), None)
        raise ours or TrainingError(f"Ray could not run the workers to their end: {error}") from error
    return finished_run(told["out_dir"])


def _worker(arguments: dict[str, Any]) -> None:
    from geoprose.training.run import run_recipe

    run_recipe(**arguments)

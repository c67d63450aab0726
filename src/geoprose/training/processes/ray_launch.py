"""The same run on a Ray cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from geoprose.core.errors import ResourceError

if TYPE_CHECKING:
    from collections.abc import Mapping


def run_with_ray(arguments: Mapping[str, Any], num_workers: int, use_gpu: bool = False) -> Any:
    """Train a recipe in ``num_workers`` processes that Ray Train starts; each calls ``run_recipe``.

    The run's folder must be on a disk that all workers share: the first one writes it, the others read features there.

    Args:
        arguments: Of ``run_recipe``, by name; paths absolute.
        num_workers: Processes that train together.
        use_gpu: One graphics card for each.

    Returns:
        Ray's result; what was trained lies in ``out_dir``.

    Raises:
        ResourceError: If Ray is not installed.
    """
    try:
        from ray.train import ScalingConfig
        from ray.train.torch import TorchTrainer
    except ImportError as error:
        raise ResourceError(
            "Ray Train is not installed. Install geoprose[ray], or start the run with torchrun or accelerate launch."
        ) from error
    scaling = ScalingConfig(num_workers=num_workers, use_gpu=use_gpu)
    return TorchTrainer(_worker, train_loop_config=dict(arguments), scaling_config=scaling).fit()


def _worker(arguments: dict[str, Any]) -> None:
    from geoprose.training.run import run_recipe

    run_recipe(**arguments)

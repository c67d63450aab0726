"""The same cut made by DeepSpeed (ZeRO stage 3): a twin that its engine runs and steps; sharding.py makes it whole."""

from __future__ import annotations

import copy
import logging
from typing import TYPE_CHECKING, Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from geoprose.training.module import StageModule
from geoprose.training.processes import distributed
from geoprose.training.processes.twins import layers_of, refuse_sampling

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_KINDS = ("exp_avg", "exp_avg_sq")
_BUCKET = 50_000_000  # numbers; DeepSpeed's own half a billion would take 2 GB of every card


def cut(
    module: StageModule, build: Callable[[Mapping[str, nn.Parameter]], Any], max_grad_norm: float
) -> tuple[StageModule, Engine, Steps]:
    """Return a twin of the module whose parameters are cut over all processes; the module's own become empty.

    Decoder and encoder layers are gathered while they run; the rest as one group.

    Args:
        module: What the stage trains.
        build: Makes AdamW of what trains, by name.
        max_grad_norm: Gradients are cut to it; 0 leaves them alone.

    Returns:
        The twin, what runs it, and what steps it.

    Raises:
        ConfigError: If a loss runs the model outside the training pass, which needs whole parameters.
    """
    import deepspeed

    refuse_sampling(module, "zero3")
    deepspeed.utils.logger.setLevel(logging.WARNING)
    twin = _twin_of(module)
    named = twin.trained()
    plain = build(named)
    scalars = [parameter for parameter in twin.parameters() if parameter.dim() == 0]
    for parameter in scalars:  # Why: DeepSpeed 0.19 cannot broadcast a tensor without a dimension
        parameter.data = parameter.data.view(1)
    engine, *_ = deepspeed.initialize(
        model=_Shell(twin), optimizer=plain, config=_settings(max_grad_norm), dist_init_required=False
    )
    for parameter in scalars:
        parameter.ds_shape = torch.Size(())  # type: ignore[attr-defined] # the shape that it gathers to
    for parameter in (*module.model.parameters(), *module.of_losses().values()):
        parameter.data = parameter.data.new_empty(0)
    return twin, Engine(engine), Steps(engine, plain, named)


class Engine(nn.Module):
    """Runs the twin; hides from Trainer what it would call on a model that is wrapped for several processes."""

    def __init__(self, engine: Any) -> None:
        super().__init__()
        self._engine = (engine,)  # Why not an attribute: it would be a child, with parameters for Trainer to clip

    def forward(self, batch: Any) -> Tensor:
        """Return what ``StageModule`` returns."""
        (engine,) = self._engine
        engine.module.batch = batch
        sums: Tensor = engine()
        return sums

    def train(self, mode: bool = True) -> Engine:
        """Set the mode of the twin."""
        (engine,) = self._engine
        engine.train(mode)
        return self


class Steps:
    """Makes the steps of a cut twin.

    Args:
        engine: DeepSpeed's.
        plain: AdamW; DeepSpeed put flat shares of the parameters into it.
        named: What trains, by name.
    """

    def __init__(self, engine: Any, plain: torch.optim.Optimizer, named: Mapping[str, nn.Parameter]) -> None:
        self.plain = plain
        self._engine = engine
        self._named = named
        self._is_discarded = False

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        """Groups with rates and names; their parameters are shares."""
        return self.plain.param_groups

    def norm(self) -> Tensor:
        """Return the norm of the gradients of the step so far; every process must call it."""
        from deepspeed.utils import safe_get_local_grad

        squares = [safe_get_local_grad(parameter).double().square().sum() for parameter in self._named.values()]
        total = torch.stack(squares).sum()
        dist.all_reduce(total)
        return total.sqrt()

    def step(self) -> None:
        """Clip and step; every process must call it."""
        if not self._is_discarded:
            self._engine.step()
        self._is_discarded = False

    def discard(self) -> None:
        """Make the coming ``step`` do nothing, and forget the gradients."""
        self._engine.optimizer.zero_grad()
        self._is_discarded = True

    def moments(self) -> dict[str, dict[str, Tensor]]:
        """Return AdamW's state by name, whole, in the first process; every process must call it."""
        from deepspeed.utils import safe_get_full_optimizer_state

        if not self.plain.state:
            return {}
        step = next(iter(self.plain.state.values()))["step"]  # all shares step together
        found: dict[str, dict[str, Tensor]] = {}
        for name, parameter in self._named.items():
            whole = {kind: safe_get_full_optimizer_state(parameter, kind) for kind in _KINDS}
            if distributed.is_main():
                found[name] = {"step": step, **{kind: tensor.cpu().clone() for kind, tensor in whole.items()}}
        return found

    def restore(self, moments: Mapping[str, Mapping[str, Tensor]]) -> None:
        """Put back what ``moments`` returned, in every process."""
        from deepspeed.utils import safe_set_local_optimizer_state

        for flat in self._engine.optimizer.fp32_partitioned_groups_flat:
            step = next(iter(moments.values()))["step"]
            zeros = {kind: torch.zeros_like(flat, requires_grad=False) for kind in _KINDS}
            self.plain.state[flat] = {"step": step.clone(), **zeros}
        for name, parameter in self._named.items():
            for kind in _KINDS:
                safe_set_local_optimizer_state(parameter, _share(moments[name][kind], parameter), kind)

    def close(self) -> None:
        """Free what DeepSpeed holds."""
        self._engine.destroy()
        for parameter in self._engine.module.parameters():
            parameter.ds_tensor.data = parameter.ds_tensor.data.new_empty(0)


def is_cut(tensor: Tensor) -> bool:
    """Tell whether DeepSpeed cut a parameter."""
    return hasattr(tensor, "ds_id")


def whole(parameter: Tensor) -> Tensor:
    """Return the whole values of a parameter that DeepSpeed cut; every process must call it."""
    from deepspeed.runtime.zero import GatheredParameters

    with GatheredParameters([parameter]):
        return parameter.detach().clone()


class _Shell(nn.Module):
    """What DeepSpeed sees of the twin: its layers, and everything else as parameters of its own.

    Contract: DeepSpeed gathers the parameters of a module when it runs, so all processes must run the same modules in
    the same order. A head runs once for every chunk of answers and a connector only where there is a picture, so they
    are no modules here: what lies outside of the layers is gathered at the start of the pass and kept until the
    gradients are there, as the root group of ``fully_shard`` is.
    """

    def __init__(self, twin: StageModule) -> None:
        super().__init__()
        self._twin = (twin,)  # not a child
        self.batch: Any = None  # Why not an argument: DeepSpeed writes into what it is given
        layers = layers_of(twin.model)
        nested = {id(inner) for layer in layers for inner in layer.modules() if inner is not layer}
        self.layers = nn.ModuleList(layer for layer in layers if id(layer) not in nested)
        inside = {id(parameter) for parameter in self.layers.parameters()}
        outside = [parameter for parameter in twin.parameters() if id(parameter) not in inside]
        for number, parameter in enumerate(outside):
            self.register_parameter(str(number), parameter)

    def forward(self) -> Tensor:
        sums: Tensor = self._twin[0](self.batch)
        self.batch = None
        return sums

    def train(self, mode: bool = True) -> _Shell:
        super().train(mode)
        self._twin[0].train(mode)
        return self


def _twin_of(module: StageModule) -> StageModule:
    """Return a module over parameters of its own that share the memory of the given ones.

    Why: DeepSpeed changes parameters and modules for good, and the next stage needs them plain.
    """
    known: dict[int, Any] = {id(tensor): tensor for tensor in module.model.buffers()}
    known.update((id(parameter), _again(parameter)) for parameter in module.model.parameters())
    for loss in module.losses:
        loss.parameters = {name: _again(parameter) for name, parameter in loss.parameters.items()}
    twin = StageModule(copy.deepcopy(module.model, known), module.losses)
    twin.reads_all = True
    return twin


def _again(parameter: nn.Parameter) -> nn.Parameter:
    return nn.Parameter(parameter.data, requires_grad=parameter.requires_grad)


def _share(tensor: Tensor, parameter: Any) -> Tensor:
    """Return this process's share of a whole tensor, flat, with zeros where the last one is short."""
    size = parameter.partition_numel()
    flat = tensor.to(parameter.device).flatten()
    padded = nn.functional.pad(flat, (0, size * distributed.world_size() - len(flat)))
    return padded[size * distributed.rank() : size * (distributed.rank() + 1)]


def _settings(max_grad_norm: float) -> dict[str, Any]:
    return {
        "train_micro_batch_size_per_gpu": 1,
        # Contract: the loss is divided by the items of the whole step, so DeepSpeed divides by nothing, and the trainer
        # says when to step: it must see loss and gradients first.
        "gradient_accumulation_steps": 1,
        "managed_gradient_accumulation": False,
        "gradient_clipping": max_grad_norm,
        "zero_allow_untested_optimizer": True,
        "steps_per_print": 2**62,
        "zero_optimization": {
            "stage": 3,
            "overlap_comm": False,  # DeepSpeed has it with its own accumulation only
            "reduce_bucket_size": _BUCKET,
            "memory_efficient_linear": False,  # it would replace torch's linear in the whole process
        },
    }

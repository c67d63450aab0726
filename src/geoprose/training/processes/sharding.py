"""Parameters, gradients and optimiser state cut over the processes (FSDP2), and put together again."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import torch.distributed as dist
from torch import Tensor
from torch.distributed.device_mesh import init_device_mesh

from geoprose.training.module import StageModule
from geoprose.training.processes import distributed, zero3
from geoprose.training.processes.twins import layers_of, refuse_sampling

if TYPE_CHECKING:
    from collections.abc import Mapping


def shard(module: StageModule) -> StageModule:
    """Return a twin of the module whose parameters are cut over all processes; the module's own become empty.

    Decoder and encoder layers are gathered one at a time while they run; the rest as one group.

    Raises:
        ConfigError: If a loss runs the model outside the training pass, which needs whole parameters.

    Source:
        torch ``fully_shard``. Why not Trainer's ``fsdp``: on processors it trains with plain DDP and says nothing.
    """
    refuse_sampling(module, "full")
    tensors = [*module.model.parameters(), *module.model.buffers()]
    # Why not fully_shard in place: it changes the classes of the modules for good, and the next stage needs them plain.
    twin = StageModule(copy.deepcopy(module.model, {id(tensor): tensor for tensor in tensors}), module.losses)
    twin.reads_all = True
    mesh = init_device_mesh(distributed.device().type, (distributed.world_size(),))
    scalars = {
        parameter for parameter in twin.parameters() if parameter.dim() == 0
    }  # stay whole; Trainer averages them
    for part in (*layers_of(twin.model), twin):
        dist.fsdp.fully_shard(part, mesh=mesh, ignored_params=scalars)
    for parameter in module.model.parameters():
        if parameter not in scalars:
            parameter.data = parameter.data.new_empty(0)
    return twin


def unshard(twin: StageModule, module: StageModule) -> None:
    """Give the module, and its losses, the whole parameters of its twin; every process must call it."""
    named = {**dict(module.model.named_parameters()), **module.of_losses()}
    for name, parameter in {**dict(twin.model.named_parameters()), **twin.of_losses()}.items():
        named[name].data = whole(parameter)
    for loss, learnt in zip(module.losses, module.loss, strict=True):
        loss.parameters = learnt.named()  # type: ignore[operator] # what a loss leaves behind is written from them


def whole(tensor: Tensor) -> Tensor:
    """Return a tensor that is cut over processes as one, any other as it is; every process must call it."""
    from torch.distributed.tensor import DTensor

    if zero3.is_cut(tensor):
        return zero3.whole(tensor)
    plain = tensor.detach()
    return plain.full_tensor() if isinstance(plain, DTensor) else plain


def whole_tensors(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return all tensors whole, in the processor's memory in the first process; every process must call it."""
    gathered = {}
    for name, tensor in tensors.items():
        value = whole(tensor)
        if distributed.is_main():
            gathered[name] = value.cpu()
    return gathered


def like(tensor: Tensor, parameter: Tensor) -> Tensor:
    """Return ``tensor`` on the device of ``parameter`` and cut as it is."""
    from torch.distributed.tensor import DTensor, distribute_tensor

    placed = tensor.to(parameter.device)
    if not isinstance(parameter, DTensor):
        return placed
    return distribute_tensor(placed, parameter.device_mesh, parameter.placements)

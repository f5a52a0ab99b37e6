"""Compile every kernel that a training step launches, for GPUs that are not here.

python -m tests.losses.kernels.compile_all
"""

from typing import Any
from unittest import mock

import torch
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from triton.runtime.jit import JITFunction

from freeanchor.boxes import AnchorGenerator, DeltaBoxCoder
from freeanchor.losses import FreeAnchorLoss
from freeanchor.structures import DensePredictions
from tests.batches import objects, sample

POINTERS = {
    torch.float32: '*fp32',
    torch.bfloat16: '*bf16',
    torch.int64: '*i64',
    torch.uint8: '*u8',
}
OLD = tuple(map(int, triton.__version__.split('.')[:2])) < (3, 3)  # of torch 2.6
TARGETS = [GPUTarget('cuda', 80, 32), GPUTarget('cuda', 90, 32)]


def type_of(x: Any) -> str:
    if isinstance(x, torch.Tensor):
        return POINTERS[x.dtype]
    return 'fp32' if isinstance(x, float) else 'i32'


def launches() -> list[tuple[JITFunction, tuple]]:
    """Every kernel that a mixed-precision step launches, with its arguments."""
    seen: dict[str, tuple[JITFunction, tuple]] = {}

    def note(self: JITFunction, *args: Any, **_: Any) -> None:
        seen.setdefault(self.fn.__name__, (self, args))

    patches = [mock.patch.object(JITFunction, 'run', note)]
    for place in ('boxes.search', 'losses.background', 'losses.entries'):
        patches.append(mock.patch(f'freeanchor.{place}.can_fuse', return_value=True))
    for patch in patches:
        patch.start()
    batch = DensePredictions.from_maps(
        [torch.zeros(1, 27, 4, 4, dtype=torch.bfloat16, requires_grad=True)],
        [torch.zeros(1, 36, 4, 4, dtype=torch.bfloat16, requires_grad=True)],
        AnchorGenerator((16,))([(4, 4)]),
        DeltaBoxCoder(),
    )
    truth = objects(sample([[8, 8, 40, 40]], [1], ignored=[[0, 0, 9, 9]]))
    terms = FreeAnchorLoss(bag_size=9, ignore_iof_thr=0.5)(batch, truth)
    sum(terms.values()).backward()
    for patch in patches:
        patch.stop()
    return list(seen.values())


def compile_for(target: GPUTarget, kernel: JITFunction, args: tuple) -> None:
    signature, constants = {}, {}
    for i, (param, value) in enumerate(zip(kernel.params, args)):
        if param.is_constexpr:
            signature[param.name] = 'constexpr'
            constants[param.name if OLD else (i,)] = value
        else:
            signature[param.name] = type_of(value)
    triton.compile(ASTSource(kernel, signature, constants), target=target)


if __name__ == '__main__':
    found = launches()
    for target in TARGETS:
        for kernel, args in found:
            compile_for(target, kernel, args)
        names = sorted(kernel.fn.__name__ for kernel, _ in found)
        print(f'sm_{target.arch}', *names)

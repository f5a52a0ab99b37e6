"""Make a trained detector as fast as it can be where it runs."""

import torch
from torch import Tensor, nn

from .detector import SingleStageDetector
from .fuse import fuse
from .graphs import Recorded
from .winograd import use_winograd


def deploy(
    detector: SingleStageDetector,
    device: torch.device | str | None = None,
    dtype: torch.dtype = torch.float32,
    record: bool = False,
) -> SingleStageDetector:
    """Prepare a detector for inference; it cannot be trained afterwards.

    Normalisations are folded into convolutions (:func:`freeanchor.models.fuse`
    says what that does to the state dict) and maps are laid out channels-last.
    In float32 on a CPU, 3 x 3 convolutions are computed by minimal filtering
    (:class:`freeanchor.models.winograd.WinogradConv2d`). Scores and boxes are
    float32 whatever ``dtype`` is.

    Args:
        detector: With its weights; changed in place.
        device: Where it will run; where it is, unless given.
        dtype: Of the network: float32, bfloat16 or float16.
        record: Record the network as CUDA graphs, one for each shape of the
            batch and 16 at most. Worth it at small batches on a GPU.

    Returns:
        ``detector``, in evaluation mode and without gradients.

    Raises:
        ValueError: ``record`` without a CUDA device.
    """
    device = torch.device(device or next(detector.parameters()).device)
    if record and device.type != 'cuda':
        raise ValueError(f'record needs a CUDA device, not {device}: leave it out')
    detector.to(device)
    fuse(detector, torch.zeros(1, 3, 64, 64, device=device))
    for part in (detector.backbone, detector.neck, detector.bbox_head):
        part.to(dtype).to(memory_format=torch.channels_last)
    if device.type == 'cpu':
        use_winograd(detector)
    detector.backbone.register_forward_pre_hook(_laid_out)
    if record:
        recorded = Recorded(detector.find_candidates)
        detector.find_candidates = recorded  # type: ignore[method-assign, assignment]
    return detector


def _laid_out(backbone: nn.Module, args: tuple[Tensor, ...]) -> tuple[Tensor]:
    dtype = next(backbone.parameters()).dtype
    return (args[0].to(dtype=dtype, memory_format=torch.channels_last),)

"""RetinaNets with the module trees of other projects, in their own words.

Small copies of what the names of a project's checkpoints imply: modules under those
names, run in that project's way. Weights are random and norms uneven, so that an
epsilon, a stride or an order that is wrong shows.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

BLOCKS = (3, 4, 6, 3)  # of ResNet-50
WIDTHS = (64, 128, 256, 512)


class FrozenNorm(nn.Module):
    """Batch normalisation that is not trained, and adds ``eps`` to a variance."""

    def __init__(self, channels: int, eps: float) -> None:
        super().__init__()
        self.eps = eps
        variance = torch.rand(channels) + 0.5
        weight = torch.rand(channels) * 0.4 + 0.4
        variance[0], weight[0] = 1e-5, 1e-3  # where an epsilon counts
        self.register_buffer('weight', weight)
        self.register_buffer('bias', torch.randn(channels) * 0.1)
        self.register_buffer('running_mean', torch.randn(channels) * 0.1)
        self.register_buffer('running_var', variance)

    def forward(self, x: Tensor) -> Tensor:
        scale = self.weight / (self.running_var + self.eps).sqrt()
        shift = self.bias - self.running_mean * scale
        return x * scale[:, None, None] + shift[:, None, None]


def conv(inputs: int, outputs: int, size: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, size, stride, size // 2, bias=False)


class OfficialBlock(nn.Module):
    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = conv(inputs, width, 1, stride), FrozenNorm(width, 0)
        self.conv2, self.bn2 = conv(width, width, 3), FrozenNorm(width, 0)
        self.conv3, self.bn3 = conv(width, 4 * width, 1), FrozenNorm(4 * width, 0)
        self.downsample = None
        if inputs != 4 * width:
            self.downsample = nn.Sequential(
                conv(inputs, 4 * width, 1, stride), FrozenNorm(4 * width, 0)
            )

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn1(self.conv1(x)).relu()
        y = self.bn2(self.conv2(y)).relu()
        y = self.bn3(self.conv3(y))
        return (y + (x if self.downsample is None else self.downsample(x))).relu()


class NormedConv(nn.Conv2d):
    """detectron2's: a convolution that has its norm inside."""

    def __init__(self, inputs: int, outputs: int, size: int, stride: int = 1) -> None:
        super().__init__(inputs, outputs, size, stride, size // 2, bias=False)
        self.norm = FrozenNorm(outputs, 1e-5)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(super().forward(x))


class Detectron2Block(nn.Module):
    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        self.shortcut = None
        if inputs != 4 * width:
            self.shortcut = NormedConv(inputs, 4 * width, 1, stride)
        self.conv1 = NormedConv(inputs, width, 1, stride)
        self.conv2 = NormedConv(width, width, 3)
        self.conv3 = NormedConv(width, 4 * width, 1)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv3(self.conv2(self.conv1(x).relu()).relu())
        return (y + (x if self.shortcut is None else self.shortcut(x))).relu()


def stages(block: type[nn.Module]) -> list[nn.Sequential]:
    found, inputs = [], 64
    for i, (count, width) in enumerate(zip(BLOCKS, WIDTHS)):
        row = []
        for j in range(count):
            row.append(block(inputs, width, 2 if i and not j else 1))
            inputs = 4 * width
        found.append(nn.Sequential(*row))
    return found


def tower() -> nn.Sequential:
    layers: list[nn.Module] = []
    for _ in range(4):
        layers += [nn.Conv2d(256, 256, 3, padding=1), nn.ReLU()]
    return nn.Sequential(*layers)


def pyramid(laterals: list, outputs: list, maps: list[Tensor]) -> list[Tensor]:
    """P3 to P5 from C3 to C5."""
    top, found = None, []
    for lateral, output, x in reversed(list(zip(laterals, outputs, maps))):
        x = lateral(x)
        top = x if top is None else x + F.interpolate(top, scale_factor=2)
        found.insert(0, output(top))
    return found


class Official(nn.Module):
    """The authors' R-50 with the names of ``maskrcnn_benchmark``."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.backbone = nn.Module()
        body = self.backbone.body = nn.Module()
        body.stem = nn.Module()
        body.stem.conv1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        body.stem.bn1 = FrozenNorm(64, 0)
        for i, stage in enumerate(stages(OfficialBlock)):
            body.add_module(f'layer{i + 1}', stage)
        fpn = self.backbone.fpn = nn.Module()
        for i, channels in ((2, 512), (3, 1024), (4, 2048)):
            fpn.add_module(f'fpn_inner{i}', nn.Conv2d(channels, 256, 1))
            fpn.add_module(f'fpn_layer{i}', nn.Conv2d(256, 256, 3, padding=1))
        fpn.top_blocks = nn.Module()
        fpn.top_blocks.p6 = nn.Conv2d(256, 256, 3, 2, 1)
        fpn.top_blocks.p7 = nn.Conv2d(256, 256, 3, 2, 1)
        self.rpn = nn.Module()
        self.rpn.anchor_generator = nn.Module()
        self.rpn.anchor_generator.cell_anchors = nn.ParameterList([torch.zeros(9, 4)])
        head = self.rpn.head = nn.Module()
        head.cls_tower, head.bbox_tower = tower(), tower()
        head.cls_logits = nn.Conv2d(256, 9 * num_classes, 3, padding=1)
        head.bbox_pred = nn.Conv2d(256, 36, 3, padding=1)

    def forward(self, images: Tensor) -> list[tuple[Tensor, Tensor]]:
        body, fpn, head = self.backbone.body, self.backbone.fpn, self.rpn.head
        x = F.max_pool2d(body.stem.bn1(body.stem.conv1(images)).relu(), 3, 2, 1)
        maps = []
        for i in range(1, 5):
            x = getattr(body, f'layer{i}')(x)
            maps.append(x)
        levels = pyramid(
            [getattr(fpn, f'fpn_inner{i}') for i in (2, 3, 4)],
            [getattr(fpn, f'fpn_layer{i}') for i in (2, 3, 4)],
            maps[1:],
        )
        p6 = fpn.top_blocks.p6(levels[-1])
        levels += [p6, fpn.top_blocks.p7(p6.relu())]
        return [
            (head.cls_logits(head.cls_tower(x)), head.bbox_pred(head.bbox_tower(x)))
            for x in levels
        ]


class Detectron2(nn.Module):
    """detectron2's RetinaNet_R_50_FPN."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.backbone = nn.Module()
        bottom_up = self.backbone.bottom_up = nn.Module()
        bottom_up.stem = nn.Module()
        bottom_up.stem.conv1 = NormedConv(3, 64, 7, 2)
        for i, stage in enumerate(stages(Detectron2Block)):
            bottom_up.add_module(f'res{i + 2}', stage)
        for i, channels in ((3, 512), (4, 1024), (5, 2048)):
            self.backbone.add_module(f'fpn_lateral{i}', nn.Conv2d(channels, 256, 1))
            output = nn.Conv2d(256, 256, 3, padding=1)
            self.backbone.add_module(f'fpn_output{i}', output)
        self.backbone.top_block = nn.Module()
        self.backbone.top_block.p6 = nn.Conv2d(2048, 256, 3, 2, 1)
        self.backbone.top_block.p7 = nn.Conv2d(256, 256, 3, 2, 1)
        self.head = nn.Module()
        self.head.cls_subnet, self.head.bbox_subnet = tower(), tower()
        self.head.cls_score = nn.Conv2d(256, 9 * num_classes, 3, padding=1)
        self.head.bbox_pred = nn.Conv2d(256, 36, 3, padding=1)
        self.register_buffer('pixel_mean', torch.zeros(3, 1, 1))

    def forward(self, images: Tensor) -> list[tuple[Tensor, Tensor]]:
        fpn, head = self.backbone, self.head
        x = F.max_pool2d(fpn.bottom_up.stem.conv1(images).relu(), 3, 2, 1)
        maps = []
        for i in range(2, 6):
            x = getattr(fpn.bottom_up, f'res{i}')(x)
            maps.append(x)
        levels = pyramid(
            [getattr(fpn, f'fpn_lateral{i}') for i in (3, 4, 5)],
            [getattr(fpn, f'fpn_output{i}') for i in (3, 4, 5)],
            maps[1:],
        )
        p6 = fpn.top_block.p6(maps[-1])
        levels += [p6, fpn.top_block.p7(p6.relu())]
        return [
            (head.cls_score(head.cls_subnet(x)), head.bbox_pred(head.bbox_subnet(x)))
            for x in levels
        ]

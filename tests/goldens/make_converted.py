"""What MMDetection computes where our converters are to give the same.

Needs MMDetection, and on the path this repository and the module ``peer_mmdet`` that
drives MMDetection on a CPU; neither is needed by the tests.

    python tests/goldens/make_converted.py

For every config that MMDetection ships for FreeAnchor, RetinaNet, ATSS and PAA: convert
the config, give both models the same weights, ours through the converter of
checkpoints, and compare the outputs of their heads for one picture.
``converted_configs.json`` gets the largest differences. ``convert_*.npz`` get the names
of MMDetection's weights and what it computed, for tests without it.
"""

import json
from copy import deepcopy
from pathlib import Path

import numpy as np
import torch

HERE = Path(__file__).parent
FAMILIES = ('free_anchor', 'retinanet', 'atss', 'paa')
NOT_ALONE = ('retinanet_tta',)  # a part of others
GOLDENS = {
    'atss_r18_fpn_8xb8-amp-lsj-200e_coco': 'convert_atss_r18',
    'retinanet_r50-caffe_fpn_1x_coco': 'convert_retinanet_r50_caffe',
}
SIZE = (96, 128)
SEED = 5


def weights_of(model, deterministic):
    """Values for a whole model of MMDetection, from names and shapes."""
    shapes = {
        k: tuple(x.shape)
        for k, x in model.state_dict().items()
        if not k.startswith('data_preprocessor.')
    }
    return {k: value_of(k, s, deterministic) for k, s in shapes.items()}


def value_of(name, shape, deterministic):
    if name.endswith('.scale'):
        values = deterministic.uniform(name, shape, 0.5, 1.5, SEED)
    elif name == 'bbox_head.atss_cls.bias':
        values = deterministic.uniform(name, shape, -3.0, -2.0, SEED)
    else:
        values = deterministic.tensor_for(name, shape, SEED)
    return torch.from_numpy(np.asarray(values))


def picture(deterministic):
    rgb = deterministic.image('converted', *SIZE, SEED)
    return torch.from_numpy(deterministic.normalised(rgb))[None]


@torch.no_grad()
def theirs(model, inputs):
    """Maps of MMDetection's model: class scores, deltas, and quality if it has some."""
    return [list(x) for x in model.bbox_head(model.neck(model.backbone(inputs)))]


@torch.no_grad()
def ours(model, inputs):
    """Our outputs as maps in MMDetection's form."""
    found = model(inputs)
    sizes = [x.shape[-2:] for x in model.neck(model.backbone(inputs))]
    kinds = [found.logits, found.deltas, *([found.quality] if found.quality else [])]
    return [
        [x.reshape(1, *s, -1).permute(0, 3, 1, 2) for x, s in zip(maps, sizes)]
        for maps in kinds
    ]


def difference(mine, other):
    """Largest difference, relative to the largest value of the same kind."""
    assert len(mine) == len(other)
    largest = max(float(x.abs().max()) for x in other)
    gaps = [float((a - b).abs().max()) for a, b in zip(mine, other)]
    return max(gaps) / largest


def converted(path, runtime):
    """Values of a shipped config, and of ours that was written, read and built."""
    from freeanchor.engine.config_conversion import config_text, convert_config
    from tools.convert_config import check, read_source

    source = read_source(str(path))
    cfg, report = convert_config(source, runtime)
    assert not report.blocks, report.blocks
    check(config_text('A test.', cfg), 'net.py')
    return source, cfg


def compare(source, cfg, deterministic):
    """Differences of one shipped config, and what to keep."""
    from mmdet.registry import MODELS

    from freeanchor.engine.conversion import build_untrained, convert

    plain = deepcopy(source['model'])
    plain['backbone']['init_cfg'] = None
    model = MODELS.build(plain).eval()
    weights = weights_of(model, deterministic)
    missing, _ = model.load_state_dict(weights, strict=False)
    assert all(x.startswith('data_preprocessor') for x in missing)

    own = build_untrained(cfg['model']).eval()
    own.load_state_dict(convert(dict(state_dict=weights)).weights, strict=True)
    inputs = picture(deterministic)
    expected, found = theirs(model, inputs), ours(own, inputs)
    kinds = ('logits', 'deltas', 'quality')
    row = {k: difference(a, b) for k, a, b in zip(kinds, found, expected)}
    shapes = {k: list(x.shape) for k, x in weights.items()}
    return row, shapes, expected


def keep(name, shapes, expected):
    """A golden: names and shapes of the weights, samples of the outputs."""
    arrays = {}
    for kind, maps in zip(('logits', 'deltas', 'quality'), expected):
        for i, x in enumerate(maps):
            flat = x.double().flatten()
            places = torch.arange(64) * (len(flat) - 1) // 63
            arrays[f'{kind}/{i}'] = flat[places].numpy()
    info = dict(shapes=shapes, seed=SEED, size=SIZE)
    np.savez_compressed(HERE / f'{name}.npz', info=json.dumps(info), **arrays)


def main():
    import deterministic
    import peer_mmdet
    from mmengine.config import Config

    configs = Path(peer_mmdet.CONFIG_ROOT)
    ours = HERE.parents[1] / 'configs/_base_/runtime/default.py'
    runtime = Config.fromfile(ours).to_dict()
    rows, done = {}, {}
    for family in FAMILIES:
        for path in sorted((configs / family).glob('*.py')):
            if path.stem in NOT_ALONE:
                continue
            source, cfg = converted(path, runtime)
            model = json.dumps(source['model'], sort_keys=True)
            if model in done:  # another schedule or other data
                rows[path.stem] = dict(same_model_as=done[model])
                continue
            done[model] = path.stem
            rows[path.stem], shapes, expected = compare(source, cfg, deterministic)
            print(path.stem, rows[path.stem], flush=True)
            if path.stem in GOLDENS:
                keep(GOLDENS[path.stem], shapes, expected)
    versions = dict(mmdet=peer_mmdet.mmdet.__version__, torch=torch.__version__)
    text = json.dumps(dict(made_with=versions, configs=rows), indent=1)
    (HERE / 'converted_configs.json').write_text(text + '\n')


if __name__ == '__main__':
    main()

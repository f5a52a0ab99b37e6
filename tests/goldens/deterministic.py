"""Reproducible weights, images and boxes from names and a seed.  Needs numpy only.

Two programs that agree on parameter names and shapes get identical weights from
``fill_state`` without shipping a checkpoint: every tensor depends on its own key, its
own shape and the seed, not on the order or on the presence of other keys.

    state = {k: tuple(v.shape) for k, v in model.state_dict().items()}
    filled = deterministic.fill_state(state, seed=0)          # name -> numpy array
    model.load_state_dict({k: torch.from_numpy(v) for k, v in filled.items()})

Numbers come from the legacy Mersenne Twister of numpy (``RandomState``), whose stream
numpy has frozen, as uniform doubles; only + - * / and one final rounding to float32
follow, so they are the same to the last bit on every platform.

The weights are random, and meant to be well behaved rather than good: no normalisation
layer adapts in evaluation mode, so the scale is kept by the fan-in of each convolution
and by small weights on the last normalisation of a residual branch.
"""

import re
import zlib

import numpy as np

# RGB statistics of the shipped configurations, on the 0..255 scale
MEAN = np.array([123.675, 116.28, 103.53])
STD = np.array([58.395, 57.12, 57.375])


def rng_for(name, seed=0):
    """The random stream that belongs to a name."""
    return np.random.RandomState([zlib.crc32(name.encode()), seed])


def uniform(name, shape, low=0.0, high=1.0, seed=0, dtype=np.float32):
    """Uniform numbers in [low, high) for a name."""
    u = rng_for(name, seed).random_sample(shape)
    return (low + (high - low) * u).astype(dtype)


def bell(name, shape, std=1.0, mean=0.0, seed=0, dtype=np.float32):
    """Bell-shaped numbers: the sum of four uniforms, scaled to a standard deviation."""
    u = rng_for(name, seed).random_sample((4,) + tuple(shape))
    return (mean + std * 3.0**0.5 * (u[0] + u[1] + u[2] + u[3] - 2.0)).astype(dtype)


# ---------------------------------------------------------------- weights

# relative to sqrt(2 / fan-in); the neck's are chosen so that every level of the pyramid
# carries a signal of about the same size
_GAINS = (
    (r'retina_cls\.weight$', 0.8),
    (r'retina_reg\.weight$', 0.4),
    (r'^neck\.lateral_convs\.[01]\.', 0.5),
    (r'^neck\.lateral_convs\.2\.', 1.3),
    (r'^neck\.fpn_convs\.0\.', 0.7),
    (r'^neck\.fpn_convs\.1\.', 0.8),
    (r'^neck\.fpn_convs\.2\.', 1.1),
    (r'^neck\.fpn_convs\.3\.', 2.2),
    (r'^neck\.fpn_convs\.4\.', 1.6),
)


def _conv_std(key, shape):
    """Standard deviation of a convolution's or linear layer's weight."""
    fan_in = 1
    for n in shape[1:]:
        fan_in *= n
    he = (2.0 / fan_in) ** 0.5
    for pattern, gain in _GAINS:
        if re.search(pattern, key):
            return gain * he
    return he


def tensor_for(key, shape, seed=0):
    """The value of one entry of a state dict, from its name and shape."""
    shape = tuple(int(n) for n in shape)
    last = key.rsplit('.', 1)[-1]
    if last == 'num_batches_tracked':
        return np.zeros(shape, np.int64)
    if last == 'running_mean':
        return uniform(key, shape, -0.1, 0.1, seed)
    if last == 'running_var':
        return uniform(key, shape, 0.8, 1.25, seed)
    if last == 'bias':
        if key.endswith('retina_cls.bias'):  # prior probability 0.02
            return uniform(key, shape, -3.89182 - 0.3, -3.89182 + 0.3, seed)
        return uniform(key, shape, -0.05, 0.05, seed)
    if len(shape) >= 2:
        half_width = 3.0**0.5 * _conv_std(key, shape)
        weight = rng_for(key, seed).random_sample(shape) * (2 * half_width) - half_width
        if shape[1] % 2 == 0:
            # the second half of the input channels gets the opposite weights, so a
            # constant input gives 0: features keep telling places and images apart,
            # which plain random weights on rectified inputs stop doing with depth
            weight[:, shape[1] // 2 :] = -weight[:, : shape[1] // 2]
        return weight.astype(np.float32)
    if last == 'weight':  # a normalisation layer
        if re.search(r'\.bn3\.weight$', key):
            return uniform(key, shape, 0.2, 0.5, seed)
        if re.search(r'\.layer\d+\.\d+\.bn2\.weight$', '.' + key):
            return uniform(key, shape, 0.5, 0.9, seed)
        return uniform(key, shape, 0.8, 1.2, seed)
    raise KeyError(f'no rule for {key} with shape {shape}')


def fill_state(shapes, seed=0):
    """Values for a whole state dict.

    ``shapes`` maps each key to a shape, or to anything that has a ``shape``.
    Keys of the input normalisation (``data_preprocessor.*``) are left out.
    """
    return {
        key: tensor_for(key, getattr(shape, 'shape', shape), seed)
        for key, shape in shapes.items()
        if not key.startswith('data_preprocessor.')
    }


# ---------------------------------------------------------------- images and boxes


def _upsample(grid, height, width):
    """Bilinear interpolation of a coarse grid (h, w, c) to (height, width, c)."""
    rows = np.arange(height) * ((grid.shape[0] - 1) / max(1, height - 1))
    cols = np.arange(width) * ((grid.shape[1] - 1) / max(1, width - 1))
    r0 = np.minimum(rows.astype(np.int64), grid.shape[0] - 2)
    c0 = np.minimum(cols.astype(np.int64), grid.shape[1] - 2)
    fr = (rows - r0)[:, None, None]
    fc = (cols - c0)[None, :, None]
    top = grid[r0][:, c0] * (1 - fc) + grid[r0][:, c0 + 1] * fc
    low = grid[r0 + 1][:, c0] * (1 - fc) + grid[r0 + 1][:, c0 + 1] * fc
    return top * (1 - fr) + low * fr


def image(name, height, width, seed=0):
    """A smooth RGB picture with flat rectangles in it: uint8 (height, width, 3)."""
    rng = rng_for('image/' + name, seed)
    out = np.zeros((height, width, 3))
    for cells, share in ((4, 0.5), (11, 0.3), (37, 0.2)):
        out += share * _upsample(rng.random_sample((cells, cells, 3)), height, width)
    for _ in range(12):
        y, x, h, w = rng.random_sample(4) * [height, width, height / 3, width / 3]
        color = rng.random_sample(3)
        out[int(y) : int(y + h), int(x) : int(x + w)] *= 0.4
        out[int(y) : int(y + h), int(x) : int(x + w)] += 0.6 * color
    return np.floor(out * 255.999).astype(np.uint8)


def normalised(rgb):
    """A picture as network input: float32 (3, height, width), RGB, zero mean."""
    pixels = (rgb.astype(np.float64) - MEAN) / STD
    return pixels.astype(np.float32).transpose(2, 0, 1).copy()


def boxes(name, count, height, width, num_classes, smallest=16, largest=None, seed=0):
    """Random boxes in an image: float32 (count, 4) x1 y1 x2 y2, int64 (count,) labels.

    Sides are spread evenly on a logarithmic-like scale, with aspect ratios 1:3 to 3:1.
    """
    rng = rng_for('boxes/' + name, seed)
    largest = largest or 0.8 * min(height, width)
    out = np.zeros((count, 4))
    labels = np.zeros(count, np.int64)
    for i in range(count):
        size, ratio, y, x, label = rng.random_sample(5)
        side = smallest + (largest - smallest) * size * size
        stretch = (1 + 2 * ratio) ** 0.5 if i % 2 else 1 / (1 + 2 * ratio) ** 0.5
        w = min(side * stretch, width - 1.0)
        h = min(side / stretch, height - 1.0)
        x1, y1 = x * (width - w), y * (height - h)
        out[i] = x1, y1, x1 + w, y1 + h
        labels[i] = int(label * num_classes)
    return out.astype(np.float32), labels

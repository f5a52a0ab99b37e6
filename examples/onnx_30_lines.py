"""python onnx_30_lines.py model.onnx photo.jpg: detections by onnxruntime alone."""

import json
import sys

import numpy as np
import onnxruntime
from PIL import Image, ImageOps

session = onnxruntime.InferenceSession(sys.argv[1])
recipe = json.loads(session.get_modelmeta().custom_metadata_map['freeanchor'])

image = ImageOps.exif_transpose(Image.open(sys.argv[2])).convert('RGB')
long, short = max(recipe['scale']), min(recipe['scale'])
factor = min(long / max(image.size), short / min(image.size))
width, height = (int(side * factor + 0.5) for side in image.size)
pixels = np.asarray(image.resize((width, height), Image.Resampling.BILINEAR))
if recipe['channels'] == 'bgr':
    pixels = pixels[..., ::-1]
normalised = (pixels - np.float32(recipe['mean'])) / np.float32(recipe['std'])
padding = [(0, -side % recipe['pad_divisor']) for side in (height, width)] + [(0, 0)]
padded = np.pad(normalised, padding, constant_values=recipe['pad_value'])
inputs = {'images': padded.transpose(2, 0, 1)[None], 'sizes': [[width, height]]}
inputs = {name: np.ascontiguousarray(x, np.float32) for name, x in inputs.items()}
boxes, scores, labels, counts = (x[0] for x in session.run(None, inputs))

scale = np.tile(np.array([width, height]) / image.size, 2)  # to the photo's pixels
for box, score, label in zip(boxes[:counts] / scale, scores, labels):
    if score >= 0.3:
        print(recipe['class_names'][label], f'{score:.2f}', box.round(1).tolist())

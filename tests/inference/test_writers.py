import csv
import json
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.structures import InstanceData
from PIL import Image

from freeanchor.inference import Detected, to_coco
from freeanchor.inference.video import open_video
from freeanchor.inference.writers import (
    CsvWriter,
    JsonWriter,
    OutputFolder,
    PictureWriter,
    VideoWriter,
)

NAMES = ('cat', 'a, "dog"')


def detected(name: str, *labels: int) -> Detected:
    count = len(labels)
    instances = InstanceData(
        metainfo=dict(img_path=name),
        bboxes=torch.tensor([[10.0, 20.0, 40.0, 50.126]]).repeat(count, 1),
        scores=torch.full((count,), 0.5),
        labels=torch.tensor(labels, dtype=torch.int64),
        names=[NAMES[x] for x in labels],
    )
    image = np.zeros((700, 640, 3), np.uint8)
    image[..., 0] = 200  # blue
    return Detected(name, image, instances)


def test_pictures_are_named_as_the_images_and_do_not_replace_each_other(tmp_path):
    writer = PictureWriter(OutputFolder(tmp_path / 'out'), NAMES)
    addresses = ['in/a.png', 'other/a.jpg', 'https://example.org/b.webp?size=9', 'a.x']
    for name in addresses:
        writer.add(detected(name, 0))
    files = sorted(x.name for x in (tmp_path / 'out').iterdir())
    assert files == ['a.jpg', 'a_2.jpg', 'a_3.jpg', 'b.jpg']


def test_a_picture_shows_the_image_in_its_colours_with_boxes(tmp_path):
    writer = PictureWriter(OutputFolder(tmp_path), NAMES)
    writer.add(detected('plain.png'))
    writer.add(detected('boxed.png', 0))
    plain, boxed = (
        np.asarray(Image.open(tmp_path / f'{x}.jpg'), int) for x in ('plain', 'boxed')
    )
    assert plain.shape == (700, 640, 3)
    assert np.abs(plain - [0, 0, 200]).max() < 8
    assert np.abs(boxed[20, 20] - [0, 0, 200]).max() > 50  # on the box's line
    assert np.abs(boxed[600:] - [0, 0, 200]).max() < 8


def test_files_that_are_no_pictures_of_ours_stay_as_they_are(tmp_path):
    cv2.imwrite(str(tmp_path / 'a.jpg'), np.zeros((8, 8, 3), np.uint8))
    (tmp_path / 'b.jpg').write_text('notes')
    (tmp_path / 'c.jpg').symlink_to('gone')
    content = (tmp_path / 'a.jpg').read_bytes()
    for _ in range(2):
        writer = PictureWriter(OutputFolder(tmp_path), NAMES)
        for name in ('a.png', 'b.png', 'c.png'):
            writer.add(detected(name, 0))
    assert (tmp_path / 'a.jpg').read_bytes() == content
    assert (tmp_path / 'b.jpg').read_text() == 'notes'
    files = sorted(x.name for x in tmp_path.iterdir())
    assert files == ['a.jpg', 'a_2.jpg', 'b.jpg', 'b_2.jpg', 'c.jpg', 'c_2.jpg']


def test_a_video_that_is_there_stays(tmp_path):
    (tmp_path / 'clip.mp4').write_bytes(b'film')
    place = OutputFolder(tmp_path).place_for('clip.avi', '.mp4')
    assert place == tmp_path / 'clip_2.mp4'


def test_pictures_of_an_earlier_call_are_replaced(tmp_path):
    for _ in range(2):
        PictureWriter(OutputFolder(tmp_path), NAMES).add(detected('in/a.png', 0))
    assert [x.name for x in tmp_path.iterdir()] == ['a.jpg']


def test_a_video_has_a_frame_for_each_image(tmp_path):
    writer = VideoWriter(tmp_path / 'a.mp4', 5, NAMES)
    for i in range(3):
        writer.add(detected(f'a.mp4#{i}', 1))
    writer.close()
    video = open_video(tmp_path / 'a.mp4')
    assert (video.rate, video.num_frames) == (5, 3)
    frame = next(iter(video.frames())).content
    assert frame[600:].reshape(-1, 3).mean(0) == pytest.approx([200, 0, 0], abs=8)


def test_json_is_there_once_it_is_whole(tmp_path):
    path = tmp_path / 'out' / 'r.json'
    writer = JsonWriter(path, partial(to_coco, category_ids=(1, 2)))
    writer.add(detected('a.jpg', 0, 1))
    writer.add(detected('b.jpg'))
    assert not path.exists()
    writer.close()
    rows = json.loads(path.read_text())
    assert [x['category_id'] for x in rows] == [1, 2]


def test_json_of_nothing_is_an_empty_list(tmp_path):
    JsonWriter(tmp_path / 'r.json', partial(to_coco, category_ids=())).close()
    assert json.loads((tmp_path / 'r.json').read_text()) == []


def test_csv_has_a_line_for_each_detection(tmp_path):
    writer = CsvWriter(tmp_path / 'r.csv')
    writer.add(detected('in/a, b.jpg', 0, 1))
    writer.close()
    with Path(tmp_path / 'r.csv').open(newline='') as file:
        first, second = csv.DictReader(file)
    assert first == dict(
        image='in/a, b.jpg',
        name='cat',
        label='0',
        score='0.5000',
        x1='10.00',
        y1='20.00',
        x2='40.00',
        y2='50.13',
    )
    assert second['name'] == 'a, "dog"'

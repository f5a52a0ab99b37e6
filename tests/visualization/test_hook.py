"""The pictures of a run: how many, of what, and where."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from mmengine import dist
from mmengine.evaluator import BaseMetric
from mmengine.model import BaseModel
from mmengine.runner import Runner
from mmengine.structures import BaseDataElement, InstanceData
from PIL import Image
from torch import nn

from freeanchor.visualization import DetVisualizationHook, class_colour
from freeanchor.visualization.hook import draw_sample, share

NUM_IMAGES = 5
SIZE = (96, 640)  # height and width, too large to be enlarged
BOX = (100.0, 40.0, 300.0, 80.0)


class Photos(torch.utils.data.Dataset):
    """Grey photos, seen by the network at half their size."""

    def __init__(self, folder: Path, truth: bool = False) -> None:
        self.metainfo = dict(classes=('cell', 'nut'))
        self.paths = [folder / f'photo{i}.png' for i in range(NUM_IMAGES)]
        self.truth = truth
        for path in self.paths:
            cv2.imwrite(str(path), np.full((*SIZE, 3), 127, np.uint8))

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> dict[str, Any]:
        element = BaseDataElement(
            metainfo=dict(
                img_id=index,
                img_path=str(self.paths[index]),
                ori_shape=SIZE,
                scale_factor=(0.5, 0.5),
            )
        )
        if self.truth:
            boxes = torch.tensor([BOX]) / 2
            element.gt_instances = InstanceData(bboxes=boxes, labels=torch.tensor([1]))
        return dict(inputs=torch.zeros(1), data_samples=element)


class Finder(BaseModel):
    """Finds the same nut in every photo."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))

    def forward(
        self, inputs: Any, data_samples: Any = None, mode: str = 'tensor'
    ) -> Any:
        if mode == 'loss':
            return dict(loss=self.scale.square().sum())
        for sample in data_samples:
            sample.pred_instances = found(0.9)
        return data_samples


class Count(BaseMetric):
    def process(self, data_batch: Any, data_samples: Any) -> None:
        self.results += data_samples

    def compute_metrics(self, results: list) -> dict[str, float]:
        return dict(count=float(len(results)))


def found(score: float) -> InstanceData:
    return InstanceData(
        bboxes=torch.tensor([BOX]),
        labels=torch.tensor([1]),
        scores=torch.tensor([score]),
    )


def runner(folder: Path, truth: bool = False, epochs: int = 2, **hook: Any) -> Runner:
    def loader() -> dict:
        return dict(
            dataset=Photos(folder, truth),
            batch_size=2,
            num_workers=0,
            sampler=dict(type='DefaultSampler', shuffle=False),
        )

    return Runner(
        Finder(),
        str(folder / 'work'),
        train_dataloader=loader(),
        val_dataloader=loader(),
        test_dataloader=loader(),
        train_cfg=dict(by_epoch=True, max_epochs=epochs),
        val_cfg=dict(),
        test_cfg=dict(),
        val_evaluator=[Count()],
        test_evaluator=[Count()],
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.1)),
        default_hooks=dict(
            visualization=dict(type='DetVisualizationHook', **hook), checkpoint=None
        ),
        default_scope='freeanchor',
        experiment_name=str(folder),
    )


def pictures(run: Runner) -> dict[str, list[str]]:
    """Names of the pictures in each folder."""
    found: dict[str, list[str]] = {}
    for path in sorted((Path(run.log_dir) / 'pictures').rglob('*.*')):
        found.setdefault(path.parent.name, []).append(path.name)
    return found


def test_each_validation_draws_the_first_images(tmp_path):
    run = runner(tmp_path, num_images=3)
    run.train()
    names = ['photo0_0.jpg', 'photo1_1.jpg', 'photo2_2.jpg']
    assert pictures(run) == dict(epoch_1=names, epoch_2=names)


def test_an_interval_leaves_out_validations_but_the_last(tmp_path):
    run = runner(tmp_path, epochs=5, num_images=1, interval=2)
    run.train()
    assert list(pictures(run)) == ['epoch_2', 'epoch_4', 'epoch_5']


def test_validation_alone_builds_no_training(tmp_path):
    run = runner(tmp_path)
    run.val()
    assert list(pictures(run)) == ['val']
    assert len(pictures(run)['val']) == NUM_IMAGES
    assert isinstance(run._train_loop, dict)


def test_a_test_draws_the_first_images(tmp_path):
    run = runner(tmp_path, num_images=2)
    run.test()
    assert pictures(run) == dict(test=['photo0_0.jpg', 'photo1_1.jpg'])


def test_a_folder_of_ones_own_gets_all_images_of_a_test(tmp_path):
    run = runner(tmp_path, num_images=2, show_dir=str(tmp_path / 'shown'))
    run.test()
    assert len(list((tmp_path / 'shown').iterdir())) == NUM_IMAGES
    assert pictures(run) == {}


@pytest.mark.parametrize('off', [dict(draw=False), dict(num_images=0)])
def test_nothing_is_drawn_where_nothing_is_asked_for(tmp_path, off):
    run = runner(tmp_path, **off)
    run.train()
    assert pictures(run) == {}


def test_an_image_that_cannot_be_read_is_named_and_training_goes_on(tmp_path):
    run = runner(tmp_path)
    (tmp_path / 'photo0.png').unlink()
    (tmp_path / 'photo1.png').write_bytes(b'')
    (tmp_path / 'photo2.png').write_bytes(b'no image')
    run.train()
    assert run.epoch == 2
    assert pictures(run)['epoch_2'] == ['photo3_3.jpg', 'photo4_4.jpg']
    log = next(Path(run.log_dir).glob('*.log')).read_text()
    for i in range(3):
        assert f'WARNING - No picture of {tmp_path / f"photo{i}.png"}: ' in log


def sample(folder: Path, truth: bool = False, score: float = 0.9) -> BaseDataElement:
    element = Photos(folder, truth)[0]['data_samples']
    element.pred_instances = found(score)
    return element


def has_box(panel: np.ndarray) -> bool:
    """The last rows of ``panel`` are the photo; its box is that of the class."""
    photo = panel[-SIZE[0] :]
    left, right = photo[45:75, 100:102], photo[45:75, 298:300]
    return all((edge == class_colour(1)).all() for edge in (left, right))


def test_detections_are_drawn_on_the_original_image(tmp_path):
    drawn = draw_sample(sample(tmp_path), ('cell', 'nut'), 0.3)
    assert drawn.shape == (*SIZE, 3)
    assert has_box(drawn)


def test_detections_below_the_threshold_are_not_drawn(tmp_path):
    drawn = draw_sample(sample(tmp_path, score=0.2), ('cell', 'nut'), 0.3)
    assert (drawn == 127).all()


def test_ground_truth_is_scaled_back_to_the_original_image(tmp_path):
    drawn = draw_sample(sample(tmp_path, truth=True), ('cell', 'nut'), 0.3)
    assert has_box(drawn[:, : SIZE[1]])
    assert has_box(drawn[:, -SIZE[1] :])


def test_ground_truth_of_a_flipped_input_is_left_out(tmp_path):
    flipped = sample(tmp_path, truth=True)
    flipped.set_metainfo(dict(flip=True, flip_direction='horizontal'))
    assert draw_sample(flipped, ('cell', 'nut'), 0.3).shape == (*SIZE, 3)


def test_colours_of_the_photo_are_kept(tmp_path):
    element = sample(tmp_path, score=0.0)
    red = np.zeros((*SIZE, 3), np.uint8)
    red[..., 2] = 255  # OpenCV writes blue, green, red
    cv2.imwrite(element.img_path, red)
    assert draw_sample(element, (), 0.3)[0, 0].tolist() == [255, 0, 0]


@pytest.mark.parametrize('annotated', ['upright', 'as stored'])
def test_a_turned_photo_is_drawn_as_it_was_annotated(tmp_path, annotated):
    element = sample(tmp_path, truth=True)
    element.set_metainfo(dict(img_path=str(tmp_path / 'turned.jpg')))
    exif = Image.Exif()
    exif[0x0112] = 6  # a quarter turn to the right makes it upright
    stored = SIZE if annotated == 'as stored' else SIZE[::-1]
    photo = Image.new('RGB', stored[::-1], (127, 127, 127))
    photo.save(element.img_path, exif=exif)
    drawn = draw_sample(element, ('cell', 'nut'), 0.3)
    assert has_box(drawn[:, : SIZE[1]])
    assert has_box(drawn[:, -SIZE[1] :])


@pytest.mark.parametrize(('images', 'processes'), [(8, 3), (1, 2), (0, 2), (5, 1)])
def test_processes_share_the_images(images, processes, monkeypatch):
    shares = []
    for rank in range(processes):
        monkeypatch.setattr(dist, 'get_dist_info', lambda r=rank: (r, processes))
        shares.append(share(images))
    assert sum(shares) == images
    assert max(shares) - min(shares) <= 1


def test_an_interval_of_nothing_is_refused():
    with pytest.raises(ValueError, match='interval is 1 or more, not 0'):
        DetVisualizationHook(interval=0)

"""What ``tools/test.py --out`` writes is read as data, and nothing else is."""

import os
import pickle

import pytest
import torch
from mmengine.evaluator import DumpResults

from freeanchor.engine import ConfigError
from freeanchor.engine.dumped_detections import read_detections


class Command:
    """Runs when it is unpickled."""

    def __reduce__(self):
        return os.mkdir, ('made',)


def test_what_the_metric_writes_comes_back(tmp_path):
    found = dict(bboxes=torch.rand(5, 4), scores=torch.rand(5), labels=torch.arange(5))
    nothing = {name: x[:0] for name, x in found.items()}
    samples = [
        dict(img_id=7, img_path='a/b.png', ori_shape=(96, 128), pred_instances=found),
        dict(img_id='x', img_path='c.png', ori_shape=(9, 8), pred_instances=nothing),
    ]
    metric = DumpResults(str(tmp_path / 'f.pkl'))
    metric.process({}, samples)
    metric.compute_metrics(metric.results)
    read = read_detections(tmp_path / 'f.pkl')
    assert [x['img_id'] for x in read] == [7, 'x']
    assert [x['ori_shape'] for x in read] == [(96, 128), (9, 8)]
    for sample, expected in zip(read, (found, nothing)):
        torch.testing.assert_close(sample['pred_instances'], expected, rtol=0, atol=0)


@pytest.mark.parametrize('place', ['alone', 'in a sample'])
def test_a_command_in_the_file_is_refused_and_not_run(tmp_path, monkeypatch, place):
    monkeypatch.chdir(tmp_path)
    sample = dict(img_id=1, pred_instances=Command())
    content = Command() if place == 'alone' else [sample]
    (tmp_path / 'f.pkl').write_bytes(pickle.dumps(content))
    with pytest.raises(ConfigError, match=r'not read: it holds \S*mkdir'):
        read_detections(tmp_path / 'f.pkl')
    assert not (tmp_path / 'made').exists()


def test_a_command_in_a_tensor_is_refused_and_not_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    storage = torch.storage._load_from_bytes

    class Tensor:
        def __reduce__(self):
            return storage, (pickle.dumps(Command()),)

    content = [dict(img_id=1, pred_instances=Tensor())]
    (tmp_path / 'f.pkl').write_bytes(pickle.dumps(content))
    with pytest.raises(ConfigError, match='not read'):
        read_detections(tmp_path / 'f.pkl')
    assert not (tmp_path / 'made').exists()


@pytest.mark.parametrize(
    ('content', 'says'),
    [
        (b'no pickle', 'damaged'),
        (b'', 'damaged'),
        (pickle.dumps(dict(a=1)), 'no detections'),
        (pickle.dumps([dict(img_id=1)]), 'no detections'),
    ],
)
def test_another_file_is_named(tmp_path, content, says):
    (tmp_path / 'f.pkl').write_bytes(content)
    with pytest.raises(ConfigError, match=rf'f\.pkl.*{says}'):
        read_detections(tmp_path / 'f.pkl')


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r'no file \S*f\.pkl'):
        read_detections(tmp_path / 'f.pkl')

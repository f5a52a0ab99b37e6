import json
import pickle

import pytest

from freeanchor.datasets import CocoDataset, DataError
from freeanchor.registry import DATASETS

from .coco_files import box, write


class _Payload:
    def __init__(self, marker: str) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple:
        return open, (self.marker, 'w')


@pytest.mark.parametrize('name', ['a.pkl', 'a.pickle', 'a.json', 'a.txt'])
@pytest.mark.parametrize('kind', ['BaseDataset', 'CocoDataset'])
def test_a_pickle_is_never_opened(tmp_path, name, kind):
    marker = tmp_path / 'it ran'
    (tmp_path / name).write_bytes(pickle.dumps(_Payload(str(marker))))
    with pytest.raises((DataError, UnicodeDecodeError)):
        DATASETS.build(dict(type=kind, ann_file=name, data_root=str(tmp_path)))
    assert not marker.exists()


def test_yaml_is_no_annotation_file(tmp_path):
    (tmp_path / 'a.yaml').write_text('!!python/object/apply:os.getcwd []')
    with pytest.raises(DataError, match=r'a\.yaml.*\.json files only'):
        DATASETS.build(
            dict(type='BaseDataset', ann_file='a.yaml', data_root=str(tmp_path))
        )


def test_json_is_read_as_ever(tmp_path):
    content = dict(metainfo=dict(classes=['cup']), data_list=[dict(img_path='a.jpg')])
    (tmp_path / 'a.json').write_text(json.dumps(content))
    data = DATASETS.build(
        dict(type='BaseDataset', ann_file='a.json', data_root=str(tmp_path))
    )
    assert len(data) == 1


@pytest.mark.parametrize(
    'name',
    [
        '/etc/passwd',
        '../1.png',
        'a/../../1.png',
        '..',
        'C:\\1.png',
        '\\1.png',
        'a\\..\\b',
    ]
    + ['http://127.0.0.1:9/1.png', 's3://bucket/1.png', 'a\0.png', '', '\ud800.png'],
)
def test_a_file_name_stays_in_the_folder_of_images(tmp_path, name):
    image = dict(id=1, file_name=name, width=80, height=60)
    files = write(tmp_path, [box([5, 5, 9, 9])], images=[image])
    with pytest.raises(DataError, match=r'boxes\.json, image 1.*file_name'):
        CocoDataset(**files)


@pytest.mark.parametrize('name', ['/elsewhere/1.png', '../1.png'])
def test_it_may_leave_the_folder_where_the_config_says_so(tmp_path, name):
    image = dict(id=1, file_name=name, width=80, height=60)
    files = write(tmp_path, [box([5, 5, 9, 9])], images=[image])
    path = CocoDataset(**files, allow_outside=True).get_data_info(0)['img_path']
    assert path.endswith(name)


@pytest.mark.parametrize(
    'name', ['a/b/1.png', 'a..b.png', '...', 'é 图.png', 'a:b.png']
)
def test_usual_and_odd_names_within_the_folder_pass(tmp_path, name):
    image = dict(id=1, file_name=name, width=80, height=60)
    files = write(tmp_path, [box([5, 5, 9, 9])], images=[image])
    assert len(CocoDataset(**files)) == 1

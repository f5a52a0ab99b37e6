"""MMEngine's plain data set, which reads JSON and nothing else."""

from mmengine import dataset

from freeanchor.registry import DATASETS

from .errors import DataError


@DATASETS.register_module()
class BaseDataset(dataset.BaseDataset):
    """MMEngine's, without the formats that can run code: pickle and YAML.

    Raises:
        DataError: ``ann_file`` is not a ``.json`` file.
    """

    def load_data_list(self) -> list[dict]:
        if not self.ann_file.endswith('.json'):
            raise DataError(
                f'{self.ann_file}: annotations are read from .json files only, because '
                'a pickle or YAML file can run code; export them as JSON'
            )
        return super().load_data_list()

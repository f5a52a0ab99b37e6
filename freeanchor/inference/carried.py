"""What a checkpoint says of itself: the config of its run and its classes."""

from typing import Any

from mmengine.config import Config

from freeanchor.engine import ConfigError
from freeanchor.engine.config_check import check_config
from freeanchor.engine.config_text import parse_config_text
from freeanchor.engine.config_vocabulary import CUSTOMARY_VARIABLES

_MEND = 'give the config file of its training as well (config, --config)'


def carried_config(meta: dict[str, Any], name: str) -> Config:
    """The config that a checkpoint carries as text; it is read as data.

    Args:
        meta: Of the checkpoint.
        name: Of the checkpoint, for messages.

    Raises:
        ConfigError: There is none, or it is no config of this package.
    """
    text = meta.get('cfg')
    if text is None:
        raise ConfigError(f'{name} carries no config: {_MEND}.')
    try:
        values = parse_config_text(text)
        imported = values.pop('custom_imports', None)
        cfg = Config({k: x for k, x in values.items() if k not in CUSTOMARY_VARIABLES})
        check_config(cfg)
    except ConfigError as error:
        raise ConfigError(f'the config within {name}: {error} {_MEND}.') from error
    if imported:
        raise ConfigError(
            f'{name} needs code of its own ({imported}), which a checkpoint does not '
            f'get to run: {_MEND}.'
        )
    if not isinstance(cfg.get('model'), dict):
        raise ConfigError(f'the config within {name} has no model: {_MEND}.')
    return cfg


def carried_classes(
    meta: dict[str, Any], cfg: Config, num_classes: int
) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Names of the classes, and their category ids in COCO files.

    They are the checkpoint's (``dataset_meta``), else those that the config's test
    data set names, else numbers. Ids that nothing tells are 1, 2, ...

    Args:
        meta: Of the checkpoint.
        cfg: Of its training.
        num_classes: Of the model's head.
    """
    known = meta.get('dataset_meta') or {}
    names = known.get('classes') or known.get('CLASSES') or meta.get('CLASSES')
    names = names or _configured(cfg.get('test_dataloader')) or ()
    if len(names) != num_classes:
        names = range(num_classes)
    ids = known.get('cat_ids', ())
    if len(ids) != num_classes:
        ids = range(1, num_classes + 1)
    return tuple(map(str, names)), tuple(map(int, ids))


def _configured(dataloader: Any) -> Any:
    dataset = (dataloader or {}).get('dataset') or {}
    return (dataset.get('metainfo') or {}).get('classes')

"""Registries: the names that may stand behind ``type=`` in a config.

Each is a child of MMEngine's registry of the same kind, so the classes of
MMEngine and MMCV (``CheckpointHook``, ``LoadImageFromFile``, ...) resolve too.
"""

import sys
from typing import Any

from mmengine import registry as mmengine
from mmengine.registry import DefaultScope

SCOPE = 'freeanchor'


def known_types(registry: mmengine.Registry | None) -> dict[str, Any]:
    """The names that a registry resolves, those of its parents included."""
    known: dict[str, Any] = {}
    while registry is not None:
        registry.import_from_location()
        known = {**registry.module_dict, **known}
        registry = registry.parent
    return known


def knows_scope(scope: str) -> bool:
    """Whether a project of that name has put registries beside ours."""
    return mmengine.MODELS._search_child(scope) is not None


def find_registered(registry: mmengine.Registry, key: str) -> Any | None:
    """What ``key`` names in a registry; None where nothing is registered.

    Args:
        registry: Where to look, in its parents too.
        key: A name, one with its scope (``mmengine.EMAHook``), or the full path
            of a registered class. Nothing is imported in search of it.
    """
    known = known_types(registry)
    if '.' not in key:
        return known.get(key)
    scope, _, name = key.partition('.')
    other = registry._get_root_registry()._search_child(scope)
    if other is not None and name in known_types(other):
        return known_types(other)[name]
    module, _, name = key.rpartition('.')
    loaded = vars(sys.modules[module]).get(name) if module in sys.modules else None
    return loaded if any(loaded is x for x in known.values()) else None


class ClosedRegistry(mmengine.Registry):
    """A registry that holds what was registered and resolves to nothing else.

    MMEngine imports a name that is not registered, whatever it is: a config
    with ``type='os.system'`` would run a command.
    """

    def get(self, key: str) -> Any | None:
        return find_registered(self, key)


class Registry(ClosedRegistry):
    """A registry that always resolves in our own scope first.

    MMEngine looks a name up in the *default* scope, whichever registry is
    asked. With another project's scope set, ``MODELS.build(dict(type='ResNet'))``
    would build that project's ResNet.
    """

    def build(self, cfg: dict, *args: Any, **kwargs: Any) -> Any:
        with DefaultScope.overwrite_default_scope(SCOPE):
            return super().build(cfg, *args, **kwargs)


def _child(kind: str, parent: mmengine.Registry, *packages: str) -> Registry:
    locations = [f'freeanchor.{package}' for package in packages]
    return Registry(kind, scope=SCOPE, parent=parent, locations=locations)


MODELS = _child('model', mmengine.MODELS, 'models', 'losses')
WEIGHT_INITIALIZERS = _child(
    'weight initializer', mmengine.WEIGHT_INITIALIZERS, 'engine'
)
TASK_UTILS = _child('task util', mmengine.TASK_UTILS, 'boxes')
DATASETS = _child('dataset', mmengine.DATASETS, 'datasets')
DATA_SAMPLERS = _child('data sampler', mmengine.DATA_SAMPLERS, 'datasets')
TRANSFORMS = _child('transform', mmengine.TRANSFORMS, 'datasets')
METRICS = _child('metric', mmengine.METRICS, 'evaluation')
HOOKS = _child('hook', mmengine.HOOKS, 'engine', 'visualization')
LOOPS = _child('loop', mmengine.LOOPS, 'engine')
VISUALIZERS = _child('visualizer', mmengine.VISUALIZERS, 'visualization')
OPTIM_WRAPPERS = _child('optimizer wrapper', mmengine.OPTIM_WRAPPERS, 'engine')
# A runner sets the default scope for good, which our build() would take back.
RUNNERS = ClosedRegistry(
    'runner', scope=SCOPE, parent=mmengine.RUNNERS, locations=['freeanchor.engine']
)

# MMEngine warns of every kind of object that a scope has no registry for. These
# hold nothing of ours; a project's own optimizer may be put in them.
EVALUATOR = _child('evaluator', mmengine.EVALUATOR)
FUNCTIONS = _child('function', mmengine.FUNCTIONS)
INFERENCERS = _child('inferencer', mmengine.INFERENCERS)
LOG_PROCESSORS = _child('log processor', mmengine.LOG_PROCESSORS)
MODEL_WRAPPERS = _child('model wrapper', mmengine.MODEL_WRAPPERS)
OPTIM_WRAPPER_CONSTRUCTORS = _child(
    'optimizer wrapper constructor', mmengine.OPTIM_WRAPPER_CONSTRUCTORS
)
OPTIMIZERS = _child('optimizer', mmengine.OPTIMIZERS)
PARAM_SCHEDULERS = _child('parameter scheduler', mmengine.PARAM_SCHEDULERS)
RUNNER_CONSTRUCTORS = _child('runner constructor', mmengine.RUNNER_CONSTRUCTORS)
STRATEGIES = _child('strategy', mmengine.STRATEGIES)
VISBACKENDS = _child('visualization backend', mmengine.VISBACKENDS, 'engine')

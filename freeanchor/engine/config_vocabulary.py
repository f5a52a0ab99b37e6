"""What MMEngine's runner reads from a config: keys, registries, plain arguments."""

import inspect
from collections.abc import Callable
from typing import Any

import mmengine.registry
from mmengine.dist import init_dist
from mmengine.registry import Registry
from mmengine.runner import Runner
from mmengine.utils.dl_utils import set_multi_processing
from torch import distributed
from torch.nn.utils import clip_grad_norm_, clip_grad_value_
from torch.utils.data import DataLoader

import freeanchor.registry


def registry_of(name: str) -> Registry:
    """Our registry of that name, or MMEngine's where we have none."""
    default = getattr(mmengine.registry, name)
    return getattr(freeanchor.registry, name, default)


def _arguments(*functions: Callable[..., Any]) -> set[str]:
    names = {name for f in functions for name in inspect.signature(f).parameters}
    return names - {'self', 'kwargs', 'distributed'}


# Keys at the top of a config that something reads.
TOP_KEYS = frozenset(_arguments(Runner.__init__) - {'cfg'}) | {
    'activation_checkpointing',
    'compile',
    'custom_imports',
    'efficient_conv_bn_eval',
    'find_unused_parameters',
    'model_wrapper_cfg',
    'runner_type',
    'sync_bn',
    'tta_model',
    'tta_pipeline',
}

# Variables that configs of this family share by custom. They stand in dumped
# configs too, where nothing shows any longer what they were good for.
CUSTOMARY_VARIABLES = frozenset(
    [
        'backend_args',
        'classes',
        'data_root',
        'dataset_type',
        'metainfo',
        'test_pipeline',
        'train_pipeline',
        'val_pipeline',
    ]
)

# Where a dict with a ``type`` is looked up, by the key it stands under. Below
# other keys, in the registry of the dict around it.
REGISTRY_NAMES = {
    'model': 'MODELS',
    'tta_model': 'MODELS',
    'data_preprocessor': 'MODELS',
    'init_cfg': 'WEIGHT_INITIALIZERS',
    'anchor_generator': 'TASK_UTILS',
    'bbox_coder': 'TASK_UTILS',
    'dataset': 'DATASETS',
    'datasets': 'DATASETS',
    'pipeline': 'TRANSFORMS',
    'tta_pipeline': 'TRANSFORMS',
    'transforms': 'TRANSFORMS',
    'sampler': 'DATA_SAMPLERS',
    'batch_sampler': 'DATA_SAMPLERS',
    'collate_fn': 'FUNCTIONS',
    'worker_init_fn': 'FUNCTIONS',
    'auto_wrap_policy': 'FUNCTIONS',
    'param_init_fn': 'FUNCTIONS',
    'default_hooks': 'HOOKS',
    'custom_hooks': 'HOOKS',
    'optim_wrapper': 'OPTIM_WRAPPERS',
    'optimizer': 'OPTIMIZERS',
    'param_scheduler': 'PARAM_SCHEDULERS',
    'val_evaluator': 'METRICS',
    'test_evaluator': 'METRICS',
    'visualizer': 'VISUALIZERS',
    'vis_backends': 'VISBACKENDS',
    'log_processor': 'LOG_PROCESSORS',
    'model_wrapper_cfg': 'MODEL_WRAPPERS',
}
# The same for keys that mean it at the top only: a model has a ``test_cfg`` too.
TOP_REGISTRY_NAMES = {'train_cfg': 'LOOPS', 'val_cfg': 'LOOPS', 'test_cfg': 'LOOPS'}

# Arguments that are a ``type`` under another name, where they are no dicts.
TYPE_ARGUMENTS = {
    'auto_wrap_policy': 'FUNCTIONS',
    'constructor': 'OPTIM_WRAPPER_CONSTRUCTORS',
    'ema_type': 'MODELS',
    'param_init_fn': 'FUNCTIONS',
    'resize_type': 'TRANSFORMS',
    'runner_type': 'RUNNERS',
}

# Read as this class where no ``type`` is given.
DEFAULT_TYPES = {
    'val_cfg': 'ValLoop',
    'test_cfg': 'TestLoop',
    'optim_wrapper': 'OptimWrapper',
    'log_processor': 'LogProcessor',
    'model_wrapper_cfg': 'MMDistributedDataParallel',
}

# Keys that MMEngine takes out before it calls the class.
EXTRA_ARGUMENTS = {
    'optim_wrapper': {'constructor', 'paramwise_cfg'},
    'param_scheduler': {'convert_to_iter_based'},
    'default_hooks': {'priority'},
    'custom_hooks': {'priority'},
    'train_cfg': {'by_epoch'},
    'norm_cfg': {'requires_grad'},
    'init_cfg': {'override'},
    'override': {'name'},
}

# A dict under one of these keys is nothing without a ``type``.
NEED_TYPE = frozenset(
    [
        'model',
        'backbone',
        'neck',
        'bbox_head',
        'loss',
        'dataset',
        'datasets',
        'sampler',
        'batch_sampler',
        'pipeline',
        'optimizer',
        'custom_hooks',
        'default_hooks',
        'vis_backends',
    ]
)

DATALOADER_KEYS = _arguments(DataLoader.__init__) | {
    'dataset',
    'num_batch_per_epoch',
    'disable_subprocess_warning',
}
# Arguments of dicts that have no ``type``.
PLAIN_ARGUMENTS: dict[str, set[str]] = {
    'train_dataloader': DATALOADER_KEYS,
    'val_dataloader': DATALOADER_KEYS,
    'test_dataloader': DATALOADER_KEYS,
    'env_cfg': {'cudnn_benchmark', 'mp_cfg', 'dist_cfg', 'resource_limit'},
    'mp_cfg': _arguments(set_multi_processing),
    'dist_cfg': _arguments(init_dist, distributed.init_process_group)
    - {'launcher', 'rank', 'world_size', 'store'}
    | {'port'},
    'randomness': _arguments(Runner.set_randomness),
    'auto_scale_lr': {'enable', 'base_batch_size'},
    'custom_imports': {'imports', 'allow_failed_imports'},
    'clip_grad': _arguments(clip_grad_norm_, clip_grad_value_) - {'parameters'}
    | {'type'},
}

# Not looked into: free-form, or with a ``type`` that names no class.
OPAQUE = frozenset(
    [
        'backend_args',
        'clip_grad',
        'custom_imports',
        'data_prefix',
        'file_handler_cfg',
        'metainfo',
        'paramwise_cfg',
    ]
)

# Hooks that MMEngine's runner always has, under these names.
DEFAULT_HOOKS = frozenset(
    [
        'checkpoint',
        'logger',
        'param_scheduler',
        'runtime_info',
        'sampler_seed',
        'timer',
        'visualization',
        'class_check',
        'summary',
    ]
)

"""No config, of whatever kind, names what was not registered."""

import pytest

from freeanchor.engine import ConfigError
from freeanchor.engine.config_check import check_config

NOT_REGISTERED = [
    dict(custom_hooks=[dict(type='os.system', command='true')]),
    dict(custom_hooks=[dict(type='subprocess.Popen', args=['true'])]),
    dict(custom_hooks=[dict(type='antigravity')]),
    dict(custom_hooks=[dict(type='EMAHook', ema_type='os.system')]),
    dict(default_hooks=dict(timer=dict(type='os.system', command='true'))),
    dict(model=dict(type='mmengine.model.BaseModel')),
    dict(model=dict(type='no_such.Module')),
    dict(model=dict(type='SingleStageDetector', neck=dict(type='builtins.exec'))),
    dict(custom_hooks=[dict(type='EMAHook', x=[[dict(y=dict(type='os.system'))]])]),
    dict(optim_wrapper=dict(constructor='os.system')),
    dict(train_dataloader=dict(collate_fn=dict(type='os.system'))),
    dict(train_dataloader=dict(worker_init_fn=dict(type='os.system'))),
    dict(train_dataloader=dict(batch_sampler=dict(type='os.system'))),
    dict(model_wrapper_cfg=dict(type='os.system')),
    *(
        dict(model_wrapper_cfg=dict(type='MMFullyShardedDataParallel', **{key: value}))
        for key in ('auto_wrap_policy', 'param_init_fn')
        # The last is registered, but not as a function: MMEngine would import it.
        for value in ('os.system', 'antigravity', dict(type='os.system'), 'SGD')
    ),
    dict(train_dataloader=dict(collate_fn=dict(type='SGD'))),
    dict(train_cfg=dict(type='os.system')),
    dict(runner_type='os.system'),
    dict(val_evaluator=dict(type='os.system')),
    dict(visualizer=dict(type='Visualizer', vis_backends=[dict(type='os.system')])),
    dict(default_scope='antigravity'),
    dict(custom_hooks=[dict(type='EMAHook', _scope_='antigravity')]),
    dict(custom_hooks=[dict(type=['os.system'])]),
    dict(custom_hooks=[dict(type='EMAHook', resize_type='os.system')]),
    dict(custom_hooks=[dict(type='EMAHook', some_type='os.system')]),
]


@pytest.mark.parametrize('cfg', NOT_REGISTERED)
def test_what_is_not_registered_is_refused_and_not_imported(cfg, monkeypatch):
    def imported(name: str, package: str | None = None) -> None:
        raise AssertionError(f'{name} was imported')

    monkeypatch.setattr('mmengine.utils.misc.import_module', imported)
    reasons = 'is registered|has been imported|is called|is no name of a class'
    with pytest.raises(ConfigError, match=reasons) as caught:
        check_config(cfg)
    assert '\n' not in str(caught.value)


@pytest.mark.parametrize(
    'policy', ['pseudo_collate', dict(type='mmengine.dataset.pseudo_collate'), list]
)
def test_a_registered_function_or_one_from_python_is_accepted(policy):
    wrapper = dict(type='MMFullyShardedDataParallel', auto_wrap_policy=policy)
    check_config(dict(model_wrapper_cfg=wrapper))

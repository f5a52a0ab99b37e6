"""As default.py, for training that is counted in iterations."""

_base_ = 'default.py'

default_hooks = dict(checkpoint=dict(by_epoch=False, interval=2500))
log_processor = dict(by_epoch=False)

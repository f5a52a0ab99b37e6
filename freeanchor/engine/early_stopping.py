"""Early stopping that remembers, in a resumed run, how long it has waited."""

from typing import Any

from mmengine import hooks

from freeanchor.registry import HOOKS


@HOOKS.register_module()
class EarlyStoppingHook(hooks.EarlyStoppingHook):
    """MMEngine's, with a state. Arguments are those of MMEngine's."""

    def state_dict(self) -> dict[str, Any]:
        return dict(wait_count=self.wait_count, best_score=float(self.best_score))

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.wait_count = state['wait_count']
        self.best_score = state['best_score']

"""Where in its data a run is, and what is to be done before the next step."""

from typing import Any

from .random_state import set_random_state


class Position:
    """The place of a training loop between two steps.

    Attributes:
        batch: Batches done of this epoch, or of this pass through the data.
        passes: Passes through the data that an iteration-based loop has done.
        validation_due: A validation comes before the next step.
        random: State of the random generators to set before the next thing that
            draws from them; None once that is done.
        before_validation: Their state when the validation began that is under
            way; it is what is to be saved, and what training goes on with.
    """

    def __init__(self) -> None:
        self.batch = 0
        self.passes = 0
        self.validation_due = False
        self.random: dict[str, Any] | None = None
        self.before_validation: dict[str, Any] | None = None

    def restore_random(self) -> None:
        """Set the generators as they were when the state was saved, once."""
        if self.random is not None:
            set_random_state(self.random)
            self.random = None

    def state(self) -> dict[str, Any]:
        """What :meth:`load` takes; random generators are saved by process."""
        return dict(
            batch=self.batch, passes=self.passes, validation_due=self.validation_due
        )

    def load(self, state: dict[str, Any], samples: int) -> None:
        """Go to the place of ``state``, counted in samples.

        Args:
            state: What :meth:`state` gave, and ``samples`` of an iteration then.
            samples: Samples of an iteration over all processes now.
        """
        self.batch = state['batch'] * state['samples'] // samples
        self.passes = state['passes']
        self.validation_due = state['validation_due']

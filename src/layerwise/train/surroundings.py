"""What surrounds a training in its process: set to what training needs, and put back at its end."""

from __future__ import annotations

import os
import random
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from layerwise.models.random_numbers import TRAINING

_PRECISION = "ACCELERATE_MIXED_PRECISION"


@contextmanager
def own_surroundings() -> Iterator[None]:
    """Gradients, float32 by default, and random numbers of one's own; other threads wait until it is over.

    What `accelerate launch --mixed_precision` says is set aside: the precision is that of the settings.
    """
    begun = torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
    used = [torch.cuda.current_device()] if begun else []
    with TRAINING, torch.inference_mode(False), torch.enable_grad(), torch.random.fork_rng(used):
        python, numpy = random.getstate(), np.random.get_state()
        dtype, precision = torch.get_default_dtype(), os.environ.pop(_PRECISION, None)
        states = _set_accelerate({})
        torch.set_default_dtype(torch.float32)
        try:
            yield
        finally:
            random.setstate(python)
            np.random.set_state(numpy)
            torch.set_default_dtype(dtype)
            _set_accelerate(states)
            if precision is not None:
                os.environ[_PRECISION] = precision


def _set_accelerate(states: dict[Any, dict[str, Any]]) -> dict[Any, dict[str, Any]]:
    """Set what accelerate keeps of a process, and return what it was: device and precision would count in what follows.

    Of processes that are connected it stays.
    """
    module = sys.modules.get("accelerate.state")
    if module is None or (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return {}
    found = {}
    for one in (module.PartialState, module.AcceleratorState, module.GradientState):
        found[one] = dict(one._shared_state)
        one._shared_state.clear()
        one._shared_state.update(states.get(one, {}))
    return found

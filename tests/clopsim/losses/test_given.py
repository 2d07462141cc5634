"""What is no tensor is refused in a sentence by every loss."""

import numpy as np
import pytest
import torch

from clopsim.losses import LOSSES


@pytest.mark.parametrize("name", LOSSES)
def test_lists_and_arrays_are_refused_in_a_sentence(name):
    first, second = torch.eye(6, 4), torch.ones(6, 4)
    loss = LOSSES[name].loss
    with pytest.raises(ValueError, match="^first must be a tensor, got list; torch.as_tensor makes one"):
        loss(first.tolist(), second.tolist(), torch.zeros(6, dtype=torch.long))
    with pytest.raises(ValueError, match="must be a tensor, got ndarray; torch.as_tensor makes one"):
        loss(np.eye(6, 4), np.ones((6, 4)), torch.zeros(6, dtype=torch.long))
    with pytest.raises(ValueError, match="^labels must be a tensor, got list"):
        loss(first, second, [0, 1] * 3)

"""One thread: the same numbers on every machine, and no fight over cores."""

import torch

torch.set_num_threads(1)

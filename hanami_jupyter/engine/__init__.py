"""The network engine: clusters that grow while they train, on plain arrays and compiled loops."""

from .cluster import Cluster, Control, warm_up
from .single import Single

__all__ = ["Cluster", "Control", "Single", "warm_up"]

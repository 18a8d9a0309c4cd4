"""What a part of the package needs beyond its own requirements, in one sentence."""

from __future__ import annotations

DASK = "Dask workers need the package 'distributed'. Install it with: pip install 'hanami-jupyter[dask]'."

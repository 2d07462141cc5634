"""Pieces of a dataset."""

import numpy as np
import xarray as xr

from clopsim.show.slabs import slabs


def test_slabs_cover_the_rates(monkeypatch):
    monkeypatch.setattr("clopsim.show.slabs.SLAB", 7)
    for seeds, count in ((3, 2), (7, 1), (50, 1)):
        dataset = xr.Dataset(coords={"rate": np.arange(5.0), "seed": np.arange(seeds)})
        parts = [dataset["rate"][part].values for part in slabs(dataset)]
        assert max(map(len, parts)) == count
        np.testing.assert_array_equal(np.concatenate(parts), np.arange(5.0))

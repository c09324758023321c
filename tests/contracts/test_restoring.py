"""What is put back into a place stays in it, whatever an agent has put in the place of a folder."""

from __future__ import annotations

import pytest

from gluerun.adapters.files import DiskFiles
from gluerun.core.steps import Restore
from gluerun.loop.bench import Bench
from gluerun.loop.house import House
from gluerun.records.record import replace
from gluerun.testing import SimHouse


@pytest.mark.parametrize("instead", ["link", "file", "nothing"])
def test_a_test_that_is_put_back_never_leaves_the_work_tree(tmp_path, instead):
    sim = SimHouse().given("TASK-0001")
    sim.colleague("tests/deep/test_a.py", "as it was")
    sim.cycle(work=False)
    house = sim.open()
    dispatch = house.store.dispatch(sim.lease("TASK-0001").run_id)
    real = House(replace(house.doors, root=str(tmp_path / "root"), at=DiskFiles), house.config)
    place, outside = tmp_path / "root" / ".worktrees" / "TASK-0001", tmp_path / "outside"
    place.mkdir(parents=True)
    (outside / "deep").mkdir(parents=True)
    if instead == "link":
        (place / "tests").symlink_to(outside)
    elif instead == "file":
        (place / "tests").write_text("no folder")

    Bench(real, dispatch).act(1, Restore(attempt=1, commit=dispatch.base_sha, paths=("tests/deep/test_a.py",)))

    assert (place / "tests/deep/test_a.py").read_text() == "as it was"
    assert [path for path in outside.rglob("*") if path.is_file()] == []

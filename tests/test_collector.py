from __future__ import annotations

import gc

from idealfit.collector import collector_paused


def test_nothing_is_collected_inside_and_what_was_made_counts_as_old_afterwards() -> None:
    assert gc.isenabled()
    with collector_paused():
        assert not gc.isenabled()
        made = [[index] for index in range(5000)]
    assert gc.isenabled()
    old = {id(each) for each in gc.get_objects(generation=2)}
    assert id(made) in old
    assert gc.get_freeze_count() == 0


def test_a_collector_that_is_off_stays_off_and_what_is_frozen_stays_frozen() -> None:
    gc.freeze()
    try:
        with collector_paused():
            pass
        assert gc.get_freeze_count() > 1000
        gc.disable()
        with collector_paused():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()
        gc.unfreeze()

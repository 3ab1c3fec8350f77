"""Exports never take each other's place."""

import re

from tasks.exporting import new_export_name


def test_exports_of_one_second_have_names_of_their_own_that_sort_by_time() -> None:
    names = {new_export_name() for _ in range(50)}
    assert len(names) == 50
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\d-\d{6}-[0-9a-f]{6}", name) for name in names)

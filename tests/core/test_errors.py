from __future__ import annotations

import inspect
import re

from geoprose.core import errors


def test_the_drawn_tree_is_the_real_tree() -> None:
    drawn = dict(re.findall(r"^[ |`-]*(\w+) +exit (\d)", errors.__doc__ or "", flags=re.MULTILINE))
    real = {
        name: str(item.exit_code)
        for name, item in inspect.getmembers(errors, inspect.isclass)
        if issubclass(item, errors.GeoproseError)
    }
    assert drawn == real


def test_user_faults_are_value_errors() -> None:
    for kind in (errors.ConfigError, errors.InputError):
        assert issubclass(kind, ValueError)

"""What type checkers read of a signature is what the function takes."""

import inspect
import typing

import kernalign as ka
import pytest
from kernalign._rows.options import Options as Shared
from kernalign.comparison.typed import Options
from kernalign.inference.permutation import _Keywords


@pytest.mark.parametrize(
    "function, keywords", [(ka.compare, Options), (ka.permutation_test, _Keywords)], ids=["compare", "permutation_test"]
)
def test_overloads_take_the_keywords_of_the_function(function, keywords) -> None:
    parameters = inspect.signature(function).parameters
    taken = {name: one.annotation for name, one in parameters.items() if one.kind is one.KEYWORD_ONLY}
    if "options" in parameters:
        taken |= inspect.get_annotations(Shared)
    declared = {
        name: getattr(kind, "__forward_arg__", kind) for name, kind in inspect.get_annotations(keywords).items()
    }
    taken = {name: getattr(kind, "__forward_arg__", kind) for name, kind in taken.items() if name != "layers"}
    assert declared == taken
    assert typing.get_overloads(function)

"""The tree in the docstring of `errors` is the tree of its classes."""

import inspect
import re

from contrasim_core import errors

CLASSES = {
    name: item for name, item in vars(errors).items() if inspect.isclass(item) and item.__module__ == errors.__name__
}


def tree(docstring):
    """Parent of each class, read from the drawing: indentation says which one."""
    parents, stack = {}, []
    for line in docstring.splitlines():
        match = re.match(r"^(?P<indent>[│├└─\s]*)(?P<name>[A-Z]\w+)(\s|$)", line)
        if match and match["name"] in CLASSES:
            depth = len(match["indent"])
            stack = [(level, name) for level, name in stack if level < depth]
            parents[match["name"]] = stack[-1][1] if stack else None
            stack.append((depth, match["name"]))
    return parents


def test_docstring_lists_every_class():
    assert set(tree(errors.__doc__)) == set(CLASSES)


def test_docstring_draws_the_inheritance():
    for name, parent in tree(errors.__doc__).items():
        if parent is not None:
            assert CLASSES[parent] in CLASSES[name].__bases__, f"{name} is drawn under {parent}"


def test_guard_sees_a_class_that_is_not_drawn():
    assert "LayerError" not in tree(errors.__doc__.replace("LayerError", "OtherName"))


def test_everything_for_the_user_has_one_root():
    for name, item in CLASSES.items():
        assert issubclass(item, errors.ContraSimError | errors.ContraSimWarning), name
        assert item.__doc__, name


def test_wrong_options_are_value_errors_too():
    assert issubclass(errors.SpecError, ValueError) and issubclass(errors.RepresentationError, ValueError)
    assert not issubclass(errors.StoreError, ValueError)

"""The content of a study file, changed for a test."""

import copy


def with_value(base, path, value):
    """A copy of the content with another value at a path of keys."""
    content = copy.deepcopy(base)
    place = content
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return content

"""A user's matplotlib style file, read as data: settings of a list, and each within bounds.

Matplotlib itself would take more from such a file than a look: programs of TeX, paths, expressions
that it evaluates. Study files of strangers are to run nothing, so none of that is among them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from finitewidth.core.errors import ConfigError, describe, meant, one_of
from finitewidth.core.files import MISSING, unreadable

#: Bytes of a style file at most.
_LONGEST = 2**16
#: Numbers of settings at most; none is below 0.
_MOST = 100.0
#: Dots an inch: fewer cannot be read, and more fill the memory.
_DPI = (50.0, 1200.0)
#: Points of a font, from what can just be read to what fills a slide.
FONT_SIZES = (4.0, 40.0)


def _allowed() -> Iterator[str]:
    axes = "edgecolor facecolor grid grid.axis labelcolor labelpad labelsize labelweight linewidth"
    axes += " titlecolor titlepad titlesize titleweight axisbelow unicode_minus"
    legend = "borderaxespad borderpad columnspacing edgecolor facecolor fancybox fontsize"
    legend += " framealpha frameon handlelength handletextpad labelcolor labelspacing"
    legend += " title_fontsize"
    ticks = "color direction labelcolor labelsize"
    for prefix, names in {
        "axes": axes,
        "axes.spines": "bottom left right top",
        "figure": "facecolor",
        "font": "family size style weight",
        "grid": "alpha color linestyle linewidth",
        "legend": legend,
        "lines": "linewidth",
        "mathtext": "fontset",
        "pdf": "fonttype",
        "savefig": "dpi",
        "svg": "fonttype",
        "text": "color",
        **{f"{axis}tick": ticks for axis in "xy"},
        **{f"{axis}tick.{kind}": "pad size width" for axis in "xy" for kind in ("major", "minor")},
        "xtick.minor": "pad size width visible",
        "ytick.minor": "pad size width visible",
    }.items():
        yield from (f"{prefix}.{name}" for name in names.split())


#: What a style file may set.
ALLOWED = tuple(sorted(_allowed()))
#: Of which matplotlib would take more than words of its own.
_WORDS = {
    "grid.linestyle": ("-", "--", "-.", ":"),
    "mathtext.fontset": ("dejavusans", "dejavuserif", "cm", "stix", "stixsans"),
}


def read_style(path: str | Path, key: str = "style.file") -> dict:
    """The settings of a style file, as values that ``matplotlib.rcParams`` takes.

    A line is ``name: value``, with a comment after ``#``; a value may stand in double quotes, as a
    colour with a ``#`` has to. ``key`` is the key of the study file that names the file.

    Raises
    ------
    ConfigError
        In one sentence, where the file cannot be read, or sets what is not allowed.
    """
    settings: dict = {}
    for number, line in enumerate(_text(path, key).splitlines(), start=1):
        line = _without_comment(line)
        if not line:
            continue
        place = f"{key}, {Path(path).name} line {number}"
        name, colon, value = (part.strip() for part in line.partition(":"))
        if not colon:
            raise _refused(place, line, "name: value")
        if name not in ALLOWED:
            hint = f" ({hint})" if (hint := meant(name, ALLOWED)) else ""
            raise ConfigError(
                f"config key {place}: given {name}{hint}, allowed are settings of the look alone,"
                " which config/README.md lists"
            )
        if name in settings:
            raise _refused(place, name, "each setting once")
        settings[name] = _value(place, name, value)
    return settings


def _text(path: str | Path, key: str) -> str:
    problem = unreadable(path)
    if problem:
        allowed = (
            "an existing file" if problem == MISSING else f"a file that can be read ({problem})"
        )
        raise ConfigError.at(key, str(path), allowed)
    with open(path, "rb") as file:
        content = file.read(_LONGEST + 1)
    if len(content) > _LONGEST:
        raise ConfigError.at(key, str(path), f"a file of at most {_LONGEST} bytes")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ConfigError.at(key, str(path), "a text file in UTF-8") from None


def _without_comment(line: str) -> str:
    """A line up to its comment, a value in double quotes kept whole."""
    kept = re.match(r'(?:[^"#]|"[^"]*")*', line)
    return kept[0].strip() if kept else ""


def _value(place: str, name: str, text: str) -> object:
    """A value, checked by matplotlib's own rules and by ours."""
    # Reading a study file without a style of its own is to stay light.
    import matplotlib as mpl

    text = text[1:-1] if len(text) > 1 and text[0] == text[-1] == '"' else text
    if name in _WORDS and text not in _WORDS[name]:
        raise _refused(place, text, one_of(_WORDS[name]))
    if "/" in text or "\\" in text:
        raise _refused(place, text, "no path")
    try:
        (value,) = mpl.RcParams({name: text}).values()
    except (ValueError, TypeError) as error:
        raise _refused(place, text, f"a value of {name} ({error})") from None
    least, most = _bounds(name)
    number = isinstance(value, float | int)
    if not least <= value <= most if number else name == "savefig.dpi":
        raise _refused(place, text, f"a number from {least:g} to {most:g}")
    if name == "font.family":
        _check_fonts(place, value)
    return value


def _refused(place: str, text: str, allowed: str) -> ConfigError:
    return ConfigError(
        f"config key {place}: given {describe(text, hint=False)}, allowed is {allowed}"
    )


def _bounds(name: str) -> tuple[float, float]:
    """The least and the largest number that a setting may be."""
    if name == "savefig.dpi":
        return _DPI
    if name.endswith("weight"):
        return 0.0, 1000.0
    return (
        FONT_SIZES
        if name.endswith(("labelsize", "titlesize", "fontsize", "font.size"))
        else (0.0, _MOST)
    )


def _check_fonts(place: str, families: list[str]) -> None:
    """Raise where a family of fonts is not installed, in place of which others would be drawn."""
    from matplotlib import font_manager

    for family in families or [""]:
        try:
            font_manager.findfont(family or "none", fallback_to_default=False)
        except ValueError:
            allowed = "fonts that are installed here, serif, sans-serif or monospace"
            raise _refused(place, family, allowed) from None

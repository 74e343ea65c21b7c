"""The model of a study file: every key, its type, and in words what it allows."""

from __future__ import annotations

from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import AfterValidator, Field

from finitewidth.config.model_ensemble import Ensemble
from finitewidth.config.model_published import Published
from finitewidth.config.model_trained import DataSet, Trained
from finitewidth.config.style_file import FONT_SIZES
from finitewidth.core.fields import Line, Lines, Model, Name, Place, Real, RunName, distinct, key
from finitewidth.core.places import RUN_NAMES
from finitewidth.data.inputs import KINDS
from finitewidth.data.kinds.kind import Kind
from finitewidth.quantities.vocabulary import FIGURES, QUANTITIES

#: What a GPU can be had for: networks sampled without and with tangent kernels, and the stages of
#: trained ones.
TASKS = ("sample", "ntk", "train", "measure", "generate")

if TYPE_CHECKING:
    # Literals of names that are known at run time only are more than mypy can take.
    Task = str
    QuantityName = str
    FigureName = str
    Inputs = Kind
else:
    Task = Literal[TASKS]
    QuantityName = Literal[QUANTITIES]
    FigureName = Literal[tuple(FIGURES)]
    #: An entry of ``inputs``, of any kind.
    Inputs = Annotated[
        reduce(or_, (kind.Inputs for kind in KINDS.values())), Field(discriminator="kind")
    ]


class Style(Model):
    """How figures look, besides what the project sets."""

    width: Annotated[Real, Field(ge=2, le=40)] | None = key(
        "a number from 2 to 40: inches that a figure is wide, at the same ratio of width to height"
        " (as many as its panels take where left out)",
        None,
    )
    font_size: Annotated[Real, Field(ge=FONT_SIZES[0], le=FONT_SIZES[1])] | None = key(
        f"a number from {FONT_SIZES[0]:g} to {FONT_SIZES[1]:g}: points of the text of axes; all"
        " other text is smaller or larger in the same ratios (9 where left out)",
        None,
    )
    file: Place | None = key(
        "the path of a matplotlib style file, without braces; width and font_size go before it",
        None,
    )


class Study(Model):
    """One claim: a table and its figures."""

    title: Line | None = key("a line of text, at most 300 characters", None)
    ensembles: Annotated[list[str], AfterValidator(distinct)] | None = key(
        "a list of different names of the config's ensembles; one of ensembles and trained has to"
        " be given",
        None,
    )
    trained: Annotated[list[str], AfterValidator(distinct)] | None = key(
        "a list of different names of the config's trained networks", None
    )
    quantities: Annotated[list[QuantityName], AfterValidator(distinct)] | None = key(
        f"a list of different ones of {', '.join(QUANTITIES)} (everything estimated where left"
        " out, but spectra and curves of trained networks): the rows of the table",
        None,
    )
    figures: Annotated[list[FigureName], AfterValidator(distinct)] | None = key(
        f"a list of different ones of {', '.join(FIGURES)}", None
    )
    published: Annotated[list[Published], Field(min_length=1)] | None = key(
        "a list of {source: , numbers: }: published numbers, which stand in the table as an order"
        " of that name",
        None,
    )
    style: Style | None = key(
        "{width: , font_size: , file: }: how its figures look (the file's style where left out)",
        None,
    )


class Config(Model):
    """A study file."""

    run: RunName | None = key(
        f"{RUN_NAMES}: results stand in results/runs/<name>/, those of default in results/ itself"
        " (where left out, the study file names the run)",
        None,
    )

    about: Lines | None = key(
        "a text of at most 5000 characters: what the study file is about, and its sources; an empty"
        " line ends a paragraph. The page of results begins with it",
        None,
    )

    seed: Annotated[int, Field(ge=0, lt=2**63)] = key("a whole number of at least 0")
    scale: Annotated[Real, Field(gt=0, le=1e6)] = key(
        "a number above 0: every ensemble has so many times its networks, and 50 at least", 1.0
    )
    device: Literal["auto", "cpu", "cuda"] = key(
        "auto (a GPU where there is one), cpu or cuda", "auto"
    )
    devices: dict[Task, Literal["auto", "cpu", "cuda"]] = key(
        f"a mapping from some of {', '.join(TASKS)} to auto, cpu or cuda: where these are computed,"
        " if not on device",
        {},
    )
    job_minutes: Annotated[Real, Field(gt=0)] = key(
        "a number above 0: minutes of one core that a job of sampling takes at most, near enough;"
        " members that would take longer are divided into shards",
        10.0,
    )
    formats: Annotated[list[Literal["pdf", "png", "svg"]], AfterValidator(distinct)] = key(
        "a list of some of pdf, png and svg: how each figure is written", ["pdf", "png"]
    )
    style: Style = key("{width: , font_size: , file: }: how figures look", Style())
    inputs: dict[Name, Inputs] = key(
        f"a mapping from names (letters, digits and _) to inputs of a kind: {', '.join(KINDS)}",
        {},
    )
    ensembles: dict[Name, Ensemble] = key(
        "a mapping from names (letters, digits and _) to ensembles", {}
    )
    data: dict[Name, DataSet] = key(
        "a mapping from names (letters, digits and _) to labelled images of kind digits, cifar10 or"
        " array",
        {},
    )
    trained: dict[Name, Trained] = key(
        "a mapping from names (letters, digits and _) to networks that get trained", {}
    )
    studies: dict[Name, Study] = key("a mapping from names (letters, digits and _) to studies", {})

    def scaled(self) -> Config:
        """The study file with as many networks as its scale asks for, and no scale."""
        if self.scale == 1:
            return self
        ensembles = {
            name: each.model_copy(update={"networks": max(50, round(each.networks * self.scale))})
            for name, each in self.ensembles.items()
        }
        return self.model_copy(update={"ensembles": ensembles, "scale": 1.0})

    def style_of(self, study: str) -> Style:
        """How the figures of a study look: its own style, or that of the file."""
        return self.studies[study].style or self.style

    def device_for(self, task: str | None) -> str:
        """Where a task is computed; on the CPU what is none of ``TASKS``."""
        return self.devices.get(task, self.device) if task else "cpu"

"""A study file run to its tables and figures in one process, by what the rules' scripts call."""

from __future__ import annotations

import os
import traceback
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from finitewidth.comparison import compare
from finitewidth.comparison.html_table import to_html
from finitewidth.comparison.results import Study
from finitewidth.comparison.tables import to_csv, to_markdown, to_tex
from finitewidth.config.model import Config
from finitewidth.data import input_sets
from finitewidth.data.images import to_dataset
from finitewidth.data.labelled import labelled
from finitewidth.estimate.estimate_member import estimate_member
from finitewidth.estimate.preactivations.normality import normality
from finitewidth.figures import draw
from finitewidth.figures.common.panels import CannotDrawError
from finitewidth.figures.common.style import plt
from finitewidth.members import stages
from finitewidth.members.inputs import inputs_of
from finitewidth.members.plain import of_plain
from finitewidth.members.trained import (
    GeneratedNetworks,
    PredictedReplicas,
    TrainedNetworks,
)
from finitewidth.planning.members import members
from finitewidth.planning.trained_members import trained_members
from finitewidth.provenance import projections
from finitewidth.provenance.artifacts import read_dataset, read_sizes, write_dataset
from finitewidth.sampling.sample_member import sample_member
from finitewidth.theory.predict.predict_member import predict_member
from finitewidth.theory.predict.predict_trained import predict_trained
from finitewidth.trained.generation.generate_member import generate_member
from finitewidth.trained.representations.measure_member import measure_member
from finitewidth.trained.train_member import train_member

_STAMP = {"config_sha256": ""}
#: Beyond so many standard errors no trusted number may be of a theory that holds.
MOST = 6.0


@dataclass
class Run:
    """What came of a study file: faults as (where, what), and the rows of its tables."""

    faults: list[tuple[str, str]] = field(default_factory=list)
    rows: pd.DataFrame | None = None
    errors: list[BaseException] = field(default_factory=list)

    def note(self, where: str, error: BaseException) -> None:
        """Keep an exception with the place in our code that it comes from."""
        frames = traceback.extract_tb(error.__traceback__)
        ours = [f for f in frames if "finitewidth" in f.filename] or frames[-1:]
        at = f"{Path(ours[-1].filename).name}:{ours[-1].lineno}"
        self.faults.append((where, f"{type(error).__name__}: {str(error)[:200]} ({at})"))
        self.errors.append(error)


def run(config: Config, folder: Path) -> Run:
    """Run a study file in ``folder``, which holds the files that it names and gets the results."""
    before = Path.cwd()
    os.chdir(folder)
    result = Run()
    try:
        _compute(config, result)
        for name in config.studies:
            _study(config, name, result)
    finally:
        os.chdir(before)
    return result


def _compute(config: Config, result: Run) -> None:
    for ensemble in config.ensembles:
        for m in members(config, ensemble):
            try:
                _member(config, m)
            except Exception as error:
                result.note(f"{ensemble}, {m.name}", error)
    for ensemble in config.trained:
        for m in trained_members(config, ensemble):
            try:
                _trained(config, m)
            except Exception as error:
                result.note(f"{ensemble}, {m.name}", error)


def _member(config: Config, m) -> None:
    sets = [input_sets.dataset(s, config.inputs[s].model_dump(), config.seed) for s in m.input_sets]
    x = inputs_of(m, sets)
    samples = []
    for shard in range(m.shard_count):
        how = projections.sample(config, m, shard)
        sampled = sample_member(
            stages.sampled(how["member"]), x, seed=config.seed, device="cpu",
            blocks=tuple(how["blocks"]), islands=how.get("islands"),
            on_tile=lambda done, total: None,
        )  # fmt: skip
        if "seconds" in sampled:
            _write(sampled[["seconds"]], f"{m.folder}/seconds.nc")
            sampled = sampled.drop_vars("seconds")
        samples.append(sampled)
    told = projections.estimate(config, m)
    _write(
        estimate_member(stages.estimated(told["member"]), samples, seed=config.seed),
        f"{m.folder}/estimates.nc",
    )
    if "normality" in m.estimate:
        whole = xr.concat(samples, "network", data_vars="minimal")
        names = {"seed": config.seed, "ensemble": m.ensemble, "member": m.name}
        tested = normality(whole, **names, **vars(m.normality))
        _write(tested, f"{m.folder}/normality.nc")
    _write(
        predict_member(stages.predicted(projections.theory(m)["member"]), x),
        f"{m.folder}/theory.nc",
    )


def _trained(config: Config, m) -> None:
    images = labelled(m.data, config.data[m.data].model_dump(), config.seed)
    data = f"results/data/{m.data}.nc"
    _write(to_dataset(images), data)
    how = {"seed": config.seed, "device": "cpu"}
    networks = train_member(
        of_plain(projections.train(config, m)["member"], TrainedNetworks), images,
        every=m.checkpoint,
        kept=Path(m.folder, "kept.pt"), fingerprint=m.folder, **how,
    )  # fmt: skip
    _write(networks, f"{m.folder}/networks.nc")
    networks = read_dataset(f"{m.folder}/networks.nc")
    measured = measure_member(
        of_plain(projections.measure(config, m)["member"], TrainedNetworks), images, networks, **how
    )
    for name, dataset in zip(("estimates", "covariances"), measured, strict=True):
        _write(dataset, f"{m.folder}/{name}.nc")
    made = generate_member(
        of_plain(projections.generate(config, m)["member"], GeneratedNetworks),
        images,
        networks,
        **how,
    )
    _write(made, f"{m.folder}/generated.nc")
    sizes, estimates = read_sizes(data), read_dataset(f"{m.folder}/estimates.nc")
    shape = tuple(sizes[name] for name in ("channel", "row", "column"))
    told = projections.predict(config, m)
    theory = predict_trained(
        of_plain(told["member"], PredictedReplicas), shape, sizes["classes"], estimates, config.seed
    )
    _write(theory, f"{m.folder}/theory.nc")


def _write(dataset: xr.Dataset, path: str) -> None:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    write_dataset(dataset, path, _STAMP, title="")


def _study(config: Config, name: str, result: Run) -> None:
    if result.faults:
        return
    try:
        study = Study.read(projections.study(config, name)["study"])
        rows = compare.table(study)
        for text in (to_csv, to_markdown, to_tex):
            text(rows)
        to_html(rows, name=study.name, title=study.title)
        result.rows = rows
        result.faults += [("table", fault) for fault in wrong_rows(rows)]
        for m in study.every:
            result.faults += [("estimates", fault) for fault in wrong_estimates(m.estimates)]
    except Exception as error:
        result.note("table", error)
        return
    for figure in config.studies[name].figures or []:
        try:
            plt.close(draw(figure, study))
        except CannotDrawError as nothing:
            # No fault, if it says of what.
            if figure not in str(nothing) or not any(
                m.about.ensemble in str(nothing) for m in study.every
            ):
                result.note(f"figure {figure}", nothing)
        except Exception as error:
            result.note(f"figure {figure}", error)
        finally:
            plt.close("all")


def wrong_rows(rows: pd.DataFrame) -> list[str]:
    """What no row of a table may be, in words, one a kind."""
    known = np.isfinite(rows["estimate"]) & np.isfinite(rows["standard_error"])
    said = rows["reason"].fillna("") != ""
    exact = (rows["order"] == "exact") & rows["holds"].astype(bool) & rows["trusted"].astype(bool)
    wrong = {
        "neither an error nor a reason": ~known & ~said,
        "trusted, with a reason": rows["trusted"].astype(bool) & said,
        "neither trusted nor a reason": ~rows["trusted"].astype(bool) & ~said,
        "a negative error": rows["standard_error"] < 0,
        f"beyond {MOST:g} standard errors of exact theory": exact & (rows["z"].abs() > MOST),
    }
    found = []
    for words, where in wrong.items():
        for quantity, each in rows[where.astype(bool)].groupby("quantity"):
            first = each.iloc[0]
            found.append(
                f"{quantity}: {words} in {len(each)} rows, first layer {first['layer']}, inputs"
                f" {first['inputs']}, {first['component']}: {first['estimate']:.6g} +-"
                f" {first['standard_error']:.3g}, theory {first['theory']:.6g}, z {first['z']:.3g}"
            )
    return found


def wrong_estimates(estimates: xr.Dataset) -> list[str]:
    """The same of the variables that a table may leave out."""
    found = []
    for name in estimates.data_vars:
        if f"{name}_stderr" not in estimates or f"{name}_trusted" not in estimates:
            continue
        value, error = estimates[name].values, estimates[f"{name}_stderr"].values
        trusted, reason = (estimates[f"{name}_{x}"].values for x in ("trusted", "reason"))
        if (error < 0).any():
            found.append(f"{name}: a negative error")
        if ((trusted == 1) != (reason == 0)).any():
            found.append(f"{name}: trusted and a reason disagree")
        if (~(np.isfinite(value) & np.isfinite(error)) & (trusted == 1)).any():
            found.append(f"{name}: not finite, and trusted")
    return found

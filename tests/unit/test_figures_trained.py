"""Figures of trained networks: what they show is what the files say, of odd studies, too."""

import dataclasses
import warnings

import matplotlib.pyplot as plt
import numpy as np
import pytest

from finitewidth.figures import draw
from small_studies import run

FIGURES = (
    "training_curves",
    "activation_spectra",
    "weight_spectra",
    "eigenvectors",
    "alignment",
    "rainbow",
)
TRAINED = {
    "data": "digits",
    "mlp": [64, 12, 8, 10],
    "replicas": 3,
    "epochs": 2,
    "learning_rate": 0.05,
    "rainbow": {"networks": 1},
}
#: Inches of a page, and a little more for what stands below the panels.
PAGE = (8.0, 11.0)


def study_of(folder, **trained):
    """A study of trained networks on the digits."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        return run({"data": {"digits": {"kind": "digits"}}, "trained": trained})


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """Two ensembles: one of three widths, and one of convolutions."""
    cnn = {k: v for k, v in TRAINED.items() if k != "mlp"}
    return study_of(
        tmp_path_factory.mktemp("plain"),
        mlp=TRAINED | {"widen": [0.5, 1.0, 2.0]},
        cnn=cnn | {"cnn": {"channels": [1, 4, 6], "kernel": 3, "stride": 2}},
    )


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """One hidden layer, one epoch."""
    law = TRAINED | {"mlp": [64, 5, 10], "epochs": 1}
    return study_of(tmp_path_factory.mktemp("small"), small=law)


@pytest.fixture(autouse=True)
def closed():
    """Figures are closed."""
    yield
    plt.close("all")


def drawn(name, study):
    """A figure that was drawn without a warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return draw(name, study)


def changed(study, **values):
    """The study with estimates of every member put to a value, errors and spreads with them."""
    members = []
    for m in study.trained:
        estimates = m.estimates.copy(deep=True)
        for name, value in values.items():
            for end in ("", "_stderr", "_spread"):
                if f"{name}{end}" in estimates:
                    estimates[f"{name}{end}"][:] = value
            estimates[f"{name}_trusted"][:] = 0
        members.append(dataclasses.replace(m, estimates=estimates))
    return dataclasses.replace(study, trained=members)


def lines_of(ax):
    """(x, y) of every line."""
    return [np.array(line.get_data(), float).T for line in ax.lines]


def ends(ax):
    """Every y of bands and of error bars, in the axes' own numbers."""
    found = []
    for c in ax.collections:
        if hasattr(c, "get_segments"):
            found += [s[:, 1] for s in c.get_segments()]
        else:
            found += [path.vertices[:, 1] for path in c.get_paths()]
    return np.concatenate([*found, []])


@pytest.mark.parametrize("name", FIGURES)
def test_every_figure_fits_a_page_and_has_its_legends_off_the_panels(plain, name):
    figure = drawn(name, plain)
    assert (figure.get_size_inches() <= PAGE).all()
    renderer = figure.canvas.get_renderer()
    boxes = [legend.get_window_extent(renderer) for legend in figure.legends]
    assert boxes
    for ax in figure.axes:
        assert ax.get_legend() is None
        assert not any(ax.bbox.overlaps(box) for box in boxes)


@pytest.mark.parametrize("name", FIGURES)
def test_shares_stay_between_0_and_1_and_logarithms_above_0(plain, name):
    for ax in drawn(name, plain).axes:
        y = ends(ax)
        if ax.get_yscale() == "log":
            assert (y > 0).all()
            labels = [t for t in ax.yaxis.get_major_ticks() if t.label1.get_text()]
            assert len(labels) > 1
        elif ax.get_ylim()[1] < 1.1:
            assert (y >= 0).all()
            assert (y <= 1).all()


def test_bands_are_the_spread_over_replicas(plain):
    top = drawn("training_curves", plain).axes[0]
    m = next(m for m in plain.trained if m.about.widen == 1)
    loss = m.estimates["loss_curve"].sel(split="validation").values
    line = next(x for x in top.lines if x.get_label() == "validation")
    assert np.allclose(line.get_ydata(), loss)
    band = ends(top)
    spread = m.estimates["loss_curve_spread"].sel(split="validation").values
    assert all(np.isclose(band, value).any() for value in loss + spread)


def test_alignment_is_what_was_measured(plain):
    figure = drawn("alignment", plain)
    m = next(m for m in plain.trained if m.about.widen == 1)
    where = {"state": "trained", "centring": "centred", "split": "train"}
    r2 = m.estimates["alignment_r2"].sel(where).values[1:-1]
    line = next(x for x in figure.axes[0].lines if x.get_label() == "trained, train")
    assert np.allclose(line.get_ydata(), r2)
    every = np.concatenate(lines_of(figure.axes[2]))
    for m in (m for m in plain.trained if m.about.ensemble == "mlp"):
        n = int(m.estimates["width"].sel(layer=1))
        rest = 1 - float(m.estimates["alignment_r2"].sel(where | {"layer": 1}))
        assert np.isclose(every, (n, rest)).all(1).any()


def test_images_of_one_channel_leave_no_empty_panel(plain):
    figure = drawn("activation_spectra", plain)
    assert len(figure.axes) == 2 * (3 + 2)
    assert all(ax.lines and ax.axison for ax in figure.axes)


def test_layers_ranks_and_epochs_are_whole_numbers(plain, small):
    for study in (plain, small):
        for name in ("training_curves", "weight_spectra", "eigenvectors", "alignment"):
            for ax in drawn(name, study).axes:
                if ax.get_xscale() == "linear" and ax.get_label() != "<colorbar>":
                    ticks = ax.get_xticks()
                    assert len(ticks)
                    assert (ticks == np.round(ticks)).all()


@pytest.mark.parametrize("name", FIGURES)
def test_one_hidden_layer_and_one_epoch(small, name):
    figure = drawn(name, small)
    # One place alone is no line: it has a symbol or a dash.
    for ax in figure.axes:
        alone = [line for line in ax.lines if len(line.get_xdata()) == 1]
        assert all(line.get_marker() not in ("None", "") for line in alone)


DEAD = {
    "activation_eigenvalue": 0.0,
    "activation_participation": np.nan,
    "activation_slope": np.nan,
    "clipped_accuracy": 0.1,
    "rank_needed": np.nan,
}


ODD = [
    *((name, DEAD) for name in FIGURES),
    ("alignment", {"alignment_r2": 1.0, "alignment": 1.0}),
    *((f, {"weight_eigenvalue": 0.0, "weight_outliers": np.nan}) for f in FIGURES[2:4]),
    ("training_curves", {"loss_curve": 0.0, "accuracy_curve": 0.0}),
    ("rainbow", {"accuracy": 0.0, "generated_accuracy": np.nan}),
    ("training_curves", {"loss_curve": 1e300}),
    ("weight_spectra", {"weight_eigenvalue": 1e-300}),
]


@pytest.mark.parametrize(("name", "values"), ODD, ids=[f"{n}, {next(iter(v))}" for n, v in ODD])
def test_dead_replicas_and_extreme_numbers_are_drawn(small, name, values):
    assert drawn(name, changed(small, **values)).axes


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("alignment", {"alignment_r2": np.nan}),
        ("eigenvectors", {"eigenvector_cosine": np.nan, "eigenvector_cosine_01": np.nan}),
    ],
)
def test_no_pair_of_replicas_is_one_sentence(small, name, values):
    study = small
    for key, value in values.items():
        members = []
        for m in study.trained:
            estimates = m.estimates.copy(deep=True)
            estimates[key][:] = value
            members.append(dataclasses.replace(m, estimates=estimates))
        study = dataclasses.replace(study, trained=members)
    with pytest.raises(ValueError, match=f"{name} has nothing to draw of the ensembles small: no "):
        draw(name, study)


@pytest.mark.parametrize("name", ["activation_spectra", "eigenvectors", "alignment"])
def test_many_architectures_fit_a_page_or_are_counted(plain, name):
    (m,) = (m for m in plain.trained if m.about.widen == 1 and m.about.ensemble == "mlp")
    many = [
        dataclasses.replace(
            m,
            about=dataclasses.replace(m.about, learning_rate=rate, ensemble=f"e{rate}" * 8),
        )
        for rate in range(1, 31)
    ]
    figure = drawn(name, dataclasses.replace(plain, trained=many))
    assert (figure.get_size_inches() <= PAGE).all()
    said = figure.legends[0].get_title().get_text()
    panels = len(figure.axes) // (1 if name == "alignment" else 2)
    assert (" of 30 " in said or " of 90 " in said or " of 120 " in said) == (panels < 30)

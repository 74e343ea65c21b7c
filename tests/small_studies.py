"""Studies run from a study file's content to what figures read, in one process."""

from pathlib import Path

from finitewidth.comparison.results import Study
from finitewidth.data.input_sets import dataset
from finitewidth.data.labelled import labelled
from finitewidth.estimate.estimate_member import estimate_member
from finitewidth.estimate.preactivations.normality import normality as test_groups
from finitewidth.members.inputs import inputs_of
from finitewidth.members.stages import estimated, predicted, sampled
from finitewidth.planning.members import members
from finitewidth.planning.trained_members import trained_members
from finitewidth.provenance.artifacts import read_dataset, write_dataset
from finitewidth.provenance.projections import estimate, sample, study, theory
from finitewidth.sampling.sample_member import sample_member
from finitewidth.study.study_file import validate
from finitewidth.theory.predict.predict_member import predict_member
from finitewidth.theory.predict.predict_trained import predict_trained
from finitewidth.trained.generation.generate_member import generate_member
from finitewidth.trained.representations.measure_member import measure_member
from finitewidth.trained.train_member import train_member

STAMP = {"config_sha256": "0" * 64}


def run(content):
    """A study of all ensembles of ``content``, its files below the working directory."""
    config = validate({"seed": 1, "device": "cpu", **content, "studies": {}})
    inputs = {
        name: dataset(name, spec.model_dump(), config.seed) for name, spec in config.inputs.items()
    }
    for ensemble in config.ensembles:
        for m in members(config, ensemble):
            _run_random(config, m, inputs_of(m, [inputs[name] for name in m.input_sets]))
    images = {
        name: labelled(name, spec.model_dump(), config.seed) for name, spec in config.data.items()
    }
    for ensemble in config.trained:
        for m in trained_members(config, ensemble):
            _run_trained(config, m, images[m.data])
    kinds = {"ensembles": list(config.ensembles), "trained": list(config.trained)}
    listed = {kind: names for kind, names in kinds.items() if names}
    config = validate({"seed": 1, "device": "cpu", **content, "studies": {"all": listed}})
    return Study.read(study(config, "all")["study"])


def _kept(m, name, dataset):
    write_dataset(dataset, Path(m.folder) / f"{name}.nc", STAMP, title=name)
    return read_dataset(Path(m.folder) / f"{name}.nc")


def _run_random(config, m, x):
    taken = sample(config, m, 0)
    samples = sample_member(
        sampled(taken["member"]),
        x,
        seed=config.seed,
        device="cpu",
        blocks=(0, m.blocks),
        on_tile=_silent,
    )
    if "seconds" in samples:
        _kept(m, "seconds", samples[["seconds"]])
    member = estimated(estimate(config, m)["member"])
    _kept(m, "estimates", estimate_member(member, [samples], seed=config.seed))
    if "normality" in m.estimate:
        told = {"seed": config.seed, "ensemble": m.ensemble, "member": m.name}
        tested = test_groups(samples, **told, **vars(m.normality))
        _kept(m, "normality", tested)
    _kept(m, "theory", predict_member(predicted(theory(m)["member"]), x))


def _run_trained(config, m, images):
    chosen = {"seed": config.seed, "device": "cpu"}
    # No checkpoint is taken before the last epoch.
    networks = train_member(
        m,
        images,
        every=m.epochs + 1,
        kept=Path(m.folder) / "state.pt",
        fingerprint="",
        on_epoch=_silent,
        **chosen,
    )
    measured = measure_member(m, images, networks, on_step=_silent, **chosen)
    estimates = _kept(m, "estimates", measured[0])
    _kept(m, "generated", generate_member(m, images, networks, on_network=_silent, **chosen))
    shape = images.train_x.shape[1:]
    _kept(m, "theory", predict_trained(m, shape, images.classes, estimates, config.seed))


def _silent(*_):
    """No news of progress."""

"""Whatever stands in a study file, it is planned or refused: in one sentence, and soon."""

import contextlib
import copy
import re
import resource
import signal

import pytest
import yaml
from hypothesis import HealthCheck, given, settings

from finitewidth.config import model, model_ensemble, model_network, model_published, model_trained
from finitewidth.core.errors import LONGEST, ConfigError
from finitewidth.core.fields import Model
from finitewidth.planning.members import batches
from finitewidth.planning.plan import plan, report
from finitewidth.planning.trained_members import trained_batches
from finitewidth.study.study_file import load, validate
from hostile_configs import (
    RANDOM,
    SHIPPED,
    TRAINED,
    mutants,
    nested,
    shipped_texts,
    texts,
)

#: Seconds and bytes that one study file may take to be planned or refused.
SECONDS, BYTES = 20, 2 * 2**30


@contextlib.contextmanager
def bounded():
    """A block that may take neither more time nor more memory than that."""

    def too_long(*_):
        raise AssertionError(f"not done after {SECONDS} s")

    with open("/proc/self/statm") as file:
        there = int(file.read().split()[0]) * resource.getpagesize()
    before = resource.getrlimit(resource.RLIMIT_AS)
    handler = signal.signal(signal.SIGALRM, too_long)
    signal.alarm(SECONDS)
    resource.setrlimit(resource.RLIMIT_AS, (there + BYTES, before[1]))
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, handler)
        resource.setrlimit(resource.RLIMIT_AS, before)


def refusal(read, *arguments) -> str | None:
    """The sentence that refuses a study file; None where all of it can be planned."""
    with bounded():
        try:
            found = read(*arguments)
        except ConfigError as error:
            sentence = str(error)
            assert len(sentence) <= LONGEST
            assert all(c.isprintable() for c in sentence), ascii(sentence)
            assert sentence.startswith(("config key ", "config file "))
            return sentence
        dealt = batches(found), trained_batches(found)
        for each in dealt:
            names = [b.name for b in each]
            assert len({*names}) == len(names)
        folders = [m.folder for each in dealt for b in each for m in b.members]
        assert len({*folders}) == len(folders)
        assert all(job.cost.seconds >= 0 for job in plan(found).values())
        assert report(found)
        return None


searching = settings(
    derandomize=True,
    database=None,
    deadline=None,
    max_examples=1500,
    suppress_health_check=list(HealthCheck),
)


def test_every_key_of_the_model_is_there_to_be_changed():
    used = set()

    def collect(value):
        if isinstance(value, dict):
            used.update(value)
        for inner in value.values() if isinstance(value, dict) else value:
            if isinstance(inner, dict | list):
                collect(inner)

    for content in (RANDOM, TRAINED):
        assert refusal(validate, content) is None
        collect(content)
    modules = (model, model_ensemble, model_trained, model_network, model_published)
    models = [m for module in modules for m in vars(module).values()
              if isinstance(m, type) and issubclass(m, Model)]  # fmt: skip
    # What an extension declares is refused by tests/unit/test_own_networks.py.
    assert {key for model in models for key in model.model_fields} - used == {"module"}


def numbers(content, path=()):
    """Where numbers stand in a study file."""
    inside = content.items() if isinstance(content, dict) else enumerate(content)
    for key, value in inside:
        if isinstance(value, dict | list):
            yield from numbers(value, (*path, key))
        elif isinstance(value, int | float) and not isinstance(value, bool):
            yield (*path, key), value


@pytest.mark.parametrize("content", [RANDOM, TRAINED], ids=["random", "trained"])
def test_a_number_that_is_too_large_is_told_up_to_where_it_goes(content):
    refused = 0
    for path, value in numbers(content):
        changed = copy.deepcopy(content)
        place = changed
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = type(value)(10**30)
        if (said := refusal(validate, changed)) is not None:
            refused += 1
            assert re.search(r"at most|below|up to|\dto|\d to |from \S+ to|one of", said), said
    assert refused > 20


@searching
@given(mutants([RANDOM, TRAINED]))
def test_changed_content_is_planned_or_refused(content):
    refusal(validate, content)


@settings(searching, max_examples=100)
@given(mutants([yaml.safe_load(path.read_text()) for path in SHIPPED]))
def test_changed_content_of_files_that_ship_is_planned_or_refused(content):
    refusal(validate, content)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return tmp_path_factory.mktemp("study") / "study.yaml"


@settings(searching, max_examples=600)
@given(texts(shipped_texts()[:2]))
def test_changed_text_is_planned_or_refused(path, text):
    path.write_bytes(text)
    refusal(load, [path])


def changed(base: dict, **changes) -> dict:
    """``base`` with values at dotted paths, dots written as two underscores."""
    content = copy.deepcopy(base)
    for path, value in changes.items():
        *above, last = path.split("__")
        place = content
        for key in above:
            place = place[key]
        place[last] = value
    return content


PLAIN = "ensembles__plain__"


@pytest.mark.parametrize(
    ("content", "part"),
    [
        # Each ended in a traceback, took all memory or never ended.
        (changed(RANDOM, seed=10**5000), "seed: given a huge whole number, allowed"),
        (changed(RANDOM, seed=[10**5000]), "seed: given [a huge whole number]"),
        (changed(RANDOM, seed=nested(5000)), "seed: given [[["),
        (changed(RANDOM, inputs=nested(5000, mapping=True)), "inputs.a.kind: given nothing"),
        (changed(RANDOM, job_minutes=10**400), "job_minutes: given a huge|job_minutes: given 1000"),
        (changed(RANDOM, **{PLAIN + "depth": 10**9}), "depth: given 1000000000, allowed"),
        (changed(RANDOM, **{PLAIN + "width": list(range(4, 10**4))}), "1.599e+05 members"),
        (changed(RANDOM, **{PLAIN + "depth": [10**6, 10**6 - 1]}), "3.2e+07 layers of members"),
        (changed(RANDOM, **{PLAIN + "networks": 10**9, PLAIN + "width": 10**9,
                            PLAIN + "shards": 10**9}), "files of samples and more"),
        (changed(RANDOM, ensembles__cone__init={"critical_times": 1e308}, studies={}), "above 0"),
        (changed(TRAINED, trained__mlp__widen=[1e300]), "trained.mlp.widen: given 1e+300"),
        (changed(TRAINED, trained__mlp__rainbow__widen=[1e300]), "rainbow.widen: given 1e+300"),
        (changed(TRAINED, data__mine__classes=2**16), "data.mine.classes: given 65536"),
        # These could be misread, or not be read at all.
        (changed(RANDOM, studies__s__title="a\nb"), "title: given \"a b\""),
        (changed(RANDOM, studies__s__title="a\u202eb"), "(it holds the character U+202E"),
        (changed(RANDOM, studies__s__title="\ud800"), "title: given \"\\ud800\""),
        (changed(RANDOM, inputs__mine__file=""), "inputs.mine.file: given \"\""),
        (changed(RANDOM, inputs__mine__file="a\0b"), "(it holds the character U+0000"),
        (changed(RANDOM, inputs__mine__file="a{name}.nc"), "Snakemake takes braces in it"),
        ({**RANDOM, "__use_yte__": True}, "allowed is no such key"),
        ({**RANDOM, "x" * 5000: 1}, "config key " + 37 * "x" + "...: given an unknown key"),
        ({**RANDOM, "\x1b[2J\ud800": 1}, 'given "\\x1b[2J\\ud800", allowed'),
    ],
)  # fmt: skip
def test_what_was_once_accepted_or_broke_the_reader_is_refused(content, part):
    sentence = refusal(validate, content)
    assert any(one in sentence for one in part.split("|")), sentence


@pytest.mark.parametrize(
    "changes",
    [
        # Files or rules of the same name.
        {PLAIN + "init__C_W": [1.0, 1.0000001]},
        {"ensembles__plain__job": None},
        {"job_minutes": 5e-324},
        {"ensembles__cone__hidden": [10**9], "studies": {}},
        {"studies__s__title": "Var $K$ & 50 % <b> {x} \\write18{x} 東京\u3000é"},
        {"inputs__mine__file": "../a b/;$(y)'.nc"},
    ],
)
def test_what_looks_odd_is_planned(changes):
    content = changed(RANDOM, **{k: v for k, v in changes.items() if not k.endswith("job")})
    if "ensembles__plain__job" in changes:
        # Two jobs, beside an ensemble and one of two jobs that are called like them.
        wide = {"networks": 10**6, "depth": [50, 60], "width": 64}
        content["ensembles"]["plain"] |= wide
        content["ensembles"]["plain_0"] = copy.deepcopy(content["ensembles"]["plain"])
        content["ensembles"]["plain_0_1"] = copy.deepcopy(RANDOM["ensembles"]["plain"])
        assert len(batches(validate(content))) > 8
    assert refusal(validate, content) is None


def bomb(line: str, levels: int = 40) -> str:
    """YAML in which each line stands for two of the one before."""
    return "\n".join(["a0: &a0 {k: 1}", *(line.format(k + 1, k) for k in range(levels))])


@pytest.mark.parametrize(
    ("text", "part"),
    [
        (bomb("a{0}: &a{0} [*a{1}, *a{1}]"), "line 16: given aliases that stand for 1.31e+05"),
        (bomb("a{0}: &a{0} {{x: *a{1}, y: *a{1}}}"), "given aliases that stand for"),
        (bomb("a{0}: &a{0} {{<<: [*a{1}, *a{1}]}}"), "given aliases that stand for"),
        ("a: &a [*a]", "line 1: given an alias within what it stands for"),
        ("a: &a {<<: *a}", "line 1: given an alias within what it stands for"),
        ("seed: 1\nx: " + 10**5 * "[", "line 2: given 41 levels, allowed are 40"),
        ("seed: 1\nx: " + 10**4 * "- ", "line 2"),
        ("seed: 010", 'line 1: given "010"'),
        ("seed: 1:30", 'line 1: given "1:30"'),
        ("C: 1:30.5", 'line 1: given "1:30.5"'),
        ("seed: 0x" + 5000 * "f", 'line 1: given "0xfff'),
        ("seed: " + 5000 * "9", 'line 1: given "999'),
        ("seed: !!python/object/apply:os.system [ls]", 'the tag "tag:yaml.org,2002:python/'),
        ("seed: 1\n---\nseed: 2", "line 2 cannot be read as YAML: expected a single document"),
        ("seed: 1\n\tdevice: cpu", "line 2 cannot be read as YAML"),
        ("seed: 1\nx: \0", "line 2: given the character U+0000"),
        ('seed: "\\ud800"', "line 1: given"),
        ("", "given nothing, allowed is a mapping"),
        ("# nothing else", "given nothing, allowed is a mapping"),
        ("yes: 1", 'line 1: given the key "yes", allowed are words'),
        ("<<: {seed: 1}\n<<: {seed: 2}", 'line 2: given the key "<<" twice'),
        ("#" + 500_000 * "x", "given more than 500000 bytes"),
        ("seed: 2020-01-01", 'config key seed: given "2020-01-01"'),
    ],
)
def test_yaml_that_is_more_than_it_looks_is_refused(path, text, part):
    path.write_text(text)
    assert part in refusal(load, [path])


def test_a_file_that_is_none_or_not_text_is_refused(path, tmp_path):
    assert "there is no such file" in refusal(load, [tmp_path / "a\nb"])
    assert "it is a device" in refusal(load, ["/dev/zero"])
    assert "it is a folder" in refusal(load, [tmp_path])
    path.write_bytes("seed: 1".encode("utf-16"))
    assert "line 1 cannot be read: it is not UTF-8" in refusal(load, [path])


def test_aliases_and_merge_keys_that_end_are_fine(path):
    text = yaml.safe_dump(RANDOM)
    path.write_bytes(b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode())
    assert refusal(load, [path]) is None
    path.write_text(
        "seed: 1\ninputs: {a: &a {kind: digits, count: 1}, b: {<<: *a, count: 2}, c: *a}\n"
    )
    found = load([path]).inputs
    assert [found[name].count for name in "abc"] == [1, 2, 1]

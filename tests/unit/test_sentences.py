"""What is said of a misspelt word helps who misspelt it."""

import copy
import random
import re

import pytest

from finitewidth.config.model import Config, Study
from finitewidth.config.model_ensemble import Ensemble
from finitewidth.config.yaml_reader import parse
from finitewidth.core.errors import ConfigError, describe, meant, one_of
from finitewidth.models.activations import table as activations
from finitewidth.quantities.vocabulary import FAMILIES, FIGURES, QUANTITIES
from finitewidth.study.study_file import validate
from hostile_configs import RANDOM, TRAINED
from study_content import with_value


def refused(content):
    with pytest.raises(ConfigError) as caught:
        validate(content)
    return str(caught.value)


def misspelt(chance, word):
    """One slip of the fingers: a letter left out, doubled, changed, or two in the wrong order."""
    while True:
        at = chance.randrange(1, len(word))
        letter = chance.choice("aeirstn")
        slips = [word[:at] + word[at + 1 :], word[:at] + word[at - 1 :],
                 word[:at] + letter + word[at + 1 :],
                 word[: at - 1] + word[at] + word[at - 1] + word[at + 1 :], word.upper(),
                 word.replace("_", "-")]  # fmt: skip
        if (slip := chance.choice(slips)) != word:
            return slip


def with_key(base, path, old, new):
    content = copy.deepcopy(base)
    place = content
    for key in path:
        place = place[key]
    changed = {new if k == old else k: v for k, v in place.items()}
    return with_value(content, path, changed) if path else changed


#: Words by where they stand.
PLACES = [
    (
        RANDOM,
        ("ensembles", "plain", "activation"),
        [n for n in activations.names() if "(" not in n],
    ),
    (RANDOM, ("ensembles", "plain", "weights"), ["normal", "uniform", "pytorch"]),
    (RANDOM, ("ensembles", "plain", "sampler"), ["marginal", "explicit", "scalar"]),
    (RANDOM, ("ensembles", "plain", "layers"), ["first", "second", "middle"]),
    (RANDOM, ("ensembles", "plain", "estimate"), list(FAMILIES)),
    (RANDOM, ("ensembles", "plain", "inputs"), ["digits", "mine", "ball"]),
    (RANDOM, ("studies", "s", "ensembles"), ["plain", "rungs", "tangents"]),
    (RANDOM, ("studies", "s", "figures"), list(FIGURES)),
    (RANDOM, ("studies", "s", "quantities"), list(QUANTITIES)),
    (RANDOM, ("inputs", "ball", "kind"), ["sphere", "digits", "array"]),
    (TRAINED, ("trained", "mlp", "data"), ["digits", "cifar", "mine"]),
    (TRAINED, ("trained", "mlp", "weights"), ["normal", "uniform"]),
]
LISTS = ("estimate", "layers", "figures", "quantities", "ensembles")


@pytest.mark.parametrize("place", PLACES, ids=lambda place: ".".join(place[1]))
def test_a_misspelt_word_is_asked_about(place):
    base, path, words = place
    chance, asked, tried = random.Random(2), 0, 0
    for word in words:
        for _ in range(max(1, 24 // len(words))):
            slip = misspelt(chance, word)
            if slip in words:
                continue
            value = [slip] if path[-1] in LISTS else slip
            said = refused(with_value(base, path, value))
            guess = re.search(r"did you mean (.*?)\?", said)
            tried += 1
            asked += guess is not None and (guess[1] == word or meant(slip, words) != "")
    assert asked >= 0.85 * tried, (asked, tried)


def test_a_misspelt_key_is_asked_about():
    chance, asked, tried = random.Random(3), 0, 0
    for path, model in (
        ((), Config),
        (("ensembles", "plain"), Ensemble),
        (("studies", "s"), Study),
    ):
        there = RANDOM
        for key in path:
            there = there[key]
        for key in there:
            slip = misspelt(chance, key)
            if slip in model.model_fields:
                continue
            said = refused(with_key(RANDOM, path, key, slip))
            tried += 1
            asked += f"given an unknown key (did you mean {key}?)" in said
            assert "given an unknown key" in said
    assert asked >= 0.85 * tried > 20, (asked, tried)


def test_what_is_like_nothing_is_asked_nothing():
    for word in ("pie", "zzz", "", "7", "qwertyuiop"):
        assert "did you mean" not in refused(
            with_value(RANDOM, ("studies", "s", "figures"), [word])
        )


def test_an_unknown_activation_is_told_how_to_add_one():
    said = refused(with_value(RANDOM, ("ensembles", "plain", "activation"), "snake"))
    assert "docs/extensions.md" in said
    assert "allowed is one of" in said


def test_one_word_that_is_allowed_is_quoted():
    assert one_of(["one"]) == '"one"'
    assert one_of(["a", "b"]) == "one of a, b"
    assert one_of([]) == "none, since none is there"
    content = copy.deepcopy(RANDOM)
    content["inputs"] = {"one": content["inputs"]["ball"]}
    assert refused(content).endswith('allowed is "one"')


@pytest.mark.parametrize("text", ["010", "0o10", "-007", "1:30", "0x1f", "00", "09"])
def test_a_number_in_another_base_is_not_told_to_lose_quotes(text):
    assert "text to YAML" not in describe(text)
    if text not in ("0o10", "09"):
        with pytest.raises(ConfigError) as caught:
            parse("file", f"seed: {text}")
        assert "decimal" in str(caught.value)
        assert "text to YAML" not in str(caught.value)


@pytest.mark.parametrize("text", ["1e-5", "7", "-1.5", "1.0e5", "0", "0.5", "1E3", "+2."])
def test_text_that_would_be_a_number_is_told_how(text):
    assert "text to YAML" in describe(text)


@pytest.mark.parametrize(
    "text", ["nan", "inf", "infinity", "1_0", "\u0661", "", "-", "e5", ".", "a"]
)
def test_no_other_text_is(text):
    assert "text to YAML" not in describe(text)

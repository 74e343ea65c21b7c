"""The documentation site: it builds, its links lead somewhere, and it asks nobody for anything."""

from __future__ import annotations

import functools
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
import yaml
from PIL import Image

import finitewidth
from browsing import CHROMIUM, DRIVER, browser, complaints, requests
from finitewidth.study.study_file import load

ROOT = Path(__file__).parents[2]
SITE = ROOT / "docs/site"
CONFIG = (ROOT / "config.yaml").read_text(encoding="utf-8")
STUDIES = yaml.safe_load(CONFIG)["studies"]
#: What a browser fetches for a page by itself, and by which attribute.
_FETCHED = {"img": "src", "script": "src", "link": "href", "iframe": "src", "source": "src"}


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """A folder of results in which one study stands."""
    folder = tmp_path_factory.mktemp("results")
    figures = folder / "studies/intralayer/figures"
    figures.mkdir(parents=True)
    Image.new("RGB", (8, 8)).save(figures / "intralayer.png")
    for suffix in ("html", "csv"):
        (figures.parent / f"comparison.{suffix}").write_text("<p>a table</p>")
    return folder


@pytest.fixture(scope="module")
def site(results, tmp_path_factory):
    target = tmp_path_factory.mktemp("built") / "site"
    # A process without a way out: what it asks a network for, it does not get.
    blocked = {"http_proxy": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9"}
    done = subprocess.run(
        [sys.executable, SITE / "build.py", target, "--results", results],
        cwd=target.parent, env=os.environ | blocked, text=True, capture_output=True, timeout=600,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return target


class Page(HTMLParser):
    """What a page names: its own places, what it links to, and what it fetches by itself."""

    def __init__(self, path: Path):
        super().__init__()
        self.places: set[str] = set()
        self.links: list[str] = []
        self.fetched: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list) -> None:
        given = dict(attrs)
        self.places |= {given[key] for key in ("id", "name") if given.get(key)}
        if tag == "a" and given.get("href"):
            self.links.append(given["href"])
        if given.get(_FETCHED.get(tag, "")):
            self.fetched.append(given[_FETCHED[tag]])


def broken(site: Path) -> list[str]:
    """Links of a site, and what its pages fetch, that lead nowhere; and fetches from elsewhere."""
    read = functools.cache(Page)
    found = []
    for path in sorted(site.rglob("*.html")):
        # Tables are what a study wrote; templates of the theme are no pages.
        if {"_downloads", "_static"} & set(path.parts):
            continue
        page = read(path)
        found += [f"{path.name} fetches {url}" for url in page.fetched if urlsplit(url).netloc]
        for url in [*page.links, *page.fetched]:
            parts = urlsplit(url)
            if parts.scheme in ("http", "mailto", "data", "https") or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if target.is_dir():
                target = target / "index.html"
            missing = not target.is_file()
            if not missing and parts.fragment and target.suffix == ".html":
                missing = unquote(parts.fragment) not in read(target).places
            if missing:
                found.append(f"{path.relative_to(site)}: {url}")
    return found


def test_every_link_leads_somewhere_and_nothing_is_fetched_from_elsewhere(site):
    assert len(list(site.rglob("*.html"))) > 50
    assert broken(site) == []


def test_links_that_lead_nowhere_are_what_this_looks_for(tmp_path):
    (tmp_path / "a.html").write_text(
        '<a href="b.html#there">1</a><a href="b.html#gone">2</a><a href="c.html">3</a>'
        '<img src="none.png"><script src="https://cdn.example/x.js"></script><a href="#here">4</a>'
    )
    (tmp_path / "b.html").write_text('<p id="there"></p>')
    assert broken(tmp_path) == [
        "a.html fetches https://cdn.example/x.js",
        "a.html: b.html#gone",
        "a.html: c.html",
        "a.html: #here",
        "a.html: none.png",
    ]


def test_a_link_that_leads_nowhere_ends_the_build(tmp_path):
    (tmp_path / "index.md").write_text("# A\n\n[b](b.md) and [c](#nowhere)\n")
    done = subprocess.run(
        [sys.executable, "-m", "sphinx", "-b", "html", "-c", SITE, "-W", "--keep-going", "-q",
         tmp_path, tmp_path / "out"],
        text=True, capture_output=True, timeout=300,
    )  # fmt: skip
    assert done.returncode != 0
    assert "'b.md'" in done.stderr
    assert "'nowhere'" in done.stderr


def test_the_gallery_has_every_figure_of_every_study(site):
    for name, study in STUDIES.items():
        text = (site / f"docs/gallery/{name}.html").read_text(encoding="utf-8")
        for figure in study["figures"]:
            assert f">{figure.replace('_', ' ')}<" in text, (name, figure)
        assert study["title"] in (site / "docs/gallery.html").read_text(encoding="utf-8")
    cards = (site / "docs/gallery.html").read_text(encoding="utf-8").count('<div class="sd-card ')
    assert cards == len(STUDIES)
    shown = Page(site / "docs/gallery/intralayer.html")
    assert any(url.endswith("intralayer.png") for url in shown.fetched)
    assert {Path(url).suffix for url in shown.links if "comparison" in url} == {".html", ".csv"}


def test_no_page_shows_the_marks_of_a_directive(site):
    for path in site.rglob("*.html"):
        if "_static" not in path.parts:
            assert ":::" not in path.read_text(encoding="utf-8"), path.name


def test_the_page_of_papers_has_every_paper_and_its_published_numbers(site):
    text = (site / "docs/papers.html").read_text(encoding="utf-8")
    for file in (ROOT / "papers").glob("*.yaml"):
        assert f">{file.stem}<" in text
        said = text.partition(f'id="{file.stem.replace("_", "-")}"')[2].partition("<section")[0]
        assert "make paper <span" in said or f"make paper NAME={file.stem}" in said
        assert "<strong>Reproduced</strong>" in said
        assert "<strong>Not reproduced</strong>" in said
        studies = yaml.safe_load(file.read_text(encoding="utf-8"))["studies"].values()
        published = [study for study in studies if "published" in study]
        assert published or "No number is published" in said
        for study in published:
            assert study["title"] in said
            numbers = [number for each in study["published"] for number in each["numbers"]]
            assert said.count("<tr class") >= len(numbers)
            assert all(f"{number['value']:.7g}" in said for number in numbers)


@pytest.mark.parametrize("study", STUDIES)
def test_the_config_beside_a_figure_is_that_studys(study, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(SITE))
    import gallery

    path = tmp_path / "mine.yaml"
    path.write_text(gallery.study_file(CONFIG, study), encoding="utf-8")
    alone, whole = load([path]), load([ROOT / "config.yaml"])
    assert list(alone.studies) == [study]
    assert alone.studies[study] == whole.studies[study]
    for section in ("inputs", "ensembles", "data", "trained"):
        for name, entry in getattr(alone, section).items():
            assert entry == getattr(whole, section)[name]


def test_the_reference_has_all_that_the_package_offers(site):
    text = (site / "docs/reference/finitewidth.html").read_text(encoding="utf-8")
    offered = [n for n in dir(finitewidth) if n[0] != "_" and callable(getattr(finitewidth, n))]
    for name in offered:
        if getattr(finitewidth, name).__module__.startswith("finitewidth."):
            assert f">{name}<" in text, name
    theory = (site / "docs/reference/theory.html").read_text(encoding="utf-8")
    assert "A critical point, and how a network behaves at it" in theory


def test_addresses_elsewhere_are_whole_and_encrypted():
    for path in (*ROOT.glob("docs/**/*.md"), ROOT / "README.md"):
        for url in re.findall(r"\]\((https?:[^)\s]*)\)", path.read_text(encoding="utf-8")):
            parts = urlsplit(url)
            assert parts.scheme == "https", f"{path.name}: {url}"
            assert "." in parts.netloc, f"{path.name}: {url}"


@pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="there is no chromium (make browser)")
def test_a_browser_shows_equations_and_finds_words_from_a_folder(site, tmp_path):
    with browser(tmp_path / "profile") as driver:
        for page in ("theory", "glossary", "gallery", "tutorials/kernel"):
            driver.get((site / f"docs/{page}.html").as_uri())
            driver.set_script_timeout(60)
            driver.execute_async_script(
                "const done = arguments[0]; window.MathJax"
                " ? MathJax.startup.promise.then(() => done()) : done()"
            )
            wrong = driver.find_elements("css selector", "mjx-merror, [data-mjx-error]")
            assert [each.get_attribute("outerHTML")[:300] for each in wrong] == []
            if page in ("theory", "glossary"):
                assert len(driver.find_elements("css selector", "mjx-container svg")) > 50
        assert complaints(driver) == []
        # It finds words without a server, too, but for the lines in which they stand.
        driver.get((site / "search.html").as_uri() + "?q=jackknife")
        driver.implicitly_wait(20)
        assert driver.find_elements("css selector", "#search-results li")
        assert requests(driver) == []

"""The report, opened in a real browser: pictures, tables, and titles that would do harm."""

import json
import shutil
from itertools import count

import pytest
import yaml

import browsing
from finitewidth.comparison.by_number import by_number
from finitewidth.comparison.tables import read_csv
from running import TINY, TINYS, snakemake

TITLES = {
    "covariance": "</script><script>window.harmed = 1</script> --> {{ 7 * 7 }} {% raw %}",
    "trained": ".. raw:: html <img src=x onerror='window.harmed = 1'> `a <javascript:1>`_ |b| c_",
}


@pytest.fixture(scope="module")
def report(tiny, tmp_path_factory):
    """The report of the tiny study with hostile titles, and the folder it stands in."""
    folder = tmp_path_factory.mktemp("report")
    shutil.copytree(tiny, folder, dirs_exist_ok=True)
    content = yaml.safe_load(TINY.read_text())
    for study, title in TITLES.items():
        content["studies"][study]["title"] = title
    path = folder / "hostile.yaml"
    path.write_text(yaml.safe_dump(content))
    for arguments in (["--cores", "2"], ["--report", "results/report.html"]):
        done = snakemake(folder, "--configfile", path, "--config", "run=tiny", *arguments)
        assert done.returncode == 0, done.stdout
    return folder / "results" / "report.html", content


def test_titles_stand_in_the_report_as_text(report):
    """What a browser is not needed for: nothing in the file ends a script that it stands in."""
    text = report[0].read_text(encoding="utf-8")
    assert "<script>window.harmed" not in text
    assert "<img src=x" not in text
    # The parameters of jobs, which Snakemake writes out as they are, hold the title and no tag.
    results = json.loads(
        text.split('<script id="results">\n    var results = ')[1].split(";\n    </script>")[0]
    )
    written = [entry["job_properties"]["params"] for entry in results.values()]
    assert any("window.harmed" in params for params in written)
    assert not any("<" in params for params in written)


@pytest.fixture(scope="module")
def driver(tmp_path_factory):
    if not (browsing.CHROMIUM and browsing.DRIVER):
        pytest.skip("there is no chromium with chromedriver here (make browser)")
    with browsing.browser(tmp_path_factory.mktemp("profile")) as driver:
        driver.get("about:blank")
        browsing.requests(driver)
        yield driver


@pytest.fixture
def page(driver, report):
    """The report, freshly opened; what it asked for and complained of is looked at afterwards."""
    open_report(driver, report)
    yield driver
    assert driver.execute_script("return window.harmed") is None
    assert browsing.complaints(driver) == []
    assert browsing.requests(driver) == []


def _wait(driver, script, seconds=20.0):
    from selenium.webdriver.support.wait import WebDriverWait

    return WebDriverWait(driver, seconds, 0.05).until(lambda d: d.execute_script(script))


def open_report(driver, report):
    """Open the front page; without transitions, during which clicks would meet something else."""
    driver.get(report[0].as_uri())
    _wait(driver, "return document.querySelector('#brand') !== null")
    driver.execute_script(
        "const s = document.createElement('style'); s.textContent ="
        "'* { transition: none !important }'; document.head.append(s)"
    )


def click(driver, text):
    """Click on the link with this text, as a person would."""
    from selenium.webdriver.common.by import By

    def press(driver):
        links = driver.find_elements(By.TAG_NAME, "a")
        next(a for a in links if a.text.strip() == text).click()
        return True

    _patiently(driver, press)


def _patiently(driver, press):
    """What slides, or is being drawn anew, is tried again: a click may meet what is beside."""
    from selenium.common.exceptions import (
        ElementClickInterceptedException,
        StaleElementReferenceException,
    )
    from selenium.webdriver.support.wait import WebDriverWait

    moving = (ElementClickInterceptedException, StaleElementReferenceException)
    WebDriverWait(driver, 20, 0.1, ignored_exceptions=moving).until(press)


def entry(driver, label, button):
    """Click on the eye (0) or the information (1) of a result of the study that is open."""
    from selenium.webdriver.common.by import By

    def press(driver):
        row = next(r for r in driver.find_elements(By.CSS_SELECTOR, "tbody tr") if label in r.text)
        row.find_elements(By.TAG_NAME, "a")[button].click()
        return True

    _patiently(driver, press)


def test_the_front_page_names_every_study(page, report):
    text = page.execute_script("return document.querySelector('.prose').innerText")
    for name, study in report[1]["studies"].items():
        assert name in text
        assert " ".join(study.get("title", "").split()) in text
    assert "System Message" not in text
    widths = page.execute_script(
        "return [...document.querySelectorAll('.prose img')].map(i => i.naturalWidth)"
    )
    assert len(widths) == sum(len(s["figures"]) for s in report[1]["studies"].values())
    assert min(widths) > 100


def test_every_figure_is_shown_and_its_caption_read(page, report):

    content = report[1]
    seen = count()
    for study, described in content["studies"].items():
        for figure in described["figures"]:
            page.execute_script("app.setView({navbarMode: 'menu'})")
            click(page, study)
            label = f"figure: {figure.replace('_', ' ')}"
            entry(page, label, 0)
            _wait(page, "const i = document.querySelector('#app img[src^=\"data:image/png\"]');"
                        f"return i && i.src.includes('filename={figure}.png')"
                        " && i.naturalWidth > 300")  # fmt: skip
            entry(page, label, 1)
            caption = _wait(page, "return document.querySelector('li.prose')?.innerText")
            assert " ".join(described.get("title", "").split()) in caption
            for ensemble in (described.get("ensembles") or []) + (described.get("trained") or []):
                assert f"{ensemble}: " in caption
            assert "System Message" not in caption
            # What fills screens stands in the figure's stamp.
            shown = page.execute_script("return document.querySelector('#app').innerText")
            assert "code_sha256" not in shown
            assert "JOB PARAMETERS" not in shown.upper()
            next(seen)
    assert next(seen) == sum(len(s["figures"]) for s in content["studies"].values()) > 20


def test_every_table_is_shown_and_says_how_it_turned_out(page, report):
    from selenium.webdriver.common.by import By

    for study in report[1]["studies"]:
        page.execute_script("app.setView({navbarMode: 'menu'})")
        click(page, study)
        entry(page, "table: theory beside estimate", 0)
        rows = read_csv(report[0].parent.parent / TINYS / f"studies/{study}/comparison.csv")
        frame = _wait(page, "return document.querySelector('iframe')")
        page.switch_to.frame(frame)
        _wait(page, "return document.querySelectorAll('tbody tr').length > 0"
                    f" && document.title.startsWith('{study}:')")  # fmt: skip
        shown = page.find_elements(By.CSS_SELECTOR, "tbody tr")
        numbers = len(by_number(rows))
        assert len(shown) == min(numbers, 500)
        assert f"{numbers} of {numbers} numbers" in page.find_element(By.ID, "count").text
        assert page.execute_script("return window.harmed") is None
        page.switch_to.default_content()
        entry(page, "table: theory beside estimate", 1)
        caption = _wait(page, "return document.querySelector('li.prose')?.innerText")
        assert f"{len(rows)} rows" in caption


def test_a_table_sorts_narrows_down_and_marks_what_is_not_trusted(page, report):
    from selenium.webdriver.common.by import By
    from selenium.webdriver.support.select import Select

    file = report[0].parent.parent / TINYS / "studies/everything/comparison.html"
    rows = read_csv(file.with_suffix(".csv"))
    page.get(file.as_uri())
    numbers = by_number(rows)
    Select(page.find_element(By.NAME, "verdict")).select_by_visible_text("not trusted")
    distrusted = (~numbers["trusted"]).sum()
    assert f"{distrusted} of {len(numbers)} numbers" in page.find_element(By.ID, "count").text
    marked = page.find_elements(By.CSS_SELECTOR, "tbody tr.not-trusted")
    assert len(marked) == min(distrusted, 500) > 0
    Select(page.find_element(By.NAME, "verdict")).select_by_visible_text("all")
    Select(page.find_element(By.NAME, "quantity")).select_by_visible_text("covariance")
    heading = next(h for h in page.find_elements(By.TAG_NAME, "th") if h.text == "estimate")
    estimates = rows.loc[rows["quantity"] == "covariance", "estimate"]
    for first in (estimates.min(), estimates.max()):
        heading.click()
        place = page.execute_script(
            "return [...document.querySelectorAll('th')].indexOf(arguments[0])", heading
        )
        cell = page.find_element(By.CSS_SELECTOR, f"tbody tr td:nth-child({place + 1})")
        assert float(cell.text) == pytest.approx(first, rel=1e-3)
    # Four digits are as many characters for the largest number as for any other.
    drawn = page.find_elements(By.CSS_SELECTOR, "tbody tr td.number")
    assert 3 < max(len(cell.text) for cell in drawn) <= 12
    page.find_element(By.NAME, "search").send_keys("no such row")
    assert f"0 of {len(numbers)} numbers" in page.find_element(By.ID, "count").text

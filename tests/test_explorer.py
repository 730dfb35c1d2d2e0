"""The HTML report in a real browser: quiet, self-contained, and usable by mouse and by keyboard."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from playwright.sync_api import expect

from privaudit.report.write import render_report
from tests.browser import Watched, find_axe, opened_browser
from tests.conftest import Run
from tests.test_compare import write_signals

ROWS = ".viewport tbody tr[data-position]"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with opened_browser() as found:
        yield found


@pytest.fixture(scope="module")
def report(small_audit: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("explorer") / str(small_audit["results"]["audit"])
    shutil.copytree(small_audit["root"] / "out" / folder.name, folder)
    render_report(folder)
    return folder / "report.html"


@pytest.fixture(scope="module")
def page(browser: Any, report: Path) -> Any:
    """One page for the tests of the explorer; each begins with all samples shown."""
    return Watched(browser, report).page


@pytest.fixture(autouse=True)
def show_all(request: pytest.FixtureRequest) -> None:
    if "page" in request.fixturenames:
        page = request.getfixturevalue("page")
        page.get_by_role("button", name="Show all samples").click()


def cells(page: Any, column: int, rows: int = 8) -> list[str]:
    """The first cells of a column as they are shown."""
    found = page.locator(ROWS).evaluate_all("(rows, at) => rows.map(row => row.children[at].textContent)", column)
    return [str(text) for text in found[:rows]]


def shown(page: Any) -> int:
    """How many samples the status line counts."""
    return int(page.locator(".status").inner_text().split(" of ")[0].replace(",", ""))


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1100])
def test_the_page_is_quiet_and_alone(browser: Any, report: Path, scheme: str, width: int) -> None:
    watched = Watched(browser, report, width=width, scheme=scheme)
    watched.page.locator(".viewport").scroll_into_view_if_needed()
    assert watched.page.locator(ROWS).count() > 5
    assert watched.said == []
    assert watched.requests_beyond(report) == []
    assert watched.page.evaluate("document.documentElement.scrollWidth") <= width
    watched.context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_serious_accessibility_finding(browser: Any, report: Path, scheme: str) -> None:
    axe = find_axe()
    watched = Watched(browser, report, scheme=scheme)
    watched.page.locator("details").evaluate_all("all => all.forEach(one => { one.open = true; })")
    watched.page.evaluate(axe)
    found = watched.page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    serious = [
        (one["id"], one["nodes"][0]["html"][:200])
        for one in found["violations"]
        if one["impact"] in ("serious", "critical")
    ]
    assert serious == []
    assert len(found["passes"]) > 20  # it did look
    watched.context.close()


def test_without_script_everything_else_is_there(browser: Any, report: Path) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(report.absolute().as_uri())
    assert page.locator("#explorer-app").is_hidden()
    assert page.locator("noscript p").is_visible()
    assert page.locator("figure img").count() >= 3
    assert page.get_by_text("The most exposed samples that either half of the models confirms").first.is_visible()
    context.close()


def test_a_title_sorts_by_mouse_and_by_keyboard(page: Any) -> None:
    title = page.locator(".viewport").get_by_role("columnheader", name="Sample").get_by_role("button")
    title.click()
    assert cells(page, 0) == [str(number) for number in range(8)]
    title.focus()
    page.keyboard.press("Enter")
    assert cells(page, 0) == [str(number) for number in range(299, 291, -1)]
    header = page.locator(".viewport").get_by_role("columnheader", name="Sample")
    assert header.get_attribute("aria-sort") == "descending"
    risk = page.locator(".viewport").get_by_role("columnheader", name="Risk").first
    risk.get_by_role("button").click()
    values = [float(text.rstrip("%")) for text in cells(page, 2)]
    assert values == sorted(values, reverse=True)


def test_columns_beside_the_window_are_named(page: Any) -> None:
    beside = page.locator(".hidden-columns")
    titles = [one.strip(" ▼▲") for one in page.locator(".viewport thead button").all_inner_texts()]
    expect(beside).to_contain_text("to the right, by scrolling")
    expect(beside).to_contain_text(titles[-1])
    expect(beside).not_to_contain_text("to the left")
    page.locator(".viewport").evaluate("it => { it.scrollLeft = it.scrollWidth; }")
    expect(beside).to_contain_text("to the left: Sample")
    expect(beside).not_to_contain_text("to the right")
    page.locator(".viewport").evaluate("it => { it.scrollLeft = 0; }")


def test_equal_risks_stand_in_the_order_of_the_ranking(page: Any, small_audit: dict[str, Any]) -> None:
    table = pd.read_parquet(small_audit["results"]["scores"])
    ranked = table[~table["canary"]].sort_values("rank")["sample_id"]
    title = page.locator(".viewport").get_by_role("columnheader", name="Risk").first.get_by_role("button")
    if page.locator(".viewport th").nth(2).get_attribute("aria-sort") != "descending":
        title.click()
    assert cells(page, 0) == [str(one) for one in ranked[:8]]


def test_search_and_filters(page: Any) -> None:
    page.get_by_label("Search").fill("29")
    expected = sum("29" in str(number) for number in range(300))
    expect(page.locator(".status")).to_contain_text(f"{expected} of 300")
    assert all("29" in text for text in cells(page, 0))
    page.get_by_role("button", name="Show all samples").click()
    assert shown(page) == 300
    page.get_by_label("Class", exact=True).select_option(label="1")
    some = shown(page)
    assert 50 < some < 150
    assert set(cells(page, 1)) == {"1"}
    page.get_by_label("Across, from").fill("60")
    expect(page.locator(".status")).not_to_contain_text(f"{some} of 300")
    assert 0 < shown(page) < some
    assert all(float(text.rstrip("%")) >= 60 for text in cells(page, 2))


def test_a_brush_filters_the_table(page: Any) -> None:
    canvas = page.locator(".plot canvas").last
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.6, box["y"] + 15)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] - 20, box["y"] + box["height"] - 50, steps=5)
    page.mouse.up()
    some = shown(page)
    assert 0 < some < 300
    low = float(page.get_by_label("Across, from").input_value())
    assert all(float(text.rstrip("%")) >= low - 0.1 for text in cells(page, 2, rows=30))
    canvas.focus()
    page.keyboard.press("Escape")
    assert shown(page) == 300


def test_a_dot_finds_its_row_and_a_row_its_dot(page: Any) -> None:
    canvas = page.locator(".plot canvas").last
    canvas.focus()
    page.keyboard.press("ArrowRight")
    first = page.locator(".readout").inner_text()
    page.keyboard.press("ArrowRight")
    second = page.locator(".readout").inner_text()
    assert first
    assert first != second
    chosen = page.locator(f'{ROWS}[aria-selected="true"]')
    assert f"Sample {chosen.locator('td').first.inner_text()} " in second
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.matches('tr[aria-selected=true]')")

    def drawn() -> int:
        pixels = "getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data"
        return int(canvas.evaluate(f"canvas => canvas.{pixels}.reduce((a, b) => a + b)"))

    before = drawn()
    page.locator(ROWS).nth(3).click()
    assert drawn() != before
    assert f"Sample {chosen.locator('td').first.inner_text()} " in page.locator(".readout").inner_text()


def test_the_table_is_walked_by_keyboard(page: Any) -> None:
    row = page.locator(f'{ROWS}[tabindex="0"]')
    assert row.count() == 1  # one stop for the tab key
    row.focus()
    for key, place in (("Home", 0), ("ArrowDown", 1), ("ArrowDown", 2), ("ArrowUp", 1), ("End", 299), ("Home", 0)):
        page.keyboard.press(key)
        assert page.evaluate("Number(document.activeElement.dataset.position)") == place
    page.keyboard.press("PageDown")
    assert page.evaluate("Number(document.activeElement.dataset.position)") > 4
    # A focused row that is scrolled out of sight leaves the keyboard in the table.
    page.locator(".viewport").evaluate("box => { box.scrollTop = box.scrollHeight; }")
    page.wait_for_timeout(50)
    assert page.evaluate("document.querySelector('.viewport').contains(document.activeElement)")


def test_sixty_thousand_samples(browser: Any, privaudit: Run, tmp_path: Path) -> None:
    """Small enough to send, quick enough not to be noticed."""
    random = np.random.default_rng(0)
    models, samples = 4, 60_000
    keep = np.zeros((models, samples), np.bool_)
    for pair in range(0, models, 2):
        keep[pair, random.permutation(samples)[: samples // 2]] = True
        keep[pair + 1] = ~keep[pair]
    hard = random.gamma(0.6, 1.2, samples)
    statistic = random.normal(4 - 0.8 * hard + 1.1 * hard * keep, 1)
    np.savez(tmp_path / "many.npz", statistic=statistic, keep=keep, labels=random.integers(0, 10, samples))
    done = privaudit("score", "--signals", tmp_path / "many.npz", "--out", tmp_path, "--redact", "ids", "--json")
    assert done.returncode == 0, done.stderr
    path = next(tmp_path.glob("*/report.html"))
    assert path.stat().st_size < 6e6
    watched = Watched(browser, path)
    page = watched.page
    assert shown(page) == samples
    assert page.locator(ROWS).count() < 60  # the others are made when they come into sight
    press = """() => {
        const start = performance.now();
        document.querySelectorAll('.viewport thead button')[3].click();
        return performance.now() - start;
    }"""
    assert min(page.evaluate(press) for _ in range(4)) < 500
    page.locator(".viewport").evaluate("box => { box.scrollTop = box.scrollHeight; }")
    page.wait_for_timeout(100)
    assert page.locator(ROWS).last.get_attribute("data-position") == str(samples - 1)
    assert watched.said == []
    watched.context.close()


def test_hostile_names_do_nothing_in_a_browser(browser: Any, privaudit: Run, tmp_path: Path) -> None:
    names = ["</script><script>alert(1)</script>", '"><img src=x onerror=alert(2)>', "abc\u202edcba"]
    signals = write_signals(tmp_path / "names.npz", 0.5, class_names=np.array(names))
    done = privaudit("score", "--signals", signals, "--out", tmp_path, "--json")
    assert done.returncode == 0, done.stderr
    path = next(tmp_path.glob("*/report.html"))
    dialogs: list[str] = []
    watched = Watched(browser, path)
    watched.page.on("dialog", lambda dialog: dialogs.append(dialog.message))
    watched.page.get_by_label("Class", exact=True).select_option(label=names[0])
    watched.page.locator(ROWS).first.click()
    assert set(cells(watched.page, 1)) == {names[0]}
    assert watched.page.locator("img:not(.panels img)").count() == 0
    watched.page.reload()
    assert dialogs == []
    assert watched.said == []
    assert watched.requests_beyond(path) == []
    watched.context.close()

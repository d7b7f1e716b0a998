"""The page of a comparison in a real browser, opened from disk."""

import io
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from PIL import Image
from selenium.webdriver import Chrome
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import Select

from clothing_lightning.comparison.page import comparison_page
from clothing_lightning.comparison.predictions import Comparison
from clothing_lightning.comparison.ranking import Ranking, rank
from clothing_lightning.metrics.significance import paired_difference_interval
from tests.browser import chromium
from tests.compared_models import comparison

pytestmark = pytest.mark.slow

CLASSES = ("Dress", "Hat", "Shirt", "Polo", "Skirt", "Body", "<b>Shoes</b>")
SKILLS = {"lite0": 2.3, "resnet18": 2.2, "own <i>cnn</i>": 1.0, "frozen": 1.9}


@pytest.fixture(scope="module")
def found() -> Comparison:
    made = comparison(SKILLS, CLASSES, images=150, seeds={"resnet18": 2})
    return replace(made, remarks=("Test images were not prepared alike.",))


@pytest.fixture(scope="module")
def ranking(found: Comparison) -> Ranking:
    return rank(found, resamples=200)


@pytest.fixture(scope="module")
def opened(
    found: Comparison, ranking: Ranking, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Chrome]:
    """The page in headless Chromium; every photo but those of Hats can be read."""
    folder = tmp_path_factory.mktemp("page")
    labels = found.images.set_index("sha256")["label"]

    def photo(content: str) -> bytes | None:
        file = io.BytesIO()
        Image.new("RGB", (40, 50), (10, 120, 200)).save(file, "PNG")
        return None if labels[content] == "Hat" else file.getvalue()

    html = comparison_page(
        found, ranking, title="T", command="compare", photo=photo, links={}
    )
    (folder / "index.html").write_text(html, encoding="utf-8")
    with chromium(folder / "browser") as browser:
        browser.get((folder / "index.html").as_uri())
        yield browser


@pytest.fixture
def browser(opened: Chrome) -> Chrome:
    """The page as it is when it has just been opened."""
    opened.refresh()
    return opened


@pytest.fixture(autouse=True)
def no_console_message(browser: Chrome) -> Iterator[None]:
    yield
    assert browser.get_log("browser") == []  # type: ignore[no-untyped-call]


def find(browser: Chrome, css: str) -> WebElement:
    return browser.find_element(By.CSS_SELECTOR, css)


def shown(browser: Chrome, css: str) -> list[str]:
    """Texts of what is in sight."""
    elements = browser.find_elements(By.CSS_SELECTOR, css)
    return [element.text for element in elements if element.is_displayed()]


def heading(browser: Chrome, name: str) -> WebElement:
    xpath = f"//table[@class='ranking']//th[normalize-space()='{name}']/span"
    return browser.find_element(By.XPATH, xpath)


NAMES = ".ranking .name"


def test_ranking_sorts_by_click_and_by_key(browser: Chrome, ranking: Ranking) -> None:
    assert shown(browser, NAMES) == [s.model.title for s in ranking.models]
    by_size = sorted(ranking.models, key=lambda s: -s.costs["params"])
    titles = [s.model.title for s in by_size]
    heading(browser, "parameters").click()
    assert shown(browser, NAMES) == titles
    heading(browser, "parameters").send_keys(Keys.ENTER)
    assert shown(browser, NAMES) == titles[::-1]
    marked = find(browser, ".ranking th[aria-sort]")
    assert marked.get_attribute("aria-sort") == "ascending"
    assert marked.text.startswith("parameters")


def test_places_sort_from_the_first(browser: Chrome, ranking: Ranking) -> None:
    heading(browser, "parameters").click()
    heading(browser, "place").click()
    assert shown(browser, NAMES) == [s.model.title for s in ranking.models]


def test_every_table_sorts(browser: Chrome) -> None:
    for details in browser.find_elements(By.TAG_NAME, "summary"):
        details.click()
    for button in browser.find_elements(By.CSS_SELECTOR, "th [role=button]"):
        button.send_keys(Keys.SPACE)
        parent = button.find_element(By.XPATH, "..")
        assert parent.get_attribute("aria-sort") in ("ascending", "descending")


def test_runs_unfold_and_stay_with_their_model(browser: Chrome) -> None:
    assert shown(browser, ".run .of") == []
    button = browser.find_element(By.XPATH, "//button[.='2 runs']")
    button.click()
    assert button.get_attribute("aria-expanded") == "true"
    heading(browser, "accuracy").click()
    body = button.find_element(By.XPATH, "ancestor::tbody")
    runs = [row.text for row in body.find_elements(By.CSS_SELECTOR, ".run .of")]
    assert len(runs) == 2
    assert all("seed" in text for text in runs)
    find(browser, "#unfold").click()
    assert len(shown(browser, ".run .of")) == 5
    assert find(browser, "#unfold").text == "fold all runs"
    button.click()
    assert find(browser, "#unfold").text == "unfold all runs"
    button.click()
    assert find(browser, "#unfold").text == "fold all runs"


def test_rows_can_be_hidden_and_brought_back(browser: Chrome) -> None:
    before = shown(browser, NAMES)
    find(browser, ".ranking input").click()
    assert shown(browser, NAMES) == before[1:]
    find(browser, "#show-all").click()
    assert shown(browser, NAMES) == before
    assert shown(browser, "#show-all") == []


def test_search_finds_models_and_classes(browser: Chrome) -> None:
    find(browser, "input[data-for=ranking]").send_keys("CNN")
    assert shown(browser, NAMES) == ["own <i>cnn</i>"]
    assert "1 of 4" in shown(browser, ".count")
    find(browser, "#search-gains").send_keys("shoe")
    assert shown(browser, "#gains tbody th") == ["<b>Shoes</b>"]


def test_theme_follows_the_reader_and_the_button(browser: Chrome) -> None:
    def ground() -> str:
        script = "return getComputedStyle(document.body).backgroundColor"
        colour: str = browser.execute_script(script)
        return colour

    assert ground() == "rgb(255, 255, 255)"
    find(browser, "#theme").click()
    assert ground() == "rgb(21, 23, 28)"
    find(browser, "#theme").click()
    assert ground() == "rgb(255, 255, 255)"


def test_one_cost_is_shown_at_a_time(browser: Chrome) -> None:
    (sentence,) = shown(browser, ".cost > p")
    assert sentence.startswith("By MACs")
    Select(find(browser, "#cost")).select_by_visible_text("size")
    (sentence,) = shown(browser, ".cost > p")
    assert sentence.startswith("By size")


def shares(found: Comparison, ranking: Ranking, place: int) -> np.ndarray[Any, Any]:
    model = ranking.models[place].model
    return np.asarray(np.nanmean(found.rights(model), axis=0))


def number(text: str) -> float:
    return float(text.replace("−", "-").replace("< ", ""))  # noqa: RUF001


def cells(row: WebElement) -> list[str]:
    return [cell.text for cell in row.find_elements(By.TAG_NAME, "td")]


@pytest.mark.parametrize(("a", "b"), [(0, 1), (2, 0), (1, 3)])
def test_numbers_of_a_pair_are_those_of_python(
    browser: Chrome, found: Comparison, ranking: Ranking, a: int, b: int
) -> None:
    Select(find(browser, "#pick-a")).select_by_value(str(a))
    Select(find(browser, "#pick-b")).select_by_value(str(b))
    pair, sign = ranking.pair(a, b), 1 if a < b else -1
    rows = browser.find_elements(By.CSS_SELECTOR, "#pair-numbers tbody tr")
    accuracy, f1 = (cells(row) for row in rows)
    both = (ranking.models[a], ranking.models[b])
    for texts, score, difference, p, holm in (
        (
            accuracy,
            "accuracy",
            pair.accuracy.difference,
            pair.accuracy.p,
            pair.accuracy.p_holm,
        ),
        (
            f1,
            "macro_f1",
            pair.macro_f1.difference,
            pair.macro_f1.p,
            pair.macro_f1.p_holm,
        ),
    ):
        expected = [ranked.scores[score].value for ranked in both]
        assert [number(t) for t in texts[:2]] == pytest.approx(expected, abs=6e-4)
        assert number(texts[2]) == pytest.approx(sign * difference, abs=6e-4)
        expected = [max(p, 0.001), max(holm, 0.001)]
        assert [number(t) for t in texts[4:]] == pytest.approx(expected, abs=6e-4)
    ends = (
        (pair.accuracy.low, pair.accuracy.high)
        if a < b
        else (-pair.accuracy.high, -pair.accuracy.low)
    )
    told = [number(t) for t in accuracy[3].split(" to ")]
    assert told == pytest.approx(ends, abs=6e-4)
    gap = shares(found, ranking, a) - shares(found, ranking, b)
    check_gains(browser, found, gap)


def check_gains(browser: Chrome, found: Comparison, gap: np.ndarray[Any, Any]) -> None:
    """Classes that gain and lose, with their intervals."""
    seen = []
    for row in browser.find_elements(By.CSS_SELECTOR, "#gains tbody tr"):
        name = row.find_element(By.TAG_NAME, "th").text
        of_class = gap[(found.images["label"] == name).to_numpy()]
        images, _, _, text, _ = cells(row)
        difference, ends = text.split("\n")
        seen.append(number(difference))
        assert number(images) == len(of_class)
        assert seen[-1] == pytest.approx(of_class.mean(), abs=6e-4)
        told = [number(t) for t in ends.split(" to ")]
        expected = paired_difference_interval(of_class)
        assert told == pytest.approx(expected, abs=6e-4)
    assert len(seen) == len(CLASSES)
    assert seen == sorted(seen, reverse=True)


def test_cells_of_a_matrix_tell_their_counts(
    browser: Chrome, found: Comparison, ranking: Ranking
) -> None:
    matrix = find(browser, "#matrix-a svg")
    matrix.send_keys(Keys.ARROW_DOWN, Keys.ARROW_RIGHT)
    name = found.class_names[1]
    of_class = (found.images["label"] == name).to_numpy()
    right = shares(found, ranking, 0)[of_class].sum()
    told = find(browser, "#matrix-a output").text
    assert told == (
        f"True {name}, predicted {name}. A: {right:.3g} of {of_class.sum()}"
    )
    ActionChains(browser).move_to_element(find(browser, "#matrix-b svg")).perform()
    assert find(browser, "#matrix-b output").text.startswith("True ")


def test_cell_of_all_pairs_chooses_the_pair(browser: Chrome) -> None:
    find(browser, "#all-pairs svg").send_keys(Keys.ARROW_DOWN, Keys.ENTER)
    assert Select(find(browser, "#pick-a")).first_selected_option.text[0] == "2"
    assert Select(find(browser, "#pick-b")).first_selected_option.text[0] == "1"
    find(browser, "#swap").click()
    assert Select(find(browser, "#pick-a")).first_selected_option.text[0] == "1"
    Select(find(browser, "#pick-a")).select_by_value("0")
    Select(find(browser, "#pick-b")).select_by_value("0")
    assert "the same model" in find(browser, "#verdict").text


def test_images_that_only_one_model_gets_right_open_and_close(
    browser: Chrome, found: Comparison, ranking: Ranking
) -> None:
    gap = shares(found, ranking, 0) - shares(found, ranking, 1)
    for side, count in (("a", (gap >= 0.5).sum()), ("b", (gap <= -0.5).sum())):
        title = find(browser, f"#only-{side}-title").text
        assert re.fullmatch(rf". right, . wrong \({count}\)", title)
    photos = browser.find_elements(By.CSS_SELECTOR, "#only-a figure button")
    assert photos
    photos[0].send_keys(Keys.ENTER)
    dialog = find(browser, "#large")
    assert dialog.is_displayed()
    assert re.search(r"A: .+ · B: .+\nimages/\d+\.jpg", dialog.text)
    image = dialog.find_element(By.TAG_NAME, "img")
    assert image.get_property("naturalWidth") == 40
    ActionChains(browser).send_keys(Keys.ESCAPE).perform()
    assert not dialog.is_displayed()
    photos[0].click()
    dialog.find_element(By.TAG_NAME, "button").click()
    assert not dialog.is_displayed()


def test_images_without_a_photo_are_named_by_their_path(
    browser: Chrome, found: Comparison, ranking: Ranking
) -> None:
    gap = shares(found, ranking, 0) - shares(found, ranking, 1)
    hats = (found.images["label"] == "Hat").to_numpy() & (gap >= 0.5)
    assert hats.any()
    for summary in browser.find_elements(By.CSS_SELECTOR, ".photos summary"):
        summary.click()
    paths = shown(browser, "#only-a .path")
    assert set(found.images["path"][hats]) <= set(paths)


@pytest.mark.parametrize("width", [390, 1400])
def test_page_is_not_wider_than_the_window(browser: Chrome, width: int) -> None:
    view = {
        "width": width,
        "height": 900,
        "deviceScaleFactor": 1,
        "mobile": width < 500,
    }
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", view)
    browser.refresh()
    script = "return document.documentElement.scrollWidth"
    assert browser.execute_script(script) <= width
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_page_asks_nobody_for_anything(browser: Chrome) -> None:
    script = "return performance.getEntriesByType('resource').map(each => each.name)"
    loaded = browser.execute_script(script)
    assert [name for name in loaded if not name.startswith("data:")] == []

"""The MLflow UI in a real browser, on runs that `fit` has made."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from mlflow.entities import Run
from PIL import Image
from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait

from clothing_lightning import fit
from clothing_lightning.tracking.store import client, tracking_uri
from tests.browser import chromium

pytestmark = pytest.mark.slow

WAIT_S = 60  # pages take two seconds, but many more on a machine that is busy
# The UI asks who is logged in, which a server without accounts cannot say; and browsers
# say this of pages that are laid out again while they are.
NOT_OURS = ("mlflow/users/current", "ResizeObserver loop completed")
EPOCHS = 3


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Chrome]:
    """A window so wide that no table leaves columns out."""
    with chromium(tmp_path / "browser", (7000, 1600)) as browser:
        yield browser


class Pages:
    """What a person does and sees on the UI's pages."""

    def __init__(self, browser: Chrome, url: str) -> None:
        self.browser = browser
        self.url = url

    def open(self, page: str) -> None:
        self.browser.get(f"{self.url}/#/{page}")

    def until(self, what: Callable[[], Any], goal: str) -> Any:
        """What is given once it is true; pages are drawn again at any time."""

        def tried(_: Chrome) -> Any:
            try:
                return what()
            except StaleElementReferenceException:
                return None

        wait: WebDriverWait[Chrome] = WebDriverWait(self.browser, WAIT_S, 0.1)
        return wait.until(tried, f"{goal}; the page says:\n{self.text()}")

    def text(self) -> str:
        return self.browser.find_element(By.TAG_NAME, "body").text

    def find(self, xpath: str) -> WebElement:
        def visible() -> WebElement | None:
            found = self.browser.find_elements(By.XPATH, xpath)
            return next((each for each in found if each.is_displayed()), None)

        element: WebElement = self.until(visible, xpath)
        return element

    def faults(self) -> list[str]:
        """What the console calls severe, without what MLflow always has."""
        return [
            entry["message"]
            for entry in self.browser.get_log("browser")  # type: ignore[no-untyped-call]
            if entry["level"] == "SEVERE"
            and not any(known in entry["message"] for known in NOT_OURS)
        ]


@pytest.fixture
def runs(experiment: Path, workplace: Path) -> list[Run]:
    """Two finished runs, the first one first."""
    epochs = ["--trainer.max_epochs", str(EPOCHS)]
    assert fit.main([str(experiment), "--run.name", "first", *epochs]) == 0
    words = ["--run.name", "second", "--model.init_args.class_weights", "none"]
    assert fit.main([str(experiment), *words, *epochs]) == 0
    store = client(tracking_uri())
    ids = [each.experiment_id for each in store.search_experiments()]
    return list(store.search_runs(ids, order_by=["attributes.start_time"]))


def test_the_ui_shows_runs_side_by_side_and_the_confusion_matrix_over_the_epochs(
    runs: list[Run],
    workplace: Path,
    serve: Callable[..., str],
    browser: Chrome,
) -> None:
    # The words of `make ui`.
    store = "sqlite:///mlruns/mlflow.db"
    url = serve("ui", "--backend-store-uri", store, cwd=workplace)
    pages = Pages(browser, url)
    experiment = f"experiments/{runs[0].info.experiment_id}/runs"

    pages.open(experiment)
    check_list(pages, runs)
    ids = json.dumps([run.info.run_id for run in runs])
    pages.open(
        f"compare-runs?runs={ids}&experiments=[%22{experiment.split('/')[1]}%22]"
    )
    check_comparison(pages, runs)
    pages.open(f"{experiment}/{runs[1].info.run_id}/model-metrics")
    check_images(pages, runs[1])
    assert pages.faults() == []


def check_list(pages: Pages, runs: list[Run]) -> None:
    """Both runs are listed, and their metrics can be had as columns."""
    pages.find("//button[contains(., 'Columns')]").click()
    pages.find("//*[starts-with(@title, 'Metrics (')]").click()
    pages.find("//input[@placeholder='Search columns']").send_keys(Keys.ESCAPE)
    for run in runs:
        row = f"//*[@role='row'][@row-id='{run.info.run_id}']"
        assert pages.find(f"{row}//a[.='{run.info.run_name}']")
        for name, value in run.data.metrics.items():
            cell = pages.find(f"{row}//*[@col-id='metrics.`{name}`']")
            assert float(cell.text) == pytest.approx(value), name


def check_comparison(pages: Pages, runs: list[Run]) -> None:
    """All metrics of both runs stand beside each other."""
    assert pages.find("//*[.='Comparing 2 Runs from 1 Experiment']")
    for run in runs:
        assert pages.find(f"//a[.='{run.info.run_id}']")
        assert pages.find(f"//td[normalize-space()='{run.info.run_name}']")
    wanted = set(runs[0].data.metrics) | set(runs[1].data.metrics)
    assert {"train/loss", "val/macro_f1", "test/accuracy", "test/macro_f1"} <= wanted
    table: dict[str, list[str]] = {}

    def scrolled() -> bool:
        table.update(pages.browser.execute_script(SCROLL_METRICS))
        return table.keys() >= wanted

    pages.until(scrolled, f"metrics {wanted}")
    for name, cells in table.items():
        for run, cell in zip(runs, cells, strict=True):
            value = run.data.metrics.get(name)
            if value is not None:
                digits = max(0.0005, abs(value) * 0.005)  # the table rounds
                assert float(cell) == pytest.approx(value, abs=digits), name


# The table draws only the rows in sight. Gives those, by name, and scrolls on.
SCROLL_METRICS = """
    let part = document.querySelector('[aria-label="Metrics - Show diff only"]');
    while (part && !part.querySelector('[role=grid]')) part = part.parentElement;
    if (!part) return {};
    const [names, values] = part.querySelectorAll('[role=grid]');
    const rows = {};
    for (const cell of names.querySelectorAll('[role=rowgroup] > div')) {
        const beside = [...values.querySelectorAll('[role=rowgroup] > div')]
            .filter(other => other.style.top === cell.style.top)
            .sort((a, b) => parseInt(a.style.left) - parseInt(b.style.left));
        if (beside.length === 2)
            rows[cell.textContent.trim()] = beside.map(each => each.textContent.trim());
    }
    const end = values.scrollTop + values.clientHeight >= values.scrollHeight;
    values.scrollTop = end ? 0 : values.scrollTop + 150;
    return rows;
"""


def check_images(pages: Pages, run: Run) -> None:
    """The confusion matrix can be stepped through, as large as it was drawn."""
    folder = Path(run.info.artifact_uri.removeprefix("file://")) / "images"
    widths = set()
    for file in folder.glob("val~*.png"):
        with Image.open(file) as image:
            widths.add(image.width)
    (width,) = widths
    search = pages.find("//input[contains(@placeholder, 'Search metric')]")
    search.send_keys("confusion")
    card = "//*[@title='val/confusion_matrix']/ancestor::div[.//button][1]"
    pages.find(f"{card}//button[contains(@data-component-id, 'fullscreen')]").click()
    dialog = "//*[@role='dialog']"
    thumb = pages.find(f"{dialog}//*[@role='slider']")
    assert thumb.get_attribute("aria-valuemax") == str(EPOCHS - 1)
    seen = []
    for epoch in range(EPOCHS):
        seen.append(shown_image(pages, dialog, f"step%2B{epoch}%2B", width))
        thumb.send_keys(Keys.ARROW_RIGHT)
    assert len(set(seen)) == EPOCHS


def shown_image(pages: Pages, dialog: str, part: str, width: int) -> str:
    """Address of the one picture in sight, once it has been loaded and is that one."""

    def loaded() -> str | None:
        images = pages.browser.find_elements(By.XPATH, f"{dialog}//img")
        if [image.get_attribute("naturalWidth") for image in images] != [str(width)]:
            return None
        source = images[0].get_attribute("src") or ""
        return source if part in source else None

    address: str = pages.until(loaded, f"a picture with {part} in its address")
    return address

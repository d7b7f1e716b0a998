"""`app` from its words to a page in a real browser, with a tiny run that is trained."""

import re
import signal
import subprocess
import sys
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

from clothing_lightning import app
from clothing_lightning.inference.photo_server import listen
from clothing_lightning.inference.predictor import Predictor
from tests.browser import chromium
from tests.trained_run import Trained, trained

__all__ = ["trained"]

WAIT_S = 120


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["tiny", "--port", "70000"], "--port is 70000. It is from 0 to 65535."),
        (["tiny", "--port", "TAKEN"], "cannot be listened on"),
        (["tinny", "--port", "0"], "Closest names: tiny"),
        (["tiny", "--port", "0", "--abstain", "7"], "--abstain is 7. It is the"),
        (["--port", "0"], "the following arguments are required: RUN"),
        (["tiny", "--prot", "0"], "Closest names: --port"),
    ],
)
def test_mistakes_are_told(
    words: list[str],
    message: str,
    trained: Trained,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with listen("127.0.0.1", 0) as opened:
        taken = str(opened.getsockname()[1])
        assert app.main([taken if word == "TAKEN" else word for word in words]) == 2
    assert message in capsys.readouterr().err


@contextmanager
def running(*words: str) -> Iterator[str]:
    """The command as users start it; its address."""
    command = [sys.executable, "-m", "clothing_lightning.app", *words, "--port", "0"]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        found = re.search(r"http://127\.0\.0\.1:\d+", process.stdout.readline())
        assert found is not None, process.communicate(timeout=WAIT_S)
        yield found[0]
    finally:
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=WAIT_S)
    assert (process.returncode, out, err) == (0, "", "")


@pytest.fixture(scope="module")
def opened(
    trained: Trained, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Chrome]:
    profile = tmp_path_factory.mktemp("browser")
    with running("tiny", "--abstain", "0.1") as url, chromium(profile) as browser:
        browser.get(url)
        yield browser


def texts(browser: Chrome, css: str) -> list[str]:
    return [each.text for each in browser.find_elements(By.CSS_SELECTOR, css)]


def answers(browser: Chrome, photos: list[str]) -> list[str]:
    """The headings of the cards once all photos are answered."""
    browser.refresh()
    browser.find_element(By.ID, "files").send_keys("\n".join(photos))
    count = browser.find_element(By.ID, "count")
    total = f"{len(photos)} photo"
    WebDriverWait(browser, WAIT_S).until(
        lambda _: count.text.startswith(total) and "to go" not in count.text
    )
    return texts(browser, "article h2")


@pytest.mark.slow
def test_photos_are_answered_and_broken_ones_told(
    opened: Chrome, trained: Trained, tmp_path: Path
) -> None:
    broken = tmp_path / "<b>broken.jpg"
    broken.write_bytes(b"no image")
    photos = [trained.photo("Hat"), str(broken), trained.photo("Shirt", 3)]
    table = Predictor("tiny", device="cpu")([photos[0], photos[2]])
    first, second = table["prediction"]
    assert answers(opened, photos) == [first, "no answer", second]
    assert texts(opened, ".file") == ["000.jpg", "<b>broken.jpg", "003.jpg"]
    assert "is no image that can be read" in texts(opened, "article.broken")[0]
    assert len(opened.find_elements(By.CSS_SELECTOR, "article img")) == 4
    count = "3 photos: 2 answered, 1 cannot be read"
    assert texts(opened, "#count") == [count]
    said = opened.get_log("browser")  # type: ignore[no-untyped-call]
    assert ["422" in entry["message"] for entry in said] == [True]


@pytest.mark.slow
def test_the_slider_makes_answers_unsure_by_keyboard(
    opened: Chrome, trained: Trained
) -> None:
    (first,) = answers(opened, [trained.photo("Hat")])
    assert first != "unsure"
    slider = opened.find_element(By.ID, "threshold")
    slider.send_keys(Keys.END)
    assert texts(opened, "article h2") == ["unsure"]
    assert texts(opened, "#count") == ["1 photo: 0 answered, 1 unsure"]
    assert texts(opened, "#shown") == ["1.00"]
    assert "None of the" in texts(opened, "#validation")[0]
    slider.send_keys(Keys.HOME)
    assert texts(opened, "article h2") == [first]
    assert "100 % are answered" in texts(opened, "#validation")[0]
    opened.find_element(By.ID, "clear").click()
    assert texts(opened, "article") == texts(opened, "#count")[1:] == []
    assert opened.switch_to.active_element.get_attribute("id") == "files"


DROP = """
const [name, content] = arguments, files = new DataTransfer();
const bytes = Uint8Array.from(atob(content), character => character.charCodeAt(0));
files.items.add(new File([bytes], name));
dispatchEvent(new DragEvent("drop", {dataTransfer: files, cancelable: true}));
"""


@pytest.mark.slow
def test_photos_are_dropped_on_the_page(opened: Chrome, trained: Trained) -> None:
    opened.refresh()
    content = b64encode(Path(trained.photo("Hat")).read_bytes()).decode()
    opened.execute_script(DROP, "dropped.jpg", content)
    found = Predictor("tiny", device="cpu")(trained.photo("Hat"))["prediction"][0]
    WebDriverWait(opened, WAIT_S).until(
        lambda browser: texts(browser, "article h2") == [found]
    )
    assert texts(opened, ".file") == ["dropped.jpg"]


@pytest.mark.slow
@pytest.mark.parametrize("width", [320, 640])
def test_narrow_windows_scroll_down_alone(
    width: int, opened: Chrome, trained: Trained
) -> None:
    size = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": True}
    opened.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        answers(opened, [trained.photo("Hat")])
        wide = "return document.documentElement.scrollWidth"
        assert opened.execute_script(wide) <= width
    finally:
        opened.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})

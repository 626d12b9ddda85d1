from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import pydicom
import pytest
from support.servers.web_page import (
    CHROMIUM,
    chromium,
    hide,
    number_of,
    open_page,
    page_server,
    press,
    upload,
    wait_for_run,
    wait_until,
)

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytest.importorskip("gradio")
pytest.importorskip("playwright")
pytestmark = [pytest.mark.slow, pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")]

Server = tuple[str, subprocess.Popen[str]]


@pytest.fixture(scope="module")
def temporary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("server")


@pytest.fixture(scope="module")
def address(temporary: Path) -> Iterator[str]:
    with page_server(temporary) as (address, _):
        yield address


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def screenshots(repository: Path) -> Path:
    folder = repository / "test_output"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture
def page(browser: Browser, address: str) -> Iterator[Page]:
    with open_page(browser, address) as page:
        yield page


def points_in_plot(page: Page, count: int) -> None:
    """Wait until the plot has so many points."""
    page.wait_for_function("count => document.querySelectorAll('#plot [id^=points] use').length === count", arg=count)


def download(page: Page, name: str) -> bytes:
    with page.expect_download() as started:
        page.click(f"#downloads a[download='{name}']")
    return Path(started.value.path()).read_bytes()


def test_a_mask_drawn_over_one_lung_makes_that_lung_uncertain(page: Page, chest_cr: Path, screenshots: Path) -> None:
    upload(page, chest_cr)
    hide(page, 0.12, 0.2, 0.42, 0.66)
    press(page)
    before, after = number_of(page, "Right lung")
    assert after > 1.3 * before
    other_before, other_after = number_of(page, "Left lung")
    assert abs(other_after / other_before - 1) < 0.1
    assert "altered radiograph" in page.inner_text("#verdict")
    assert page.locator("#figures figure").count() == 2
    assert page.locator("#kind input:checked").get_attribute("value") == "masked"
    points_in_plot(page, 6)
    page.screenshot(path=screenshots / "page_1280.png", full_page=True)


def test_downloads_are_what_they_say(page: Page, chest_cr: Path) -> None:
    upload(page, chest_cr)
    page.click("#cover input")
    page.get_by_role("option", name="Left lung").click()
    press(page)
    record = json.loads(download(page, "radiograph.json"))
    assert record["schema"] == "chexmask-u/1"
    assert len(record["landmarks"]) == 120
    assert not [note for note in record["image"]["notes"] if note.startswith("altered")]
    altered = json.loads(download(page, "altered.json"))
    assert [note for note in altered["image"]["notes"] if note.startswith("altered_masked:")]
    assert altered["landmarks"] != record["landmarks"]
    source = pydicom.dcmread(chest_cr, stop_before_pixels=True)
    segmentation = pydicom.dcmread(BytesIO(download(page, "radiograph.seg.dcm")))
    assert segmentation.Modality == "SEG"
    assert segmentation.StudyInstanceUID == source.StudyInstanceUID
    assert (segmentation.Rows, segmentation.Columns) == (source.Rows, source.Columns)
    assert [item.SegmentLabel for item in segmentation.SegmentSequence] == ["Right lung", "Left lung", "Heart"]
    assert pydicom.dcmread(BytesIO(download(page, "radiograph.sr.dcm"))).Modality == "SR"
    assert download(page, "radiograph.mask.png").startswith(b"\x89PNG")
    assert download(page, "radiograph.landmarks.csv").count(b"\n") == 121
    assert b"markups" in download(page, "radiograph.mrk.json")
    # What was altered is no radiograph of a patient.
    assert page.locator("#downloads a[download^='altered'][download$='.dcm']").count() == 0


def test_the_noise_slider_fills_the_plot_in_live_mode(page: Page, chest_cr: Path) -> None:
    upload(page, chest_cr)
    page.check("#live input")
    for presses in (4, 8):
        run = page.get_attribute("#downloads nav", "data-run")
        page.focus("#noise input[type=range]")
        for _ in range(presses):
            page.keyboard.press("ArrowRight")
        page.click("#noise input[type=range]", position={"x": 20 * presses, "y": 5})
        wait_for_run(page, run)
    assert page.locator("#figures figure").count() == 2
    assert page.locator("#kind input:checked").get_attribute("value") == "noise"
    points_in_plot(page, 9)


def test_nodes_tell_their_numbers_to_mouse_and_keyboard(page: Page, chest_cr: Path) -> None:
    upload(page, chest_cr)
    page.locator("#figures .node").nth(60).hover(force=True)
    readout = page.locator("#figures .readout")
    assert readout.inner_text().startswith("LL16, left lung: x ")
    page.focus("#figures svg")
    page.keyboard.press("ArrowRight")
    assert readout.inner_text().startswith("LL17, left lung: x ")
    for measure, words in (("predictive", "Predictive"), ("latent", "Latent"), ("radius", "Radius")):
        page.check(f"#measure input[value={measure}]")
        page.wait_for_function(
            "words => document.querySelector('#figures .legend').innerText.startsWith(words)", arg=words
        )
    page.check("#ellipses input")
    page.wait_for_function("document.querySelectorAll('#figures .ellipse').length === 120")


def test_a_broken_file_is_named_and_the_page_stays_usable(page: Page, chest_cr: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.dcm"
    broken.write_bytes(chest_cr.read_bytes()[:5000])
    page.set_input_files("#upload input[type=file]", broken)
    toast = page.wait_for_selector(".toast-body", timeout=20_000)
    assert toast is not None
    words = toast.inner_text()
    assert "The file ends in the middle of its pixels" in words
    assert "Traceback" not in words
    assert "/" not in words
    assert page.locator("#downloads a").count() == 0
    page.click(".toast-close")
    upload(page, chest_cr)
    assert page.locator("#figures .node").count() == 120


def test_segmenting_nothing_says_what_to_do(page: Page) -> None:
    page.click("#segment")
    page.wait_for_selector(".toast-body:has-text('Choose a radiograph first')", timeout=20_000)


def test_two_users_do_not_see_each_other(browser: Browser, address: str, chest_cr: Path, temporary: Path) -> None:
    def folders() -> int:
        return len([path for path in temporary.glob("chexmask-u-demo-*/session-*") if path.is_dir()])

    wait_until("sessions of the tests before this one are gone", lambda: folders() == 0, seconds=60)
    with open_page(browser, address) as second:
        with open_page(browser, address) as first:
            first.set_input_files("#upload input[type=file]", chest_cr)
            second.click("#example input")
            second.get_by_role("option", name="Drawn chest").click()
            for page in (first, second):
                page.wait_for_selector("#downloads a", timeout=60_000)
            links = [page.locator("#downloads a").first.get_attribute("href") for page in (first, second)]
            assert links[0] is not None
            assert links[1] is not None
            assert links[0].split("/")[1] != links[1].split("/")[1]
            assert first.locator("#downloads a[download='radiograph.seg.dcm']").count() == 1
            assert second.locator("#downloads a[download='radiograph.seg.dcm']").count() == 0
            sizes = [json.loads(download(page, "radiograph.json"))["image"]["width"] for page in (first, second)]
            assert sizes == [1955, 1024] or sizes == [1841, 1024]
            assert folders() == 2
            assert first.request.get(address + links[0]).status == 200
        wait_until("the folder of the user who left is gone", lambda: folders() == 1, seconds=60)
        assert second.request.get(address + links[0]).status == 404
        assert second.request.get(address + links[1]).status == 200


def test_uploads_are_kept_by_nobody_else(page: Page, chest_cr: Path, temporary: Path) -> None:
    upload(page, chest_cr)
    size = chest_cr.stat().st_size
    assert [path for path in temporary.rglob("*") if path.is_file() and path.stat().st_size == size] == []


def test_narrow_screens_need_no_scrolling_sideways(
    browser: Browser, address: str, chest_cr: Path, screenshots: Path
) -> None:
    with open_page(browser, address, width=390, height=844) as page:
        upload(page, chest_cr)
        assert page.evaluate("document.documentElement.scrollWidth") == 390
        page.wait_for_timeout(500)
        page.screenshot(path=screenshots / "page_390.png", full_page=True)


def test_every_control_has_a_name(page: Page) -> None:
    nameless = page.evaluate(
        """[...document.querySelectorAll('input, button, select, textarea')].filter(each => each.offsetParent &&
        !each.labels?.length && !each.ariaLabel && !each.title && !each.innerText.trim()).map(each => each.outerHTML)"""
    )
    assert nameless == []


def test_ctrl_c_leaves_nothing_behind(tmp_path: Path) -> None:
    with page_server(tmp_path) as (_, process):
        pass
    assert process.returncode in (0, 130, -2)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]  # PyTorch makes an empty folder of its own
    assert [path.name for path in files] == ["server.log"]
    assert "Traceback" not in (tmp_path / "server.log").read_text(encoding="utf-8")

"""The page of the stage `report` in a real Chromium without network, as it is read: on a screen, a phone, on paper."""

import io
import os
import re
import shutil

import matplotlib.image
import numpy as np
import pytest
from small_results import HOSTILE

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
playwright = pytest.importorskip("playwright.sync_api", reason="playwright drives the browser")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium here")

COLOURS = {"E": "#17714a", "S": "#2b66a8", "C": "#f2c879", "I": "#ad4038"}
COLOURS_OF = (
    """elements => elements.map(e => [e.innerText, getComputedStyle(e).backgroundColor, getComputedStyle(e).color])"""
)


@pytest.fixture(scope="module")
def browser():
    sandbox = [] if os.geteuid() else ["--no-sandbox"]  # root has none
    with playwright.sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=CHROMIUM, args=sandbox)
        yield chromium
        chromium.close()


@pytest.fixture
def opened(browser, reports):
    """Opens the page; at the end nothing was asked of a network, and nothing was said on the console."""
    contexts, complaints = [], []

    def open_page(**options):
        contexts.append(browser.new_context(offline=True, **options))
        page = contexts[-1].new_page()
        page.on("request", lambda request: complaints.append(request.url))
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("dialog", lambda dialog: (complaints.append("a dialog"), dialog.dismiss()))
        page.goto((reports / "report.html").as_uri())
        return page

    yield open_page
    for context in contexts:
        context.close()
    address = (reports / "report.html").as_uri()
    assert [said for said in complaints if said != address and not said.startswith("data:image/png")] == []


def test_every_picture_is_drawn_and_every_data_set_has_twenty_queries(opened):
    page = opened()
    assert page.title() == "Autoregressive ranking"
    assert page.locator(".rankings").count() == 2
    assert [page.locator(".rankings").nth(n).locator(".query").count() for n in range(2)] == [20, 20]
    widths = page.locator("img").evaluate_all("images => images.map(image => image.naturalWidth)")
    assert len(widths) == 8
    assert min(widths) > 200


def test_what_data_says_is_shown_and_not_run(opened):
    page = opened()
    assert page.locator("script").count() == 0
    assert page.locator(".rankings .document", has_text=HOSTILE).count() == 20 * 2  # the true list's, and item's
    assert page.locator("p", has_text="A sample <script>alert(2)</script>.").count() == 1


def test_labels_are_colours_and_letters(opened):
    page = opened()
    found = page.locator(".rankings >> nth=1").locator(".label").evaluate_all(COLOURS_OF)
    assert {sign: colour for sign, colour, _ in found if sign in COLOURS} == {
        sign: f"rgb({', '.join(str(byte) for byte in bytes.fromhex(colour[1:]))})" for sign, colour in COLOURS.items()
    }
    signs = page.locator(".rankings >> nth=1 >> .query >> nth=0 >> .label").all_inner_texts()
    assert signs == ["E", "S", "S", "E", "I", "C", "·"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_label_can_be_read(opened, scheme):
    page = opened(color_scheme=scheme)
    found = page.locator(".label:not(.unjudged)").evaluate_all(COLOURS_OF)
    kinds = {(background, colour) for _, background, colour in found}
    assert len(kinds) >= 4 + 6  # tiers and places
    assert min(contrast(*kind) for kind in kinds) >= 4.5  # WCAG 2.2, AA
    body = page.locator("body").evaluate("e => [getComputedStyle(e).backgroundColor, getComputedStyle(e).color]")
    assert contrast(*body) > 12
    assert (luminance(body[0]) < luminance(body[1])) == (scheme == "dark")


def contrast(one, other):
    """The ratio of WCAG 2.2, from 1 to 21."""
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def luminance(colour):
    red, green, blue = (int(value) / 255 for value in colour[4:-1].split(","))
    linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in (red, green, blue)]
    return np.dot(linear, (0.2126, 0.7152, 0.0722))


def test_a_phone_scrolls_down_and_not_sideways(opened):
    page = opened(viewport={"width": 360, "height": 740})
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    tables = page.locator(".query table").evaluate_all("tables => tables.map(table => table.offsetWidth)")
    assert max(tables) <= 360


def test_queries_fold_without_a_script(opened):
    page = opened(java_script_enabled=False)
    first = page.locator(".query >> nth=0")
    assert first.locator("table").first.is_visible()
    first.locator("summary").click()
    assert not first.locator("table").first.is_visible()


def test_the_contents_lead_to_their_sections(opened):
    page = opened(viewport={"width": 1000, "height": 500})
    page.locator("nav a", has_text="Rankings to look at").last.click()
    box = page.locator("#products-rankings-to-look-at").bounding_box()
    assert abs(box["y"]) < 100


def test_a_screenshot_has_something_on_it(opened):
    pixels = matplotlib.image.imread(io.BytesIO(opened().screenshot()))[..., :3]
    assert len(np.unique(pixels.reshape(-1, 3), axis=0)) > 50
    np.testing.assert_array_equal(pixels[0, 0], [1, 1, 1])


def test_on_paper_the_page_is_light_and_has_no_contents(opened):
    page = opened(color_scheme="dark")
    page.emulate_media(media="print")
    assert page.locator("body").evaluate("e => getComputedStyle(e).backgroundColor") == "rgb(255, 255, 255)"
    assert not page.locator("nav").is_visible()
    assert page.locator(".query table").first.is_visible()
    pdf = page.pdf(format="A4")
    assert pdf.startswith(b"%PDF-")
    assert len(re.findall(rb"/Type\s*/Page\b", pdf)) > 10

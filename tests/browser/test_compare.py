"""In Chromium: from a cold link to a heatmap, a click on a cell, and back by its address."""

import re

import pytest
from playwright.sync_api import expect

pytestmark = pytest.mark.browser
LINK = "/compare?n=128&la=1.2.3.4&lb=1.2.3.4&m=cka.linear~procrustes&enc=%20"
LAYERS = 4


def ready(tab):
    expect(tab.get_by_test_id("stApp")).to_have_attribute("data-test-script-state", "notRunning")
    expect(tab.get_by_test_id("stException")).to_have_count(0)


def click_cell(tab, row, column):
    """Click a cell of the first heatmap."""
    plot = tab.locator(".nsewdrag").first
    plot.scroll_into_view_if_needed()
    tab.wait_for_timeout(500)
    box = plot.bounding_box()
    tab.mouse.click(box["x"] + box["width"] * (column + 0.5) / LAYERS, box["y"] + box["height"] * (row + 0.5) / LAYERS)


def test_cold_link_runs_compares_and_opens_a_cell(tab, server):
    tab.goto(server + LINK)
    ready(tab)
    expect(tab.get_by_text("Page not found")).to_have_count(0)
    expect(tab.get_by_role("link", name="Benchmarks")).to_be_visible()  # the frame is there
    tab.get_by_test_id("stMain").get_by_role("button", name="Compare").click()
    expect(tab.get_by_test_id("stPlotlyChart")).to_have_count(2)
    ready(tab)
    click_cell(tab, 2, 1)
    expect(tab.get_by_text("Most alike in both layers")).to_be_visible()
    expect(tab).to_have_url(re.compile(r"[?&]i=2&j=1"))
    ready(tab)
    tab.reload()
    expect(tab.get_by_text("Most alike in both layers")).to_be_visible()
    ready(tab)


def test_a_second_browser_sees_the_finished_comparison_at_once(tab, server):
    tab.goto(server + LINK)
    expect(tab.get_by_test_id("stPlotlyChart")).to_have_count(2)
    ready(tab)


@pytest.mark.parametrize("page", ["", "compare", "train_encoder", "benchmarks", "projections", "jobs", "about"])
def test_every_page_opens_in_its_frame(tab, server, page):
    tab.goto(f"{server}/{page}")
    ready(tab)
    expect(tab.get_by_role("link", name="Overview")).to_be_visible()
    expect(tab.get_by_test_id("stMain").get_by_role("heading", level=1)).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_sticks_out_on_a_phone(chromium, server, scheme):
    context = chromium.new_context(viewport={"width": 390, "height": 844}, color_scheme=scheme)
    page = context.new_page()
    page.set_default_timeout(120_000)
    page.goto(server + LINK)
    expect(page.get_by_test_id("stPlotlyChart")).to_have_count(2)
    page.wait_for_timeout(1000)
    wide = page.get_by_test_id("stMain").evaluate("main => main.scrollWidth - main.clientWidth")
    assert wide <= 0
    context.close()

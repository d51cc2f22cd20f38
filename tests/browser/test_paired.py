"""In Chromium: a loop drawn in one picture finds its points in the other; a click on a point opens a failing trial."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser.test_compare import ready

pytestmark = pytest.mark.browser
OPACITY = "item => getComputedStyle(item).opacity"


def run_it(tab, name, charts):
    """Press the button that starts the run, and wait for its pictures."""
    tab.get_by_test_id("stMain").get_by_role("button", name=name).click()
    expect(tab.get_by_test_id("stPlotlyChart")).to_have_count(charts, timeout=300_000)
    ready(tab)
    tab.wait_for_timeout(1000)


def test_a_loop_in_before_picks_the_same_points_in_after(tab, server):
    tab.goto(f"{server}/projections?model=CLIP&n=12")
    ready(tab)
    run_it(tab, "Project", 2)
    expect(tab.get_by_text("Points that moved most")).to_be_visible()
    plot = tab.locator(".nsewdrag").first
    plot.scroll_into_view_if_needed()
    tab.wait_for_timeout(500)
    box = plot.bounding_box()
    left, right = box["x"] + 3, box["x"] + box["width"] * 0.6
    top, bottom = box["y"] + 3, box["y"] + box["height"] - 3
    tab.mouse.move(left, top)
    tab.mouse.down()
    for x, y in ((right, top), (right, bottom), (left, bottom), (left, top + 4)):
        tab.mouse.move(x, y, steps=8)
    tab.mouse.up()
    expect(tab.get_by_text("Selected points", exact=True)).to_be_visible()
    ready(tab)
    tab.wait_for_timeout(1000)
    opacities = [
        [
            mark.evaluate("item => getComputedStyle(item).opacity")
            for mark in chart.locator(".scatterlayer .point").all()
        ]
        for chart in tab.get_by_test_id("stPlotlyChart").all()
    ]
    bright = [sum(float(value) > 0.9 for value in part) for part in opacities]
    assert len(opacities[0]) == len(opacities[1]) == 24
    assert bright[0] == bright[1] and 0 < bright[0] < 24
    tab.get_by_role("button", name=re.compile("Clear selection")).click()
    expect(tab.get_by_text("Points that moved most")).to_be_visible()


def test_a_click_on_a_point_opens_a_failing_trial(tab, server):
    tab.goto(f"{server}/benchmarks?task=multilingual&measures=closed-form&m=cka.linear&neg=faiss")
    ready(tab)
    run_it(tab, "Run the benchmark", 1)
    point = tab.locator(".scatterlayer .point").first
    point.scroll_into_view_if_needed()
    tab.wait_for_timeout(500)
    box = point.bounding_box()
    tab.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    ready(tab)
    expect(tab.get_by_role("combobox", name=re.compile("Layer"))).to_be_visible()
    expect(tab.get_by_text(re.compile(r"of 1000 trials lost"))).to_be_visible()
    expect(tab.get_by_text(re.compile(r"The right batch scores"))).to_be_visible()
    expect(tab.get_by_test_id("stDataFrame").last).to_be_visible()
    ready(tab)

"""In Chromium: on a phone a swipe moves the page, and no page asks anything of a server elsewhere."""

import pytest
from playwright.sync_api import expect

from tests.browser.test_compare import ready

pytestmark = pytest.mark.browser
PAGES = ("", "compare", "train_encoder", "benchmarks", "projections", "jobs", "about")
SCROLLED = "() => document.querySelector('[data-testid=\"stMain\"]').scrollTop"


@pytest.fixture
def phone(chromium):
    """A page of a phone."""
    context = chromium.new_context(
        viewport={"width": 390, "height": 844},
        has_touch=True,
        is_mobile=True,
        user_agent="Mozilla/5.0 (Linux; Android 14) AppleWebKit/537.36 Chrome/140.0.0.0 Mobile Safari/537.36",
    )
    context.set_default_timeout(120_000)
    yield context.new_page()
    context.close()


@pytest.mark.parametrize("address", ["compare", "benchmarks"])
def test_a_swipe_over_a_chart_scrolls_the_page(phone, server, address):
    phone.goto(f"{server}/{address}")
    ready(phone)
    plot = phone.locator(".js-plotly-plot").first
    expect(plot).to_be_visible()
    plot.scroll_into_view_if_needed()
    phone.wait_for_timeout(1500)
    box, before = plot.bounding_box(), phone.evaluate(SCROLLED)
    x, y = box["x"] + box["width"] / 2, min(max(box["y"] + box["height"] / 2, 300), 650)
    fingers = phone.context.new_cdp_session(phone)

    def touch(kind, *places):
        points = [{"x": x, "y": place} for place in places]
        fingers.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
        phone.wait_for_timeout(20)

    touch("touchStart", y)
    for step in range(1, 13):
        touch("touchMove", y - 20 * step)
    touch("touchEnd")
    phone.wait_for_timeout(1000)
    assert phone.evaluate(SCROLLED) > before + 50
    expect(phone.locator(".modebar")).to_have_count(0)


def test_nothing_is_asked_of_a_server_elsewhere(tab, server):
    asked = []
    tab.on("request", lambda request: asked.append(request.url))
    for page in PAGES:
        tab.goto(f"{server}/{page}")
        ready(tab)
        tab.wait_for_timeout(500)
    assert len(asked) > 20
    assert [address for address in asked if not address.startswith((server, "data:", "blob:"))] == []

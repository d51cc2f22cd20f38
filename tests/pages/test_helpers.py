"""What the pages share, without a page: clicks, addresses, links."""

import pytest

from contrasim_core.encoder.spec import QUICK
from contrasim_core.models.find import bundled_names
from contrasim_core.runs import example
from contrasim_core.runs.training.presets import train_spec
from pages._ui import links, router, running, url, views


@pytest.mark.parametrize(
    ("event", "cell"),
    [
        (None, None),
        ({"selection": {"points": []}}, None),
        ({"selection": {"points": [{"customdata": {"0": 2, "1": 5, "2": "0.31"}}]}}, (2, 5)),
        ({"selection": {"points": [{"customdata": [1, 0, "0.31"]}]}}, (1, 0)),
    ],
)
def test_pick_cell(event, cell):
    assert views.pick_cell(event) == cell


def test_texts_of_lists_in_addresses():
    assert url.numbers(url.dotted([1, 12, 3])) == [1, 12, 3]
    assert url.numbers("1.x") is None
    assert url.words(url.joined(["cka.linear", "svcca"])) == ["cka.linear", "svcca"]


@pytest.mark.skipif(not bundled_names(), reason="no bundled models in this checkout")
def test_link_of_a_comparison_names_all_its_controls():
    page, parameters = links.target(example.comparison_spec())
    assert page == router.COMPARE
    assert (parameters["a"], parameters["b"], parameters["d"]) == ("digits-vit-0", "digits-vit-1", "digits")
    assert parameters["la"] == "1.2.3.4.5.6"
    assert set(url.words(parameters["enc"])) == {spec.key for spec in example.encoder_specs()}
    assert links.target(example.comparison_spec().a) is None, "no page shows activations"


@pytest.mark.skipif(not bundled_names(), reason="no bundled models in this checkout")
def test_live_curves_take_the_last_word_on_each_epoch():
    spec = train_spec("digits-vit", encoder=QUICK, seeds=(0, 3))
    facts = [
        {"epoch": 1.0, "loss 0": 5.0, "loss 3": 6.0, "accuracy 0": 0.2, "accuracy 3": 0.1},
        {
            "epoch": 1.0,
            "loss 0": 4.0,
            "loss 3": 6.0,
            "accuracy 0": 0.2,
            "accuracy 3": 0.1,
        },  # the worker was started again
        {"epoch": 2.0, "loss 0": 3.0, "loss 3": 2.0, "accuracy 0": 0.4, "accuracy 3": 0.5},
    ]
    first, second = running.live_curves(spec, facts)
    assert (first.seed, first.loss, first.accuracy) == (0, (4.0, 3.0), (0.2, 0.4))
    assert (second.seed, second.loss) == (3, (6.0, 2.0))
    assert running.live_curves(spec, []) == []

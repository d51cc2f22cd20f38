"""Recording what modules put out leaves no hook behind, whatever happens."""

import pytest
import torch
from torch import nn

from contrasim_core.activations.hooks import expand_names, first_tensor, near_names, record_outputs
from contrasim_core.errors import LayerError
from tests.tiny import hook_count


class Block(nn.Module):
    """A block that puts out what blocks of many libraries do: a tensor, a tuple, or a mapping."""

    def __init__(self, kind):
        super().__init__()
        self.linear, self.kind = nn.Linear(3, 3), kind

    def forward(self, hidden_states):
        out = self.linear(hidden_states)
        return {"tensor": out, "tuple": (None, out, out + 1), "mapping": {"x": out}, "nothing": (None, "x")}[self.kind]


class Net(nn.Module):
    """Three blocks in a row, called with a keyword or without."""

    def __init__(self, kind="tensor", *, keyword=False):
        super().__init__()
        self.embed = nn.Linear(2, 3)
        self.blocks = nn.ModuleList(Block(kind) for _ in range(3))
        self.keyword = keyword

    def forward(self, x):
        x = self.embed(x)
        for block in self.blocks:
            x = first_tensor(block(hidden_states=x) if self.keyword else block(x), "block")
        return x


class Shared(nn.Module):
    """One layer that is called three times."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(2, 2)

    def forward(self, x):
        return self.layer(self.layer(self.layer(x)))


X = torch.randn(4, 2, generator=torch.Generator().manual_seed(0))
NAMES = ["blocks.0", "blocks.1", "blocks.2"]


@pytest.mark.parametrize("kind", ["tensor", "tuple", "mapping"])
@pytest.mark.parametrize("keyword", [False, True])
def test_outputs_are_recorded_in_order_of_execution(kind, keyword):
    net = Net(kind, keyword=keyword)
    with torch.no_grad(), record_outputs(net, NAMES[::-1], first_input=True) as out:
        net(X)
    states = [net.embed(X)]
    for block in net.blocks:
        states.append(block.linear(states[-1]))
    assert [item.name for item in out] == ["embeddings", *NAMES]
    for item, state in zip(out, states, strict=True):
        torch.testing.assert_close(item.value, state)


def test_take_is_applied_at_once():
    net = Net()
    with record_outputs(net, ["embed"], take=lambda tensor: tensor.sum(1)) as out:
        net(X)
    assert out[0].value.shape == (4,)


def test_a_shared_module_counts_once_per_call():
    net = Shared()
    with record_outputs(net, ["layer"], first_input=True) as out:
        net(X)
    assert [item.name for item in out] == ["embeddings", "layer", "layer#2", "layer#3"]
    torch.testing.assert_close(out[2].value, net.layer(net.layer(X)))


def test_hooks_are_there_inside_and_gone_after():
    net = Net()
    net.embed.register_forward_hook(lambda *_args: None)  # a hook of the user's own stays
    before = hook_count(net)
    with record_outputs(net, NAMES, first_input=True):
        assert hook_count(net) == before + 6
    assert hook_count(net) == before == 1


def test_hooks_are_gone_after_an_error_inside():
    net = Net()
    with pytest.raises(ZeroDivisionError), record_outputs(net, NAMES, first_input=True):
        raise ZeroDivisionError
    assert hook_count(net) == 0


def test_hooks_are_gone_after_an_error_in_the_model():
    net = Net()
    with pytest.raises(RuntimeError, match="shapes"), record_outputs(net, NAMES):
        net(torch.zeros(4, 99))
    assert hook_count(net) == 0


def test_hooks_are_gone_after_an_error_in_take():
    net = Net()
    with pytest.raises(ZeroDivisionError), record_outputs(net, NAMES, take=lambda _: 1 / 0):
        net(X)
    assert hook_count(net) == 0


def test_hooks_are_gone_when_a_later_name_is_wrong():
    net = Net()
    with (
        pytest.raises(LayerError, match=r"^Net has no module 'blocks\.9'\. Modules are: .*blocks\.2"),
        record_outputs(net, ["blocks.0", "blocks.9"]),
    ):
        pass
    assert hook_count(net) == 0


def test_an_output_without_a_tensor_is_told():
    net = Net("nothing")
    with (
        pytest.raises(LayerError, match=r"^Module 'blocks\.0' returns tuple, which has no tensor\. Choose another"),
        record_outputs(net, NAMES),
    ):
        net(X)
    assert hook_count(net) == 0


@pytest.mark.parametrize(
    ("patterns", "expected"),
    [
        (["embed"], ["embed"]),
        (["blocks.*.linear"], ["blocks.0.linear", "blocks.1.linear", "blocks.2.linear"]),
        (["blocks.2", "embed"], ["embed", "blocks.2"]),
        (["blocks.?", "blocks.1"], NAMES),
        (["blocks.[01]"], NAMES[:2]),
    ],
)
def test_names_and_globs(patterns, expected):
    assert expand_names(Net(), patterns) == expected


def test_star_is_every_module_but_the_whole():
    assert expand_names(Net(), ["*"]) == [name for name, _ in Net().named_modules() if name]


@pytest.mark.parametrize("pattern", ["block.0", "layer*"])
def test_a_pattern_that_matches_nothing_lists_near_names(pattern):
    with pytest.raises(
        LayerError, match=rf"^Net has no module '{pattern.replace('*', '[*]')}'\. Modules are: .*blocks"
    ):
        expand_names(Net(), ["embed", pattern])


def test_near_names_come_first_and_say_that_there_are_more():
    names = ["", *(f"encoder.layer.{number}" for number in range(12)), "pooler"]
    assert near_names("encoder.layer.3x", names).startswith("Modules are: encoder.layer.3")
    assert near_names("encoder.layer.3x", names).endswith(", ....")
    assert near_names("zzz", ["a", "b"]) == "Modules are: a, b."

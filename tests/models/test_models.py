"""Models are found by name, pinned by content, loaded by one door, and told apart by family."""

import json
import shutil

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file
from torch import nn

from contrasim_core.errors import LayerError, ModelLoadError, SpecError, UnknownModelError
from contrasim_core.models import find
from contrasim_core.models.device import pick_device
from contrasim_core.models.find import bundled_names, expand_models, read_config, resolve_model
from contrasim_core.models.load import find_blocks, load_model, module_ref
from contrasim_core.refs import ModelRef


@pytest.fixture
def bundle(tmp_path, monkeypatch):
    """A few bundled models, and what may lie beside them."""
    for name in ("vit-10", "vit-2", "vit-1", "cnn-0", ".vit-3-draft"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text('{"model_type": "vit"}')
    (tmp_path / "unfinished").mkdir()
    (tmp_path / "notes.txt").touch()
    monkeypatch.setattr(find, "BUNDLED_ROOT", tmp_path)
    return tmp_path


def test_bundled_names_are_whole_folders_in_order_of_numbers(bundle):
    assert bundled_names() == ["cnn-0", "vit-1", "vit-2", "vit-10"]


def test_families_and_lists_are_expanded(bundle):
    assert expand_models("vit") == ["vit-1", "vit-2", "vit-10"]
    assert expand_models("cnn, vit-2 ,owner/name") == ["cnn-0", "vit-2", "owner/name"]
    assert expand_models(" ,") == []


def test_bundled_names_come_before_folders_and_hub_ids(bundle):
    ref = resolve_model("vit-1")
    assert (ref.name, ref.kind, ref.tower) == ("vit-1", "bundled", "auto") and ref.fingerprint
    assert read_config(ref) == {"model_type": "vit"}
    assert resolve_model("vit-7").kind == "hub"


@pytest.mark.parametrize("file", ["config.json", "model.safetensors", "vocab.txt"])
def test_a_folder_is_pinned_by_its_content(file, tiny, tmp_path):
    folder = shutil.copytree(tiny("bert"), tmp_path / "copy")
    (folder / "vocab.txt").touch()
    before = resolve_model(folder)
    assert (before.kind, before.label, before.name) == ("folder", "copy", str(folder))
    (folder / "card.json").write_text("a card is no part of the model")
    assert resolve_model(str(folder)) == before
    content = bytearray((folder / file).read_bytes())
    content[len(content) // 2 :] = b"!"
    (folder / file).write_bytes(bytes(content))
    assert resolve_model(folder).fingerprint != before.fingerprint


def test_towers_are_named_after_a_hash(tiny):
    assert resolve_model(f"{tiny('clip')}#vision").tower == "vision"
    assert resolve_model(tiny("clip"), tower="text").label == "tiny-clip (text)"
    with pytest.raises(SpecError, match=r"the tower after # can be text or vision, not 'both'\.$"):
        resolve_model("owner/name#both")


def test_hub_ids_keep_their_revision():
    ref = resolve_model("owner/name", revision="main")
    assert (ref.kind, ref.revision, ref.fingerprint) == ("hub", "main", "")
    assert read_config(ref) is None and resolve_model(ref) is ref


def test_a_folder_without_a_model_is_told(tmp_path):
    with pytest.raises(UnknownModelError, match=r"has no config\.json, so it is not a Hugging Face model\.$"):
        resolve_model(tmp_path)


@pytest.mark.parametrize(
    ("family", "tower", "message"),
    [
        ("clip", "auto", r"has two towers\. Write .*#text or .*#vision\.$"),
        ("bert", "vision", r"is not a two-tower model\. Remove #vision\.$"),
    ],
)
def test_wrong_towers_are_told(family, tower, message, tiny):
    with pytest.raises(ModelLoadError, match=message):
        load_model(resolve_model(tiny(family), tower=tower))


@pytest.mark.parametrize(
    ("file", "content"), [("config.json", b"{}"), ("config.json", b"{"), ("model.safetensors", b"no tensors")]
)
def test_damaged_folders_are_told_in_one_line(file, content, tiny, tmp_path):
    folder = shutil.copytree(tiny("bert"), tmp_path / "damaged")
    (folder / file).write_bytes(content)
    with pytest.raises(ModelLoadError, match=r"^damaged cannot be loaded: .+") as caught:
        load_model(resolve_model(folder))
    assert "\n" not in str(caught.value)


def test_blocks_without_weights_are_refused_not_filled_with_random_numbers(tiny, tmp_path):
    folder = shutil.copytree(tiny("bert"), tmp_path / "deeper")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "num_hidden_layers": 5}))
    with pytest.raises(ModelLoadError, match=r"lack 32 weights of its blocks, such as encoder\.layer\.3\."):
        load_model(resolve_model(folder))


def test_a_missing_head_does_no_harm(tiny, tmp_path):
    folder = shutil.copytree(tiny("bert"), tmp_path / "headless")
    tensors = load_file(folder / "model.safetensors")
    kept = {name: value for name, value in tensors.items() if "pooler" not in name}
    assert len(kept) < len(tensors)
    save_file(kept, folder / "model.safetensors", metadata={"format": "pt"})
    assert len(load_model(resolve_model(folder)).blocks) == 3


def test_code_that_comes_with_a_model_is_never_run(tiny, tmp_path):
    folder = shutil.copytree(tiny("bert"), tmp_path / "custom")
    config = json.loads((folder / "config.json").read_text())
    own = {**config, "model_type": "own", "auto_map": {"AutoConfig": "own.C", "AutoModel": "own.M"}}
    (folder / "config.json").write_text(json.dumps(own))
    (folder / "own.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    with pytest.raises(ModelLoadError, match=r"^custom cannot be loaded: "):
        load_model(resolve_model(folder))
    assert not (tmp_path / "ran").exists()


def test_loading_leaves_the_settings_of_transformers_alone(tiny):
    log = transformers.utils.logging
    verbosity = log.get_verbosity()
    for bars in (True, False):
        log.enable_progress_bar() if bars else log.disable_progress_bar()
        try:
            load_model(resolve_model(tiny("bert")))
            with pytest.raises(ModelLoadError):
                load_model(ModelRef(name="/nowhere", kind="folder"))
            assert log.get_verbosity() == verbosity and log.is_progress_bar_enabled() is bars
        finally:
            log.enable_progress_bar()


def test_a_loaded_model_is_in_eval_mode(tiny):
    loaded = load_model(resolve_model(tiny("bert")), dtype="bfloat16")
    assert not loaded.module.training and loaded.device == torch.device("cpu")
    assert {parameter.dtype for parameter in loaded.module.parameters()} == {torch.bfloat16}
    assert loaded.blocks == tuple(f"encoder.layer.{number}" for number in range(3))


def lists(**parts):
    net = nn.Module()
    for name, count in parts.items():
        net.add_module(name, nn.ModuleList(nn.Linear(1, 1) for _ in range(count)))
    return net


def test_blocks_are_the_longest_outermost_list():
    assert find_blocks(lists(small=2, blocks=3)) == ["blocks.0", "blocks.1", "blocks.2"]
    assert find_blocks(lists(first=2, second=2)) == ["first.0", "first.1"]
    nested = lists(blocks=2)
    nested.blocks[0].inner = nn.ModuleList(nn.Linear(1, 1) for _ in range(9))
    assert find_blocks(nested) == ["blocks.0", "blocks.1"]


def test_the_encoder_of_an_encoder_decoder_is_taken():
    net = nn.Module()
    net.decoder, net.encoder = lists(layers=4), lists(layers=2)
    assert find_blocks(net) == ["encoder.layers.0", "encoder.layers.1"]


def test_a_model_without_blocks_is_told():
    with pytest.raises(LayerError, match=r"^Linear has no list of blocks\. Name the modules to record instead\.$"):
        find_blocks(nn.Linear(1, 1))


def test_a_module_is_pinned_by_structure_and_weights():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2)).to(torch.bfloat16)
    before = module_ref(net)
    assert (before.name, before.kind) == ("Sequential", "module") and module_ref(net, "mine").name == "mine"
    with torch.no_grad():
        net[0].bias += 1
    assert module_ref(net).fingerprint != before.fingerprint


def test_devices():
    assert pick_device("cpu") == torch.device("cpu")
    assert pick_device("auto").type in ("cpu", "cuda", "mps")

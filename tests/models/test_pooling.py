"""One default pooling for each model, read from its card or configuration; its tables are those of transformers."""

import json
from argparse import Namespace
from types import SimpleNamespace

import pytest
import torch
import transformers
from transformers.models.auto import modeling_auto as auto
from transformers.models.auto.configuration_auto import CONFIG_MAPPING, CONFIG_MAPPING_NAMES

from contrasim_core.commands.options import source_of
from contrasim_core.models import model_types as tables
from contrasim_core.models.find import BUNDLED_ROOT, resolve_model
from contrasim_core.models.load import load_model
from contrasim_core.models.pooling import default_pooling
from contrasim_core.refs import ModelRef
from contrasim_core.runs import extract as extract_module
from contrasim_core.runs.retrieval.presets import pooling_for_caption

CAUSAL = set(auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES) - set(auto.MODEL_FOR_MASKED_LM_MAPPING_NAMES)
EVERY_TYPE = sorted(
    {
        *CONFIG_MAPPING_NAMES,
        *auto.MODEL_MAPPING_NAMES,
        *auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
        *auto.MODEL_FOR_MASKED_LM_MAPPING_NAMES,
        *auto.MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING_NAMES,
    }
)
LATE_CLASS_TOKEN = {"cvt", "pvt"}
"""Their class token joins in the last stage only, so that it is missing from most layers."""
NOT_BUILT = {
    "conditional_detr": "timm", "dab-detr": "timm", "deformable_detr": "timm", "detr": "timm", "dinat": "natten",
    "edgetam": "timm", "edgetam_vision_model": "timm", "gemma3n_vision": "timm", "omdet-turbo": "timm",
    "pp_ocrv6_medium_det": "NoneType", "table-transformer": "timm", "timm_backbone": "timm", "timm_wrapper": "timm",
}  # fmt: skip
"""Image models that cannot be built from their default configuration, with a word of the reason."""
TOWERS_ONLY = {
    "align": "align_vision_model", "altclip": "altclip_vision_model", "blip": "blip_vision_model",
    "bridgetower": "bridgetower_vision_model", "clipseg": "clipseg_vision_model", "groupvit": "groupvit_vision_model",
    "granite_docling": "granite_docling_vision", "idefics2": "idefics2_vision", "idefics3": "idefics3_vision",
    "kosmos-2": "kosmos_2_vision_model", "kosmos-2.5": "kosmos_2_5_vision_model",
    "metaclip_2": "metaclip_2_vision_model", "owlv2": "owlv2_vision_model", "owlvit": "owlvit_vision_model",
    "smolvlm": "smolvlm_vision", "xclip": "xclip_vision_model",
}  # fmt: skip
"""Vision towers that are no model of their own, by the model they are part of."""


def written(folder, config, **options):
    """A model that is a configuration and nothing else."""
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config))
    return resolve_model(folder, **options)


def model_class(kind):
    name = auto.MODEL_MAPPING_NAMES.get(kind, "")
    return getattr(transformers, name if isinstance(name, str) else name[0], None)


def takes_images(kind):
    """As the loader sees it; not where a library is missing so that the class cannot say."""
    try:
        return getattr(model_class(kind), "main_input_name", "") == "pixel_values"
    except ImportError:
        return False


def class_token(module):
    names = {name.rsplit(".", 1)[-1] for name, _ in module.named_parameters()}
    return bool(names & {"cls_token", "class_embedding"})


@pytest.mark.parametrize("name", [name for name in dir(tables) if name.isupper()])
def test_tables_are_sorted_and_apart(name):
    table = getattr(tables, name)
    assert list(table) == sorted(set(table))
    others = {kind for other in dir(tables) if other.isupper() and other != name for kind in getattr(tables, other)}
    assert not others & set(table)


def test_decoders_are_those_of_transformers():
    """If this fails after an update of transformers, add and remove the names it shows."""
    assert set(tables.DECODERS) == CAUSAL


@pytest.mark.slow
def test_image_models_are_those_of_transformers():
    known = {*tables.WITH_CLASS_TOKEN, *tables.WITHOUT_CLASS_TOKEN} - {*TOWERS_ONLY.values(), "contrasim-allconv"}
    assert known == {kind for kind in auto.MODEL_MAPPING_NAMES if takes_images(kind)}


def test_towers_have_types_that_transformers_knows():
    towers = {*tables.CAUSAL_TOWERS, *tables.LAST_TOKEN_TOWERS, *TOWERS_ONLY.values()}
    assert towers <= set(CONFIG_MAPPING_NAMES)


def test_every_type_has_the_pooling_of_its_family(tmp_path):
    found = {kind: default_pooling(written(tmp_path / "model", {"model_type": kind})) for kind in EVERY_TYPE}
    towers = {*tables.CAUSAL_TOWERS, *tables.LAST_TOKEN_TOWERS}
    images = {kind for kind in auto.MODEL_MAPPING_NAMES if takes_images(kind)} | set(TOWERS_ONLY.values())
    assert {kind for kind, how in found.items() if how == "last"} == CAUSAL | towers
    assert {kind for kind, how in found.items() if how in ("cls", "spatial-mean")} == images
    assert {kind for kind, how in found.items() if how == "cls"} == set(tables.WITH_CLASS_TOKEN)
    assert len(found) > 500 and set(found.values()) == {"cls", "spatial-mean", "last", "mean"}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_class_token_is_there_where_the_table_says_so():
    """Every image model that can be built, without memory for its weights."""
    missing, wrong = {}, []
    for kind in sorted(kind for kind in auto.MODEL_MAPPING_NAMES if takes_images(kind)):
        try:
            with torch.device("meta"):
                module = model_class(kind)(CONFIG_MAPPING[kind]())
        except (ImportError, TypeError) as error:
            missing[kind] = str(error)
            continue
        if (class_token(module) and kind not in LATE_CLASS_TOKEN) != (kind in tables.WITH_CLASS_TOKEN):
            wrong.append(kind)
    assert wrong == []
    assert set(missing) <= set(NOT_BUILT)
    assert [kind for kind, reason in missing.items() if NOT_BUILT[kind] not in reason] == []


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_vision_tower_has_a_class_token_where_the_table_says_so():
    for kind, tower in TOWERS_ONLY.items():
        config = CONFIG_MAPPING[kind]()
        assert config.vision_config.model_type == tower
        with torch.device("meta"):
            module = model_class(kind)(config)
        assert class_token(module.vision_model) == (tower in tables.WITH_CLASS_TOKEN), kind


@pytest.mark.parametrize(
    ("config", "tower", "how"),
    [
        ({"model_type": "clip", "text_config": {}, "vision_config": {}}, "text", "last"),
        ({"model_type": "clip", "text_config": {}, "vision_config": {}}, "vision", "cls"),
        ({"model_type": "siglip", "text_config": {}, "vision_config": {}}, "text", "last"),
        ({"model_type": "siglip", "text_config": {}, "vision_config": {}}, "vision", "spatial-mean"),
        ({"model_type": "chinese_clip", "text_config": {}, "vision_config": {}}, "text", "mean"),
        (
            {"model_type": "vision-text-dual-encoder", "text_config": {"model_type": "bert"},
             "vision_config": {"model_type": "convnext"}}, "text", "mean",
        ),
        (
            {"model_type": "vision-text-dual-encoder", "text_config": {"model_type": "gpt2"},
             "vision_config": {"model_type": "convnext"}}, "vision", "spatial-mean",
        ),
        ({"model_type": "llava", "text_config": {"model_type": "llama"}, "vision_config": {}}, "auto", "last"),
        ({"model_type": "gemma3", "text_config": {"model_type": "bert"}}, "auto", "last"),
        ({"model_type": "vit", "text_config": None}, "auto", "cls"),
        ({"model_type": "never heard of"}, "auto", "mean"),
        ({"model_type": "never heard of", "text_config": {"model_type": "gpt2"}}, "vision", "mean"),
        ({}, "text", "mean"),
    ],
)  # fmt: skip
def test_nested_and_unknown_configurations(config, tower, how, tmp_path):
    assert default_pooling(written(tmp_path / "model", config, tower=tower)) == how


def test_a_model_that_is_not_here_yet_has_the_mean():
    assert default_pooling(ModelRef(name="owner/never-seen", kind="hub")) == "mean"
    assert default_pooling(ModelRef(name="mine", kind="module")) == "mean"


def test_a_bundled_model_has_the_pooling_of_its_card(tmp_path, monkeypatch):
    cards = {path.parent.name: json.loads(path.read_text())["pooling"] for path in BUNDLED_ROOT.glob("*/card.json")}
    if not cards:
        pytest.skip("no bundled models in this checkout")
    assert {name: default_pooling(resolve_model(name)) for name in cards} == cards
    assert cards["docs-bert-0"] == "word"
    towers = {tower: default_pooling(resolve_model("scenes-clip-0", tower=tower)) for tower in ("text", "vision")}
    assert towers == {"text": "last", "vision": "cls"}


TOWERS = {"text_config": {"model_type": "clip_text_model"}, "vision_config": {"model_type": "clip_vision_model"}}
CONFIGS = {
    "falcon": ({"model_type": "falcon"}, "last"),
    "phi": ({"model_type": "phi"}, "last"),
    "olmo": ({"model_type": "olmo"}, "last"),
    "mixtral": ({"model_type": "mixtral"}, "last"),
    "gpt2": ({"model_type": "gpt2"}, "last"),
    "bert": ({"model_type": "bert"}, "mean"),
    "vit": ({"model_type": "vit"}, "cls"),
    "convnext": ({"model_type": "convnext"}, "spatial-mean"),
    "clip#text": ({"model_type": "clip", **TOWERS}, "last"),
    "clip#vision": ({"model_type": "clip", **TOWERS}, "cls"),
    "docs-bert-0": (None, "word"),
}  # fmt: skip


def named(name, folder):
    """A name to give to the API, a command or a page: a folder with a configuration, or a bundled model."""
    config, _ = CONFIGS[name]
    if config is None:
        return name
    kind, _, tower = name.partition("#")
    return written(folder / kind, config).name + (f"#{tower}" if tower else "")


def by_api(model, data, monkeypatch):
    """What `extract` would run."""
    asked = []
    monkeypatch.setattr(extract_module, "run_extraction", lambda spec, **_: asked.append(spec))
    extract_module.extract(model, data)
    return asked[0]


def by_command(model, data):
    """What `contrasim extract` and `contrasim compare` would run."""
    options = Namespace(data=data, split="test", column=None, limit=None, pooling=None, dtype="float32", max_length=128)
    return source_of(options, model)


def by_page(model, data):
    """What the page Compare would run, for both of its sides."""
    from streamlit.testing.v1 import AppTest

    lines = (
        "import streamlit as st",
        "from pages._ui import url, widgets",
        "url.begin('compare')",
        f"st.session_state['compare.a'] = st.session_state['compare.b'] = {model!r}",
        f"st.session_state['compare.d'] = {data!r}",
        "st.session_state['spec'] = widgets.comparison()",
    )
    app = AppTest.from_string("\n".join(lines), default_timeout=60).run()
    assert not app.exception
    return app.session_state["spec"]


@pytest.mark.parametrize("name", CONFIGS)
def test_api_command_and_page_agree(name, tmp_path, monkeypatch):
    monkeypatch.setenv("CONTRASIM_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("contrasim_core.models.load.load_model", SimpleNamespace())  # nothing may be loaded
    if CONFIGS[name][0] is None and not (BUNDLED_ROOT / name).is_dir():
        pytest.skip("no bundled models in this checkout")
    texts = tmp_path / "texts.txt"
    texts.write_text("one\ntwo\n")
    model = named(name, tmp_path)
    page = by_page(model, str(texts))
    found = [by_api(model, str(texts), monkeypatch), by_command(model, str(texts)), page.a, page.b]
    assert [spec.pooling for spec in found] == [CONFIGS[name][1]] * 4
    assert len({spec.key for spec in found[:2]}) == 1
    assert {spec.model for spec in found} == {resolve_model(model)}


def test_captions_are_read_by_the_class_token_where_others_take_the_mean(tmp_path):
    for name, (config, how) in CONFIGS.items():
        if config is not None:
            assert pooling_for_caption(named(name, tmp_path)) == ("cls" if how == "mean" else how)


@pytest.mark.parametrize(
    ("name", "there"), [("bert", True), ("gpt2", False), ("llama", False), ("vit", True), ("convnext", False),
                        ("clip#text", False), ("clip#vision", True)],
)  # fmt: skip
def test_a_loaded_model_says_whether_its_first_position_stands_for_the_whole(name, there, tiny):
    family, _, tower = name.partition("#")
    assert load_model(resolve_model(f"{tiny(family)}#{tower}" if tower else tiny(family))).has_class_token is there

"""The default pooling of a model, from its configuration alone."""

from __future__ import annotations

from contrasim_core.models.find import read_card, read_config
from contrasim_core.refs import ModelRef, Pooling

DEFAULT_POOLING: dict[Pooling, tuple[str, ...]] = {
    "cls": ("vit", "deit", "beit", "dinov2", "clip_vision_model"),
    "spatial-mean": ("convnext", "convnextv2", "resnet", "regnet", "efficientnet", "mobilenet_v2", "contrasim-allconv"),
    "last": ("gpt2", "gpt_neo", "gpt_neox", "opt", "llama", "mistral", "qwen2", "qwen3", "gemma", "gemma2", "phi3"),
}


def default_pooling(model: ModelRef) -> Pooling:
    """The pooling to suggest for a model, judged from its card or configuration, without loading it."""
    card = read_card(model)
    if card and model.tower == "auto":
        pooling: Pooling = card["pooling"]
        return pooling
    if model.tower != "auto":
        return "cls" if model.tower == "vision" else "last"
    kind = str((read_config(model) or {}).get("model_type", ""))
    return next((pooling for pooling, kinds in DEFAULT_POOLING.items() if kind in kinds), "mean")

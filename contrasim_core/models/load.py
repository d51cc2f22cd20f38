"""Load models. The only file that names `AutoModel`.

Layers of a Hugging Face model: index 0 is what enters the first block (the output of the embeddings), index k is what
block k puts out. For models whose `hidden_states[-1]` is taken after a final norm (GPT-2, Llama, most decoders) the
last layer here is therefore *not* `hidden_states[-1]`: the norm comes after it. Blocks are the members of the first
outermost `ModuleList`; a block that is called several times (ALBERT) counts once per call. A tower of a two-tower model
has one layer more, its projection into the space that both share.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from contrasim_core.errors import LayerError, ModelLoadError
from contrasim_core.refs import Dtype, Modality, ModelRef, digest

if TYPE_CHECKING:
    import torch
    from torch import nn
from contrasim_core.models.device import pick_device
from contrasim_core.models.find import BUNDLED_ROOT, bundled_names
from contrasim_core.models.model_types import CAUSAL_TOWERS, DECODERS, WITHOUT_CLASS_TOKEN
from contrasim_core.models.towers import PROJECTION, pick_tower


@dataclass(frozen=True, eq=False)
class LoadedModel:
    """A model ready to be run.

    Attributes:
        ref: which model.
        module: the network (one tower of a two-tower model), in eval mode on its device.
        modality: what it takes.
        blocks: module names of its blocks; empty for a module given by the user.
        preprocessor: tokenizer or image processor.
        leading: special positions before the image patches.
        dtype: number format of its weights.
        has_class_token: whether its first position stands for the whole input, so that `cls` pooling says something.
    """

    ref: ModelRef
    module: nn.Module
    modality: Modality
    blocks: tuple[str, ...]
    preprocessor: Any
    leading: int = 0
    dtype: Dtype = "float32"
    has_class_token: bool = True

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        import torch

        return next((item.device for item in self.module.parameters()), torch.device("cpu"))


def load_model(ref: ModelRef, *, device: str = "auto", dtype: Dtype = "float32") -> LoadedModel:
    """Load a model with its tokenizer or image processor.

    Only safetensors, or pickles under `weights_only=True`, are read, and no code that comes with a model is run.

    Args:
        ref: from `resolve_model`.
        device: `auto` takes cuda, then mps, then cpu.
        dtype: number format of the weights.

    Raises:
        ModelLoadError: if the model cannot be loaded, with the loader's own words.
    """
    import torch
    import transformers
    from safetensors import SafetensorError

    from contrasim_core.models import allconv

    allconv.register()
    source = str(BUNDLED_ROOT / ref.name) if ref.kind == "bundled" else ref.name
    options: dict[str, Any] = {"revision": ref.revision} if ref.kind == "hub" and ref.revision else {}
    try:
        with _quiet(transformers):
            module, info = transformers.AutoModel.from_pretrained(
                source, dtype=getattr(torch, dtype), trust_remote_code=False, output_loading_info=True, **options
            )
            module, modality = pick_tower(module, ref)
            preprocessor = _preprocessor(transformers, source, modality, options)
    except (OSError, ValueError, KeyError, ImportError, RuntimeError, SafetensorError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ModelLoadError(f"{ref.label} cannot be loaded{_offline(ref)}: {reason}{_near_bundled(ref)}") from error
    module.eval().to(pick_device(device))
    blocks = [*find_blocks(module), *([PROJECTION] if hasattr(module, PROJECTION) else [])]
    _check_complete(ref, blocks, info["missing_keys"])
    leading = _leading_positions(module) if modality == "image" else 0
    return LoadedModel(
        ref=ref,
        module=module,
        modality=modality,
        blocks=tuple(blocks),
        preprocessor=preprocessor,
        leading=leading,
        dtype=dtype,
        has_class_token=_has_class_token(module, modality, leading),
    )


@contextmanager
def _quiet(transformers: Any) -> Iterator[None]:
    """No progress bars and no hints about packages that are not needed, while a model is loaded; errors still show."""
    log = transformers.utils.logging
    verbosity, bars = log.get_verbosity(), log.is_progress_bar_enabled()
    log.set_verbosity_error()
    log.disable_progress_bar()
    try:
        yield
    finally:
        log.set_verbosity(verbosity)
        if bars:
            log.enable_progress_bar()


def _check_complete(ref: ModelRef, blocks: Sequence[str], missing: Iterable[str]) -> None:
    """Refuse a model with blocks that the file has no weights for: the loader would fill them with random numbers.

    Raises:
        ModelLoadError: with the first such weight. Heads and poolers may be missing: no layer depends on them.
    """
    lacking = sorted(key for key in missing if any(f".{block}." in f".{key}" for block in blocks))
    if lacking:
        raise ModelLoadError(
            f"{ref.label} cannot be loaded: its files lack {len(lacking)} weights of its blocks, such as {lacking[0]}. "
            "Its config.json and its weights do not belong together."
        )


def _offline(ref: ModelRef) -> str:
    """That nothing is downloaded, if a hub model was asked for in offline mode."""
    from huggingface_hub import is_offline_mode

    return " (HF_HUB_OFFLINE is set, so nothing is downloaded)" if ref.kind == "hub" and is_offline_mode() else ""


def _near_bundled(ref: ModelRef) -> str:
    """A hint for a name that was taken for a hub id but may be a mistyped bundled name."""
    near = difflib.get_close_matches(ref.name, bundled_names(), n=3, cutoff=0.7) if ref.kind == "hub" else []
    return f" Bundled models with a name like it: {', '.join(near)}." if near else ""


def _preprocessor(transformers: Any, source: str, modality: Modality, options: dict[str, Any]) -> Any:
    if modality == "image":
        return transformers.AutoImageProcessor.from_pretrained(source, trust_remote_code=False, **options)
    tokenizer = transformers.AutoTokenizer.from_pretrained(
        source, trust_remote_code=False, add_prefix_space=True, **options
    )
    tokenizer.padding_side = "right"
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token or tokenizer.unk_token
    return tokenizer


def find_blocks(module: nn.Module) -> list[str]:
    """Module names of the blocks: the members of the first outermost `ModuleList` of the greatest length.

    Raises:
        LayerError: if the model has no such list.
    """
    from torch import nn

    lists = {name: item for name, item in module.named_modules() if isinstance(item, nn.ModuleList) and len(item)}
    outermost = {name: item for name, item in lists.items() if not any(name.startswith(f"{other}.") for other in lists)}
    if not outermost:
        raise LayerError(f"{type(module).__name__} has no list of blocks. Name the modules to record instead.")
    encoders = {name: item for name, item in outermost.items() if not name.startswith("decoder.")} or outermost
    longest = max(len(item) for item in encoders.values())
    name = next(name for name, item in encoders.items() if len(item) == longest)
    return [f"{name}.{number}" for number in range(longest)]


def _has_class_token(module: Any, modality: Modality, leading: int) -> bool:
    """Not where a position sees only those before it: then the first one is the same for every input."""
    kind = module.config.model_type
    if modality == "image":
        return leading > 0 and kind not in WITHOUT_CLASS_TOKEN
    return kind not in DECODERS and kind not in CAUSAL_TOWERS


def _leading_positions(module: nn.Module) -> int:
    """Class, distillation and register tokens before the patches."""
    names = {name.rsplit(".", 1)[-1] for name, _ in module.named_parameters()}
    registers = int(getattr(module.config, "num_register_tokens", 0) or 0)
    return int(bool(names & {"cls_token", "class_embedding"})) + int("distillation_token" in names) + registers


def module_ref(module: nn.Module, name: str | None = None) -> ModelRef:
    """A reference to a module of the user's, pinned by its structure and its weights."""
    weights = (
        part
        for key, value in module.state_dict().items()
        for part in (key, value.detach().cpu().contiguous().flatten().view(_bytes_dtype()).numpy().tobytes())
    )
    return ModelRef(name=name or type(module).__name__, kind="module", fingerprint=digest([repr(module), *weights]))


def _bytes_dtype() -> torch.dtype:
    import torch

    return torch.uint8


def commit_of(model: LoadedModel) -> str:
    """The commit of a model from the hub; empty for others."""
    return str(getattr(model.module.config, "_commit_hash", None) or "")

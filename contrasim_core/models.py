"""Find, pin and load models. The only file that names `AutoModel`.

Layers of a Hugging Face model: index 0 is what enters the first block (the output of the embeddings), index k is what
block k puts out. For models whose `hidden_states[-1]` is taken after a final norm (GPT-2, Llama, most decoders) the
last layer here is therefore *not* `hidden_states[-1]`: the norm comes after it. Blocks are the members of the first
outermost `ModuleList`; a block that is called several times (ALBERT) counts once per call. A tower of a two-tower model
has one layer more, its projection into the space that both share.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from contrasim_core.errors import LayerError, ModelLoadError, SpecError, UnknownModelError
from contrasim_core.refs import Modality, ModelRef, Tower, digest
from contrasim_core.specs import Dtype, Pooling

if TYPE_CHECKING:
    import torch
    from torch import nn

HUB_ID = re.compile(r"^([\w.-]+/)?[\w.-]+$")
WEIGHTS = ("*.safetensors", "*.bin")
SMALL_FILES = ("*.json", "*.txt", "*.model")
PROJECTION = "projection"
"""Name of the layer of a tower where it meets the other."""
BUNDLED_ROOT = Path(__file__).parent / "zoo" / "weights"

PRESETS: tuple[str, ...] = (
    *(f"google/multiberts-seed_{seed}" for seed in range(25)),
    "bert-base-multilingual-cased",
    "xlm-roberta-base",
    "google/vit-base-patch16-224",
    "facebook/convnext-tiny-224",
    "bert-base-cased",
    "gpt2",
    "openai/clip-vit-base-patch32",
)
"""The paper's models, on the hub."""


@dataclass(frozen=True, eq=False)
class LoadedModel:
    """A model ready to be run.

    Attributes:
        ref: which model.
        module: the network (one tower of a two-tower model), in eval mode on its device.
        modality: what it takes.
        blocks: module names of its blocks; empty for a module given by the user.
        preprocessor: tokenizer or image processor.
        default_pooling: of its family.
        leading: special positions before the image patches.
        dtype: number format of its weights.
    """

    ref: ModelRef
    module: nn.Module
    modality: Modality
    blocks: tuple[str, ...]
    preprocessor: Any
    default_pooling: Pooling
    leading: int = 0
    dtype: Dtype = "float32"
    has_class_token: bool = field(default=True)

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        import torch

        return next((item.device for item in self.module.parameters()), torch.device("cpu"))


def bundled_names() -> list[str]:
    """Names of the bundled models, in order."""
    folders = [path.parent.name for path in BUNDLED_ROOT.glob("[!.]*/config.json")]
    return sorted(
        folders, key=lambda name: [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", name)]
    )


def expand_models(name: str) -> list[str]:
    """The model names a word stands for: a bundled family such as `digits-vit`, or a comma-separated list."""
    found: list[str] = []
    for part in (item.strip() for item in name.split(",")):
        family = [item for item in bundled_names() if re.fullmatch(rf"{re.escape(part)}-\d+", item)]
        found.extend(family or ([part] if part else []))
    return found


def resolve_model(name: str | Path | ModelRef, *, tower: Tower = "auto", revision: str | None = None) -> ModelRef:
    """Find out what `name` means and pin its content, without loading it.

    Args:
        name: a bundled name, a local folder in Hugging Face format, or a hub id.
        tower: of a two-tower model such as CLIP: `text` or `vision`. May be written as `name#vision`.
        revision: of a hub model: branch, tag or commit.

    Raises:
        UnknownModelError: if nothing answers to the name.
        SpecError: if the tower is none.
    """
    if isinstance(name, ModelRef):
        return name
    text, _, suffix = str(name).partition("#")
    if suffix:
        if suffix not in ("text", "vision"):
            raise SpecError(f"{name}: the tower after # can be text or vision, not {suffix!r}.")
        tower = "text" if suffix == "text" else "vision"
    if text in bundled_names():
        return ModelRef(name=text, kind="bundled", fingerprint=_folder_digest(BUNDLED_ROOT / text), tower=tower)
    folder = Path(text).expanduser()
    if folder.is_dir():
        if not (folder / "config.json").is_file():
            raise UnknownModelError(f"The folder {folder} has no config.json, so it holds no Hugging Face model.")
        path = folder.resolve()
        return ModelRef(name=str(path), kind="folder", fingerprint=_folder_digest(path), tower=tower)
    if HUB_ID.match(text) and not text.startswith("."):
        return ModelRef(
            name=text, kind="hub", fingerprint=_cached_commit(text, revision), tower=tower, revision=revision
        )
    raise UnknownModelError(
        f"No model {text!r}. Give a bundled name ({', '.join(bundled_names()[:3])}, ...), a local folder with a "
        "config.json, or a hub id like owner/name."
    )


def _folder_digest(folder: Path) -> str:
    """Digest of a model folder: content of the small files and of the weights; the card is no part of the model."""
    parts: list[bytes | str] = []
    for pattern in SMALL_FILES:
        for file in sorted(folder.glob(pattern)):
            if file.name != "card.json":
                parts += [file.name, file.read_bytes()]
    for pattern in WEIGHTS:
        for file in sorted(folder.glob(pattern)):
            parts += [file.name, str(file.stat().st_size), _weights_digest(file)]
    return digest(parts)


def _weights_digest(file: Path) -> bytes:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").digest()


def _cached_commit(name: str, revision: str | None) -> str:
    """The commit of a hub model in the local cache, so that its results are pinned; empty if it is not there yet."""
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(name, "config.json", revision=revision)
    return Path(found).parent.name if isinstance(found, str) else ""


def read_config(ref: ModelRef) -> dict[str, Any] | None:
    """The model's config.json where it is on this machine, without importing torch; None for models not here yet."""
    if ref.kind == "bundled":
        path: Path | None = BUNDLED_ROOT / ref.name / "config.json"
    elif ref.kind == "folder":
        path = Path(ref.name) / "config.json"
    elif ref.kind == "hub":
        from huggingface_hub import try_to_load_from_cache

        found = try_to_load_from_cache(ref.name, "config.json", revision=ref.revision)
        path = Path(found) if isinstance(found, str) else None
    else:
        path = None
    if path is None or not path.is_file():
        return None
    config: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return config


def _stack_config(ref: ModelRef) -> dict[str, Any]:
    """The part of the configuration that describes the chosen tower's stack."""
    config = read_config(ref) or {}
    part: dict[str, Any] = config.get("vision_config" if ref.tower == "vision" else "text_config") or config
    return part


def depth_of(ref: ModelRef) -> int | None:
    """Index of the last layer, from the configuration; None where it does not say, or for models not here yet.

    That is the number of blocks, and one more for a tower: its projection.
    """
    part = _stack_config(ref)
    for name in ("num_hidden_layers", "n_layer", "n_layers", "num_layers"):
        if isinstance(part.get(name), int):
            return int(part[name]) + (ref.tower != "auto")
    if isinstance(part.get("depths"), list):
        return int(sum(part["depths"]))
    return len(part["convolutions"]) if isinstance(part.get("convolutions"), list) else None


def width_of(ref: ModelRef) -> int | None:
    """Greatest width of a layer, from the configuration; None where it does not say."""
    part = _stack_config(ref)
    for name in ("hidden_size", "n_embd", "d_model", "dim"):
        if isinstance(part.get(name), int):
            return int(part[name])
    sizes = part.get("hidden_sizes") or [item[0] for item in part.get("convolutions", [])]
    return max(sizes) if sizes else None


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

    from contrasim_core.zoo import architectures

    architectures.register()
    source = str(BUNDLED_ROOT / ref.name) if ref.kind == "bundled" else ref.name
    options: dict[str, Any] = {"revision": ref.revision} if ref.kind == "hub" and ref.revision else {}
    try:
        with _quiet(transformers):
            module, info = transformers.AutoModel.from_pretrained(
                source, dtype=getattr(torch, dtype), trust_remote_code=False, output_loading_info=True, **options
            )
            module, modality = _tower(module, ref)
            preprocessor = _preprocessor(transformers, source, modality, options)
    except (OSError, ValueError, KeyError, ImportError, RuntimeError, SafetensorError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ModelLoadError(f"{ref.label} cannot be loaded{_offline(ref)}: {reason}{_near_bundled(ref)}") from error
    module.eval().to(pick_device(device))
    blocks = [*find_blocks(module), *([PROJECTION] if hasattr(module, PROJECTION) else [])]
    _check_complete(ref, blocks, info["missing_keys"])
    pooling = _default_pooling(module, modality)
    return LoadedModel(
        ref=ref,
        module=module,
        modality=modality,
        blocks=tuple(blocks),
        preprocessor=preprocessor,
        default_pooling=pooling,
        leading=_leading_positions(module) if modality == "image" else 0,
        dtype=dtype,
        has_class_token=pooling != "spatial-mean" and not _is_causal(module),
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


def _tower(module: nn.Module, ref: ModelRef) -> tuple[nn.Module, Modality]:
    """The network to run, and what it takes; for two-tower models the tower asked for."""
    towers = {name: getattr(module, f"{name}_model", None) for name in ("text", "vision")}
    if all(tower is not None for tower in towers.values()):
        if ref.tower == "auto":
            raise ModelLoadError(f"{ref.name} has two towers. Write {ref.name}#text or {ref.name}#vision.")
        from contrasim_core.hooks import Tower

        name = "text_projection" if ref.tower == "text" else "visual_projection"
        picked: nn.Module = towers[ref.tower]  # type: ignore[assignment]
        projection = getattr(module, name, None)
        tower = picked if projection is None else Tower(picked, projection)
        return tower, "text" if ref.tower == "text" else "image"
    if ref.tower != "auto":
        raise ModelLoadError(f"{ref.name} is not a two-tower model; leave #{ref.tower} away.")
    modality: Modality = "image" if module.main_input_name == "pixel_values" else "text"
    return module, modality


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


def _is_decoder(module: Any) -> bool:
    from transformers.models.auto import modeling_auto as names

    kind = module.config.model_type
    return kind in names.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES and kind not in names.MODEL_FOR_MASKED_LM_MAPPING_NAMES


def _is_causal(module: Any) -> bool:
    """Whether a position sees only those before it, so that the first one is the same for every input."""
    return _is_decoder(module) or module.config.model_type == "clip_text_model"


def _default_pooling(module: Any, modality: Modality) -> Pooling:
    """`cls` for vision transformers, `spatial-mean` for ConvNets, `last` for decoders and CLIP text, else `mean`."""
    if modality == "image":
        return "cls" if _leading_positions(module) > 0 else "spatial-mean"
    return "last" if _is_decoder(module) or "text_model" in module.config.model_type else "mean"


def _leading_positions(module: nn.Module) -> int:
    """Class, distillation and register tokens before the patches."""
    names = {name.rsplit(".", 1)[-1] for name, _ in module.named_parameters()}
    registers = int(getattr(module.config, "num_register_tokens", 0) or 0)
    return int(bool(names & {"cls_token", "class_embedding"})) + int("distillation_token" in names) + registers


def pick_device(device: str = "auto") -> torch.device:
    """The device asked for; `auto` takes cuda, then mps, then cpu.

    Raises:
        SpecError: if the device is not there; nothing falls back in silence.
    """
    import torch

    if device == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    wanted = torch.device(device)
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if not there.get(wanted.type, False):
        raise SpecError(f"There is no {device!r} device here. Use 'auto' or 'cpu'.")
    return wanted


def layer_labels(blocks: Sequence[str]) -> list[str]:
    """Names of the layers of a model with these blocks: `embeddings`, then the blocks."""
    return ["embeddings", *blocks]


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

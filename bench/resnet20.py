"""Layer prediction among eight third-party CIFAR-10 ResNet-20s, under every measure.

Five networks (run_8) train the encoders. Seen: new images of those five. Unseen: three networks of another training
configuration (run_9-2). Trials: for each layer of one network, which of the ten layers of another is most similar?

    python -m bench.resnet20 --data FOLDER [--seeds 5] [--epochs 30]

FOLDER contains models/resnet20-*.safetensors and images/cifar10_3000_jpg.zip (2,000 training and 1,000 test images).
Layers are 16, 32 and 64 wide. Encoders (with one input head per width) and most closed-form measures accept that; for
`dot` and `norm`, which need equal widths, narrow layers are padded with zeros.

The shuffled lines are the negative control: the rows of every layer are shuffled separately, so that only the layer's
distribution remains. A measure of representations falls to chance there; an encoder that has become a classifier of
layers does not.
"""

from __future__ import annotations

import argparse
import io
import time
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor, nn

import contrasim_core as cs
from contrasim_core.activations.layer import Activations
from contrasim_core.encoder.spec import ENCODER_KINDS, EncoderKind
from contrasim_core.progress import Progress, silent
from contrasim_core.runs.layer_prediction.task import LayerPrediction

LAYERS = ["relu", *(f"layer{group}.{block}" for group in (1, 2, 3) for block in (0, 1, 2))]
WIDEST = 64
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
Layers = dict[str, list[Activations]]


class Block(nn.Module):
    """He et al. 2015: two convolutions and a shortcut that pads the new channels with zeros."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.stride, self.more = stride, (outputs - inputs) // 2

    def forward(self, x: Tensor) -> Tensor:
        """[n, inputs, h, w] -> [n, outputs, h / stride, w / stride]."""
        y = self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x)))))
        short = x[:, :, :: self.stride, :: self.stride]
        return torch.relu(y + nn.functional.pad(short, (0, 0, 0, 0, self.more, self.more)))


class ResNet20(nn.Module):
    """The CIFAR ResNet of depth 20; `relu` is the end of its stem."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.relu = nn.ReLU()
        self.layer1 = nn.Sequential(Block(16, 16, 1), Block(16, 16, 1), Block(16, 16, 1))
        self.layer2 = nn.Sequential(Block(16, 32, 2), Block(32, 32, 1), Block(32, 32, 1))
        self.layer3 = nn.Sequential(Block(32, 64, 2), Block(64, 64, 1), Block(64, 64, 1))
        self.linear = nn.Linear(64, 10)

    def forward(self, x: Tensor) -> Tensor:
        """[n, 3, 32, 32] -> [n, 10]."""
        x = self.layer3(self.layer2(self.layer1(self.relu(self.bn1(self.conv1(x))))))
        output: Tensor = self.linear(x.mean((2, 3)))
        return output


def load_network(file: Path) -> ResNet20:
    network = ResNet20()
    stored = {key: value.float() if value.is_floating_point() else value for key, value in load_file(file).items()}
    missing, unexpected = network.load_state_dict(stored, strict=False)
    assert not unexpected and all(name.endswith("num_batches_tracked") for name in missing), (missing, unexpected)
    return network.eval()


def load_images(file: Path, part: str) -> tuple[list[str], Tensor]:
    with zipfile.ZipFile(file) as stored:
        names = sorted(name for name in stored.namelist() if name.startswith(part) and name.endswith(".jpg"))
        pixels = [np.asarray(Image.open(io.BytesIO(stored.read(name))).convert("RGB")) for name in names]
    scaled = torch.from_numpy(np.stack(pixels)).float() / 255
    return names, ((scaled - torch.tensor(MEAN)) / torch.tensor(STD)).permute(0, 3, 1, 2).contiguous()


def extract_all(data: Path, part: str) -> Layers:
    """Extract spatial means of the layers by network; run_8 first."""
    ids, images = load_images(data / "images" / "cifar10_3000_jpg.zip", part)
    found: Layers = {}
    for file in sorted((data / "models").glob("resnet20-*.safetensors")):
        name = file.stem.rsplit("-run_", 1)[1]
        layers = cs.extract(
            load_network(file), images, layers=LAYERS, pooling="spatial-mean", name=f"run_{name}", ids=ids
        )
        found[layers[0].layer.model] = layers
    return found


def filled(layers: Layers) -> Layers:
    """Pad the layers to one width, with zeros on the right."""
    return {
        model: [
            Activations.of(
                nn.functional.pad(item.values, (0, WIDEST - item.values.shape[1])),
                layer=item.layer,
                samples=item.samples,
            )
            for item in items
        ]
        for model, items in layers.items()
    }


def shuffled(layers: Layers) -> Layers:
    """Shuffle the rows of every layer separately, so that no row is compared with its own sample."""
    random = torch.Generator().manual_seed(0)
    return {
        model: [
            Activations.of(
                item.values[torch.randperm(len(item.samples), generator=random)], layer=item.layer, samples=item.samples
            )
            for item in items
        ]
        for model, items in layers.items()
    }


class Trainer:
    """Trains the encoders of each kind once, for both protocols, and records how long it took."""

    def __init__(self, train: Layers, spec: cs.EncoderSpec, seeds: Sequence[int]) -> None:
        self.train, self.spec, self.seeds = train, spec, seeds
        self.encoders: dict[str, list[cs.ContraSim]] = {}
        self.seconds: dict[str, float] = {}

    def __call__(self, kind: EncoderKind, models: Sequence[str], _progress: Progress = silent) -> list[cs.ContraSim]:
        """Return the encoders, trained on the first call."""
        if kind not in self.encoders:
            started = time.monotonic()
            layers = [self.train[name] for name in models]
            self.encoders[kind] = cs.ContraSim.fit_seeds(self.spec.replace(encoder=kind), self.seeds, layers)
            self.seconds[kind] = time.monotonic() - started
        return self.encoders[kind]


def judge(test: Layers, trainer: Trainer, measures: Sequence[str]) -> Iterator[cs.BenchmarkResult]:
    """Yield results on pairs of the networks trained on (seen), and of the others (unseen)."""
    known = {model: layers for model, layers in test.items() if model.startswith("run_8")}
    seen = LayerPrediction(test=known, train=trainer.train, encoders=trainer)
    yield seen.run(measures, ["seen"])
    unseen = LayerPrediction(test=test, train=trainer.train, encoders=trainer, unseen_models=len(test) - len(known))
    yield unseen.run(measures, ["unseen"])


def show(result: cs.BenchmarkResult, note: str, trainer: Trainer) -> None:
    for row in result.summary().to_dict("records"):
        name, several = str(row["measure"]), int(row["seeds"]) > 1
        own = " ".join(f"{item.accuracy:.0%}" for item in result.records if item.measure == name)
        each = f" seeds {own}; trained in {trainer.seconds[name]:.0f} s" if row["seeds"] else ""
        spread = f" ± {row['std']:.1%}" if several else ""
        figure = row["reason"] or f"{row['accuracy']:6.1%}{spread} [{row['low']:.1%}, {row['high']:.1%}]"
        print(f"{row['protocol']:7}{name + note:38} {figure} of {row['trials']}{each}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with models/ and images/")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--batch-rows", type=int, default=256)
    parser.add_argument("--kinds", nargs="*", default=list(ENCODER_KINDS), help="learned measures to train")
    options = parser.parse_args()
    started = time.monotonic()
    train, test = extract_all(options.data, "train/"), extract_all(options.data, "test/")
    print(f"{len(test)} networks, {len(LAYERS)} layers, extracted in {time.monotonic() - started:.1f} s", flush=True)
    spec = cs.EncoderSpec(epochs=options.epochs, batch_rows=options.batch_rows)
    equal = [item.id for item in cs.measures() if item.same_width]
    for part, note in ((False, ""), (True, " (padded)")):
        chosen = [item.id for item in cs.measures() if (item.id in equal) == part]
        chosen = [name for name in chosen if name not in ENCODER_KINDS or name in options.kinds]
        first, second = (filled(train), filled(test)) if part else (train, test)
        trainer = Trainer(first, spec, range(options.seeds))
        for judged, kind in ((second, note), (shuffled(second), f"{note} shuffled")):
            for result in judge(judged, trainer, chosen):
                show(result, kind, trainer)
    print(f"{time.monotonic() - started:.0f} s in all")


if __name__ == "__main__":
    main()

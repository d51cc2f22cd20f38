"""The one bundled architecture that transformers lacks: a small all-convolutional network.

After Tiny-10 of Kornblith et al. 2019 (arXiv:1905.00414, table E.1) and Springenberg et al. 2015: convolutions with
batch normalisation and ReLU, strided instead of pooled, then global average pooling and a linear layer. It is shallower
and wider, because digits are 8 x 8 pixels. It is registered with transformers' Auto classes, so that its folders load
like those of any other model.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel, AutoModelForImageClassification, PretrainedConfig, PreTrainedModel
from transformers.modeling_outputs import BaseModelOutputWithNoAttention, ImageClassifierOutputWithNoAttention

CONVOLUTIONS = ((32, 3, 1), (64, 3, 2), (64, 3, 1), (128, 3, 2), (128, 3, 1), (128, 1, 1))
"""Channels, kernel size and stride of each convolution."""


class AllConvConfig(PretrainedConfig):  # type: ignore[misc]
    """Configuration: the convolutions and the size of the input."""

    model_type = "contrasim-allconv"

    def __init__(
        self,
        convolutions: Any = CONVOLUTIONS,
        num_channels: int = 3,
        image_size: int = 8,
        **more: Any,
    ) -> None:
        self.convolutions = [list(item) for item in convolutions]
        self.num_channels = num_channels
        self.image_size = image_size
        super().__init__(**more)


class AllConvBlock(nn.Module):
    """Convolution, batch normalisation, ReLU."""

    def __init__(self, inputs: int, channels: int, kernel: int, stride: int) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(inputs, channels, kernel, stride, padding=kernel // 2, bias=False)
        self.normalisation = nn.BatchNorm2d(channels)

    def forward(self, hidden: Tensor) -> Tensor:
        """[batch, inputs, h, w] -> [batch, channels, h / stride, w / stride]."""
        output: Tensor = torch.relu(self.normalisation(self.convolution(hidden)))
        return output


class AllConvPreTrainedModel(PreTrainedModel):  # type: ignore[misc]
    """The base of both models."""

    config_class = AllConvConfig
    base_model_prefix = "allconv"
    main_input_name = "pixel_values"
    input_modalities = ("image",)

    def _init_weights(self, module: nn.Module) -> None:
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")


class AllConvModel(AllConvPreTrainedModel):
    """The convolutions."""

    def __init__(self, config: AllConvConfig) -> None:
        super().__init__(config)
        channels = [config.num_channels, *(item[0] for item in config.convolutions)]
        self.blocks = nn.ModuleList(
            AllConvBlock(channels[i], *convolution) for i, convolution in enumerate(config.convolutions)
        )
        self.post_init()

    def forward(self, pixel_values: Tensor, output_hidden_states: bool = False, **_more: Any) -> Any:  # noqa: FBT001, FBT002
        """Return the feature maps of the last block and, if requested, of all blocks."""
        states = [pixel_values]
        for block in self.blocks:
            states.append(block(states[-1]))
        return BaseModelOutputWithNoAttention(
            last_hidden_state=states[-1], hidden_states=tuple(states) if output_hidden_states else None
        )


class AllConvForImageClassification(AllConvPreTrainedModel):
    """The convolutions, global average pooling and a linear layer."""

    def __init__(self, config: AllConvConfig) -> None:
        super().__init__(config)
        self.allconv = AllConvModel(config)
        self.classifier = nn.Linear(config.convolutions[-1][0], config.num_labels)
        self.post_init()

    def forward(self, pixel_values: Tensor, **_more: Any) -> Any:
        """Return logits [batch, labels]."""
        pooled = self.allconv(pixel_values).last_hidden_state.mean((2, 3))
        return ImageClassifierOutputWithNoAttention(logits=self.classifier(pooled))


def register() -> None:
    """Register the architecture with the Auto classes; doing so twice is harmless."""
    AutoConfig.register(AllConvConfig.model_type, AllConvConfig, exist_ok=True)
    AutoModel.register(AllConvConfig, AllConvModel, exist_ok=True)
    AutoModelForImageClassification.register(AllConvConfig, AllConvForImageClassification, exist_ok=True)

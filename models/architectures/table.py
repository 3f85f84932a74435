"""Every architecture by its name: how to build it, what it takes, how large it is, where it comes from.

`build("resnet-20", size=32, channels=3, classes=10)` builds one. Importing this module loads no Keras.
"""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from models.applications import Application, applications
from models.architectures import alexnet, cnn, dense, googlenet, residual, resnet_small, vgg, wide_residual
from models.architectures.backbone import backbone, smallest_size
from models.errors import ModelError


@dataclass(frozen=True, slots=True, kw_only=True)
class Architecture:
    """One row: a builder with the options that make this network of it, and what is known about it."""

    name: str
    make: Callable[..., Any]  # keyword arguments size, channels, classes and options -> keras.Model
    options: Mapping[str, Any] = field(default_factory=dict)
    smallest: int  # side in pixels
    size: int  # side, channels and classes of the published network
    channels: int = 3
    classes: int = 10
    parameters: int  # of the published network; batch normalization's statistics count for keras.applications only
    published: str = ""  # the figure that the source prints, "" where it prints none for exactly this network
    source: str
    about: str

    @property
    def takes_weights(self) -> bool:
        """Whether it can begin with weights from elsewhere: the networks of `keras.applications`."""
        return "weights" in inspect.signature(self.make).parameters


def names() -> tuple[str, ...]:
    """Our own networks by age, then those of `keras.applications`."""
    return tuple(table())


def find(name: str) -> Architecture:
    """The row of that name in any case; raises `ModelError` with the nearest names, or with all of them."""
    rows = table()
    if name.lower() not in rows:
        near = difflib.get_close_matches(name.lower(), rows, n=4, cutoff=0.5)
        raise ModelError(f"There is no architecture {name!r}; choose from {', '.join(near or rows)}.")
    return rows[name.lower()]


def build(name: str, *, size: int, channels: int, classes: int, **options: Any) -> Any:
    """A Keras model of the architecture `name`, its outputs "probabilities", "embedding" and, where it has one, "map".

    Args:
        name: as in `names()`, in any case.
        size: side of the input in pixels.
        channels: 1 or 3.
        classes: the number of labels.
        options: the builder's own, for instance `width=8`; they replace those of the row.

    Raises:
        ModelError: an unknown name or option, or what the network cannot be built for.
    """
    row = find(name)
    known = sorted(set(inspect.signature(row.make).parameters) - {"size", "channels", "classes", "application"})
    unknown = sorted(set(options) - set(known))
    if unknown:
        raise ModelError(f"{row.name} has no option {unknown[0]}; it has {', '.join(known) or 'none'}.")
    return row.make(size=size, channels=channels, classes=classes, **{**row.options, **options})


def table() -> dict[str, Architecture]:
    """Name -> row; a name that comes twice raises."""
    rows: dict[str, Architecture] = {}
    for row in (*_OWN, *_small(), *_wide(), *_backbones()):
        if row.name in rows:
            raise ValueError(f"There are two architectures {row.name}.")
        rows[row.name] = row
    return rows


def as_markdown() -> str:
    """The table of docs/architectures.md."""
    lines = ["| name | size | from | parameters | published | source | what it is |", "|---|---|---|---|---|---|---|"]
    lines += [
        f"| `{row.name}` | {row.size} | {row.smallest} | {row.parameters:,} | {row.published or '-'} | {row.source} |"
        f" {row.about} |"
        for row in table().values()
    ]
    return "\n".join(lines) + "\n"


_OWN = (
    Architecture(
        name="dense", make=dense.build, smallest=dense.SMALLEST, size=28, channels=1, parameters=101_770,
        published="101,770", source='TensorFlow, "Basic classification"',
        about="one hidden layer of 128 units; every pixel meets every unit",
    ),
    Architecture(
        name="cnn", make=cnn.build, smallest=cnn.SMALLEST, size=32, parameters=122_570, published="122,570",
        source='TensorFlow, "Convolutional Neural Network (CNN)"',
        about="three convolutions, one hidden layer of 64 units",
    ),
    Architecture(
        name="alexnet", make=alexnet.build, smallest=alexnet.SMALLEST, size=224, classes=1000, parameters=61_100_840,
        published="61,100,840", source="Krizhevsky et al. 2012, 3.5; one tower as torchvision has it",
        about="2012, 8 layers: the network that began it",
    ),
    Architecture(
        name="vgg-16", make=vgg.build, smallest=vgg.SMALLEST, size=224, classes=1000, parameters=138_357_544,
        published="138 M", source="Simonyan and Zisserman 2014, tables 1 and 2",
        about='2014, 16 layers of 3x3 convolutions; `head="pooled"` for small pictures',
    ),
    Architecture(
        name="googlenet", make=googlenet.build, smallest=googlenet.SMALLEST, size=224, classes=1000,
        parameters=6_998_552, published="6.999 M", source="Szegedy et al. 2014, table 1; `bvlc_googlenet` of Caffe",
        about="2014, 22 layers in inception modules, without the auxiliary classifiers",
    ),
    Architecture(
        name="residual", make=residual.build, options={"patch": 4, "widths": (24, 32, 56)}, smallest=4, size=32,
        channels=1, parameters=75_034, source="He et al. 2015, 3.3",
        about="the shipped digit model: three blocks on patches of 4 x 4 pixels; `patch` divides the size",
    ),
)

_SMALL = {20: (269_722, "0.27 M"), 32: (464_154, "0.46 M"), 44: (658_586, "0.66 M"), 56: (853_018, "0.85 M"),
          110: (1_727_962, "1.7 M")}


def _small() -> list[Architecture]:
    """Plain and residual networks; the paper trains no plain one of 110 layers."""
    kinds = {False: ("plain", "no shortcuts"), True: ("resnet", "shortcuts without weights")}
    pairs = [(residual, depth) for residual in kinds for depth in _SMALL if residual or depth < 110]
    return [
        Architecture(
            name=f"{kinds[residual][0]}-{depth}", make=resnet_small.build,
            options={"depth": depth, "residual": residual}, smallest=resnet_small.SMALLEST, size=32,
            parameters=_SMALL[depth][0], published=_SMALL[depth][1], source="He et al. 2015, 4.2",
            about=f"{depth} layers, {kinds[residual][1]}; `width=8` makes it narrower",
        )
        for residual, depth in pairs
    ]


def _wide() -> list[Architecture]:
    rows = ((16, 4, 2_748_890, "2.7 M"), (28, 10, 36_479_194, "36.5 M"))
    return [
        Architecture(
            name=f"wrn-{depth}-{widening}", make=wide_residual.build, options={"depth": depth, "widening": widening},
            smallest=wide_residual.SMALLEST, size=32, parameters=parameters, published=published,
            source="Zagoruyko and Komodakis 2016, tables 1 and 4",
            about=f"{depth} layers, {widening} times as wide; `dropout=0.3` between the convolutions of a block",
        )
        for depth, widening, parameters, published in rows
    ]


_BACKBONES = {
    "Howard et al. 2017": "MobileNet 4,253,864 =",
    "Sandler et al. 2018": "MobileNetV2 3,538,984 =",
    "Howard et al. 2019": "MobileNetV3Small 1,516,120 -, MobileNetV3Large 3,957,352 -",
    "Zoph et al. 2017": "NASNetMobile 5,326,716 =, NASNetLarge 88,949,818 =",
    "Szegedy et al. 2015": "InceptionV3 23,851,784 =",
    "Szegedy et al. 2016": "InceptionResNetV2 55,873,736 =",
    "Chollet 2016": "Xception 22,910,480 =",
    "He et al. 2015": "ResNet50 25,636,712 =, ResNet101 44,707,176 =, ResNet152 60,419,944 =",
    "He et al. 2016": "ResNet50V2 25,613,800 =, ResNet101V2 44,675,560 =, "
    "ResNet152V2 60,380,648 =",
    "Huang et al. 2016": "DenseNet121 8,062,504 =, DenseNet169 14,307,880 =, "
    "DenseNet201 20,242,984 =",
    "Simonyan and Zisserman 2014": "VGG16 15,227,688 -, VGG19 20,537,384 -",
    "Tan and Le 2019": "EfficientNetB0 5,330,571 =, EfficientNetB1 7,856,239 =, "
    "EfficientNetB2 9,177,569 =, EfficientNetB3 12,320,535 =, EfficientNetB4 19,466,823 =, "
    "EfficientNetB5 30,562,527 =, EfficientNetB6 43,265,143 =, EfficientNetB7 66,658,687 =",
    "Tan and Le 2021": "EfficientNetV2B0 7,200,312 7.2M, EfficientNetV2B1 8,212,124 8.2M, "
    "EfficientNetV2B2 10,178,374 10.2M, EfficientNetV2B3 14,467,622 14.5M, EfficientNetV2S 21,612,360 21.6M, "
    "EfficientNetV2M 54,431,388 54.4M, EfficientNetV2L 119,027,848 119.0M",
    "Liu et al. 2022": "ConvNeXtTiny 28,589,128 28.6M, ConvNeXtSmall 50,223,688 50.2M, ConvNeXtBase 88,591,464 89M, "
    "ConvNeXtLarge 197,767,336 198M, ConvNeXtXLarge 350,196,968 350M",
}
"""Paper -> network, its parameters with 1,000 classes behind our head, and what keras.io prints (for ConvNeXt: the
paper, table 1), "=" where that is all digits, "-" where the network's own head is not average pooling and one dense
layer."""


def _backbones() -> list[Architecture]:
    known = applications()
    rows = [(source, *row.split()) for source, line in _BACKBONES.items() for row in line.split(", ")]
    return [
        _backbone(known[name.lower()], int(count.replace(",", "")), published, source)
        for source, name, count, published in rows
    ]


def _backbone(application: Application, parameters: int, published: str, source: str) -> Architecture:
    own_head = published == "-"
    printed = {"-": "", "=": f"{parameters:,}"}.get(published, published.replace("M", " M"))
    return Architecture(
        name=application.name.lower(), make=_Backbone(application), smallest=smallest_size(application),
        size=application.size, classes=1000, parameters=parameters,
        published=printed, source=f"{source}; keras.applications",
        about=f"`keras.applications.{application.name}`{', its own head is another' if own_head else ''}",
    )


@dataclass(frozen=True, slots=True)
class _Backbone:
    """The builder of one application, with the arguments of all others."""

    application: Application

    def __call__(
        self, *, size: int, channels: int, classes: int, weights: str = "none", trainable: bool = False
    ) -> Any:
        """Frozen unless `trainable`; with random weights unless `weights` says "imagenet" or names a file."""
        if channels != 3:
            raise ModelError(f"{self.application.name} takes RGB pictures, 3 channels; channels is {channels}.")
        return backbone(self.application, classes=classes, size=size, weights=weights, trainable=trainable)

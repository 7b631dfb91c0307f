"""ITAE: what an autoencoder of clips, trained on normal videos, says of each frame.

Source: Cho, Kim, Kim, Cho, Lee, Unsupervised video anomaly detection via normalizing flows with
implicit latent features (Pattern Recognition 2022).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from vadbench.detector import Nature
from vadbench.errors import BadInput
from vadbench.features.boxes.provider import NeededFile, Objects
from vadbench.features.extractors.extractor import Advance, Vectors
from vadbench.features.extractors.itae.options import ItaeOptions, count_steps, identity, paper

if TYPE_CHECKING:
    import torch

    from vadbench.features.extractors.itae.network import ITAE
    from vadbench.features.extractors.itae.reading import Reader
    from vadbench.features.extractors.reconstruction import Reconstruction
    from vadbench.features.footage import Footage

MAPS = {  # of h x w cells in a row
    "static": ("static_max", "static_mean", "intensity"),
    "dynamic": ("dynamic_max", "dynamic_mean"),
    "pooled": ("static_max", "static_mean", "dynamic_max", "dynamic_mean"),
}
COUNTERS = "num_batches_tracked"  # of the norms: they decide nothing


class Itae:
    """One row a frame, from a network that is trained on the data set's normal videos.

    Variants: `pooled` (the stream `itae`): the largest and the mean value over the channels of both
    paths' latents, averaged over 2 x 2 cells, for methods of vectors; `error`: the reconstruction
    error of the frame's worst square, the score of the paper's autoencoder alone; `static`,
    `dynamic`: the maps that the paper's two flows read, flattened.

    The four share one network. `train` makes one and `restore` takes up what `arrays` gave; one of
    them comes before `extract`.

    >>> itae = Itae("static", ItaeOptions())
    >>> itae.shape(), len(itae.columns()), itae.parameter_count()
    ((3, 16, 24), 1152, 485109)
    """

    name: ClassVar[str] = "itae"
    version: ClassVar[int] = 1
    learnt: ClassVar[bool] = True
    reads_frames: ClassVar[bool] = True
    variant_titles: ClassVar[dict[str, str]] = {
        "pooled": "latents of both paths, pooled over channels and cells",
        "error": "reconstruction error of the worst square, 1-d",
        "static": "maps of the static path's latents, with intensity",
        "dynamic": "maps of the dynamic path's latents",
    }
    variants: ClassVar[tuple[str, ...]] = tuple(variant_titles)
    needs_boxes: ClassVar[bool] = False
    Options: ClassVar[type[BaseModel]] = ItaeOptions

    def __init__(self, variant: str, options: ItaeOptions) -> None:
        self.variant = variant
        self.options = options
        self.device: torch.device | str = "cpu"
        self._net: ITAE | None = None

    @classmethod
    def resolve(cls, options: ItaeOptions, variant: str, provider: str) -> dict[str, Any]:
        """The options beside the network's own that change what this variant gives, JSON-ready.

        Raises:
            BadInput: if the variant needs a path that the network has not.
        """
        if variant == "dynamic" and options.paths == "static":
            raise BadInput(
                "itae.dynamic: itae.paths=static has no dynamic path; use itae.static, or"
                " itae.paths=both"
            )
        error = {"patch", "error"} if variant == "error" else set()
        return options.model_dump(mode="json", include={"stride", *error})

    @classmethod
    def preset(cls, name: str, dataset: str) -> dict[str, Any]:
        """The options of the training that preset `name` changes for a data set; see
        `options.paper`.
        """
        return paper(dataset) if name == "paper" else {}

    def training(self) -> dict[str, Any]:
        """The options that decide the training, beside the seed: the network's identity."""
        return identity(self.options)

    def files(self) -> tuple[NeededFile, ...]:
        """None: the weights are learnt."""
        return ()

    def shape(self) -> tuple[int, ...] | None:
        """Maps, height and width of a row's maps; None: no row of maps."""
        if self.variant in ("static", "dynamic"):
            return (len(MAPS[self.variant]), *self.options.cells)
        return None

    def columns(self) -> tuple[str, ...]:
        """Names of the D columns: map, row and column of each cell."""
        if self.variant == "error":
            return ("error",)
        height, width = self.options.cells
        if self.variant == "pooled":
            height, width = -(-height // 2), -(-width // 2)
        return tuple(
            f"{name}_{y}_{x}"
            for name in MAPS[self.variant]
            if not (self.options.paths == "static" and name.startswith("dynamic"))
            for y in range(height)
            for x in range(width)
        )

    def nature(self) -> Nature:
        """Activations or errors of one network: they share a scale. All but the error embed a
        frame.
        """
        maps, embedding = self.shape() is not None, self.variant != "error"
        return Nature(
            one_unit=True, embedding=embedding, windows=True, network=self.name, maps=maps
        )

    def train(self, videos: Sequence[Footage], session: Any) -> None:
        """Train the network on normal videos.

        Args:
            videos: of the training; a clip shorter than `clip` repeats its last frame.
            session: maps the frames, seeds torch and runs the steps
                (vadbench.features.networks.session).

        Raises:
            BadInput: if there are too few videos or clips, or the loss is not finite.
        """
        from vadbench.features.extractors.itae.training import train_network

        self._take_up(train_network(self.options, videos, session), session.device)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The network's weights and running statistics, by name.

        Raises:
            RuntimeError: before `train` or `restore`.
        """
        state = self._trained.state_dict()
        return {
            name: np.ascontiguousarray(values.detach().cpu().numpy())
            for name, values in state.items()
            if not name.endswith(COUNTERS)
        }

    def restore(self, arrays: dict[str, NDArray[Any]], device: torch.device | str) -> None:
        """Take up what `arrays` gave.

        Raises:
            ValueError: if they are of a network of other options.
        """
        import torch

        from vadbench.features.extractors.itae.training import build

        with torch.random.fork_rng(devices=[]):
            net = build(self.options)
        state = {name: torch.from_numpy(np.array(values)) for name, values in arrays.items()}
        counters = {
            name: value for name, value in net.state_dict().items() if name.endswith(COUNTERS)
        }
        try:
            net.load_state_dict({**state, **counters})
        except RuntimeError as error:
            raise ValueError(f"itae: weights of other options: {error}") from error
        self._take_up(net.to(device), device)

    def parameter_count(self) -> int:
        """Weights of the network; needs no training."""
        import torch

        from vadbench.features.extractors.itae.training import build

        with torch.device("meta"):
            return sum(values.numel() for values in build(self.options).parameters())

    def training_flops(self, clips: int | None = None) -> float:
        """Floating-point operations of the training, two a multiply-add, a backward pass as two
        forward; losses and norms are not in it. Needs no training.

        Args:
            clips: of the training videos, one at each frame where one fits; asked for where
                `epochs` is set, and without it the answer is NaN there.
        """
        options = self.options
        unknown = options.epochs is not None and clips is None
        steps = float("nan") if unknown else count_steps(options, clips or 0)
        return 2.0 * 3 * self._multiply_adds(decoder=True) * options.batch * steps

    def frame_flops(self) -> float:
        """Floating-point operations that a frame of a long video costs in `extract`."""
        decoder = self.variant == "error"
        return 2.0 * self._multiply_adds(decoder) / self.options.stride

    def extract(self, footage: Footage, objects: Objects, advance: Advance) -> Vectors:
        """One row a frame; memory holds a few batches of clips beside the rows.

        Raises:
            BadInput: on a clip that cannot be used.
            RuntimeError: before `train` or `restore`.
        """
        if self.variant == "error":
            x = self._reader.errors(footage, advance)
        else:
            x = self._reader.latents(footage, self.variant, len(self.columns()), advance)
        return Vectors(x, np.arange(len(footage), dtype=np.int64))

    def reconstruct(self, footage: Footage) -> Iterator[Reconstruction]:
        """Every frame, its reconstruction, its errors, its worst square and the error of the stream
        `itae.error`, for pictures.

        Raises:
            BadInput: on a clip that cannot be used.
            RuntimeError: before `train` or `restore`.
        """
        return self._reader.pictures(footage)

    @property
    def _trained(self) -> ITAE:
        if self._net is None:
            raise RuntimeError("itae: no network yet; train() or restore() makes one")
        return self._net

    @cached_property
    def _reader(self) -> Reader:
        from vadbench.features.extractors.itae.network import folded
        from vadbench.features.extractors.itae.reading import Reader

        return Reader(folded(self._trained), self.options, self.device)

    def _take_up(self, net: ITAE, device: torch.device | str) -> None:
        self._net, self.device = net.eval(), device
        self.__dict__.pop("_reader", None)

    def _multiply_adds(self, decoder: bool) -> int:
        from vadbench.features.extractors.itae.network import multiply_adds

        options = self.options
        return multiply_adds(
            options.channels,
            options.size,
            options.width,
            options.paths,
            options.lateral,
            options.clip,
            options.tau,
            decoder,
        )

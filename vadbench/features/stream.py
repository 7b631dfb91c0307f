"""What a stream's name stands for on a data set: every option resolved, a fingerprint of all that
decides its vectors, and where they lie.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, cast

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from vadbench import registry
from vadbench.datasets.base import Dataset, Split
from vadbench.datasets.part import base_of
from vadbench.detector import Nature
from vadbench.errors import BadInput, cut
from vadbench.features import store
from vadbench.features.boxes.provider import NeededFile, Provider
from vadbench.features.extractors.extractor import Extractor, LearntExtractor
from vadbench.features.names import IMPORT, StreamName
from vadbench.files.canonical import canonical_hash
from vadbench.files.digest import sha256
from vadbench.files.documents import read_json
from vadbench.versions import code_of

Settings = dict[str, dict[str, Any]]  # extractor or provider -> option -> value


class Imported(BaseModel):
    """What the record of an import says: digests of what was read, which are its identity, and
    where that came from.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    vectors: dict[str, str] = Field({}, description="split -> digest of its vectors")
    places: dict[str, str] = Field(
        {}, description="split -> digest of its rows' clips, frames and boxes: equal ones join"
    )
    windows: bool = Field(False, description="whether rows describe windows, else objects")
    nature: Nature | None = Field(None, description="what the columns are, where the user said so")
    options: dict[str, Any] = Field({}, description="how the files were read")
    files: dict[str, str] = Field({}, description="split -> sha256 of the files")
    sources: dict[str, str] = Field({}, description="split -> path of the files")


@dataclass(frozen=True)
class StreamPlan:
    """A stream of a data set with every option resolved: plain data, cheap to make, nothing read
    but the digests of files it needs.

    Attributes:
        name: the canonical name, also the folder's.
        stream: its parts.
        dataset: `<name>@<revision>`, the cache's folder.
        extractor: name, variant, version, options and the digests of weights, JSON-ready.
        boxes: provider, version, options and the digests of its files, JSON-ready; empty for
            extractors of whole frames.
        changed: extractor or provider -> its options that are not the defaults: what tells two
            streams of one name apart without their files.
        nature: what its columns are.
        reads_frames: whether frames decide the vectors; imported ones, and tracks from files, do
            without.
        boxes_read_frames: whether frames decide the boxes.
        network: of a learnt extractor the recipe of its network's training: extractor, version,
            options, data set, videos (null: the training split's) and seed; empty for others.
        seeded: whether that seed is the job's.
    """

    name: str
    stream: StreamName
    dataset: str
    extractor: dict[str, Any]
    boxes: dict[str, Any]
    changed: dict[str, dict[str, Any]] = field(default_factory=dict)
    nature: Nature = field(default_factory=Nature)
    reads_frames: bool = False
    boxes_read_frames: bool = False
    network: dict[str, Any] = field(default_factory=dict)
    seeded: bool = False

    @property
    def components(self) -> tuple[str, ...]:
        """The names whose settings this plan uses: the extractor's and the provider's."""
        return tuple(
            name for name in (self.stream.extractor, self.stream.provider.partition(".")[0]) if name
        )

    @property
    def boxes_fingerprint(self) -> str:
        """12 hex digits of all that decides the boxes."""
        return canonical_hash(self.boxes)[:12]

    @property
    def fingerprint(self) -> str:
        """12 hex digits of all that decides the vectors: extractor, options, boxes, files, a learnt
        one's network; not threads, not library versions.
        """
        decides = {"extractor": self.extractor, "boxes": self.boxes}
        decides |= {"network": self.network} if self.network else {}
        return canonical_hash(decides)[:12]

    @property
    def network_fingerprint(self) -> str:
        """12 hex digits of all that decides a learnt extractor's network."""
        return canonical_hash(self.network)[:12]

    def network_folder(self, cache: Path) -> Path:
        """Where the network lies: with the data set that it is trained on."""
        name = f"{self.network['name']}@{self.network_fingerprint}"
        return cache / str(self.network["dataset"]) / "networks" / name

    def take_seed(self, seed: int) -> StreamPlan:
        """This stream with a job's seed; itself where that decides nothing."""
        return replace(self, network={**self.network, "seed": seed}) if self.seeded else self

    @property
    def manifest(self) -> dict[str, Any]:
        """What the stream's manifest says of it."""
        described = {
            "dataset": self.dataset,
            "stream": self.name,
            "fingerprint": self.fingerprint,
            "extractor": self.extractor,
        }
        if self.boxes:
            described["boxes"] = {**self.boxes, "fingerprint": self.boxes_fingerprint}
        if self.network:
            described["network"] = {**self.network, "fingerprint": self.network_fingerprint}
        return described

    def folder(self, cache: Path, split: Split) -> Path:
        """Where the vectors of a split are."""
        return cache / self.dataset / f"{self.name}@{self.fingerprint}" / split

    def boxes_folder(self, cache: Path, split: Split) -> Path:
        """Where the boxes of a split are."""
        return (
            cache
            / self.dataset
            / "boxes"
            / f"{self.stream.provider}@{self.boxes_fingerprint}"
            / split
        )


def plan_stream(
    dataset: Dataset,
    stream: str,
    settings: Settings,
    *,
    preset: str = "fast",
    trained: Dataset | None = None,
    videos: tuple[str, ...] | None = None,
) -> StreamPlan:
    """Resolve a stream's name and options; reads no video.

    Args:
        dataset: whose default boxes apply where the name gives none.
        stream: `extractor[.variant][@provider]`.
        settings: options by extractor or provider; those of others are not looked at.
        preset: of learnt extractors.
        trained: the data set that learnt extractors learn on; None: `dataset`.
        videos: those that they learn on, as `split/name`; None: the training split.

    Raises:
        BadInput: on an unknown name or option, with the choices.
    """
    name = StreamName.parse(stream, dataset.boxes)
    where = f"{dataset.name}@{dataset.revision}"
    if name.imported:
        return _plan_recorded_import(where, name)
    loaded: type[Extractor] = registry.load("extractors", name.extractor)
    learnt = getattr(loaded, "learnt", False)
    given = settings.get(name.extractor, {})
    source = trained or dataset
    if hasattr(loaded, "preset"):
        given = {**loaded.preset(preset, base_of(source.name)), **given}
    options = _options(loaded.Options, given, name.extractor)
    described: dict[str, Any] = {
        "name": name.extractor,
        "variant": name.variant,
        "version": loaded.version,
        "options": loaded.resolve(options, name.variant, name.provider),
        **_code("extractors", loaded, dataset),
    }
    extractor = loaded(name.variant, options)
    weights = digests(extractor.files())
    network = _plan_network(extractor, source, videos) if learnt else {}
    boxes = _plan_boxes(dataset, name.provider, settings) if name.provider else {}
    decides = described["options"] | _training_options(extractor)
    changed = {name.extractor: _differences(decides, _default_options(loaded, name))}
    if boxes:
        provider, _, label = name.provider.partition(".")
        found: type[Provider] = registry.load("boxes", provider)
        usual = _resolve_boxes(found, found.Options(), label)
        changed[provider] = _differences(boxes["options"], usual)
    changed = {component: options for component, options in changed.items() if options}
    described |= {"files": weights} if weights else {}
    by_boxes = bool(boxes) and _reads_frames(
        registry.load("boxes", name.provider.partition(".")[0])
    )
    reads = by_boxes or _reads_frames(loaded)
    return StreamPlan(
        str(name),
        name,
        where,
        described,
        boxes,
        changed,
        nature_of(extractor),
        reads,
        by_boxes,
        network,
        learnt and getattr(options, "seed", None) is None,
    )


def _plan_network(
    extractor: Any, trained: Dataset, videos: tuple[str, ...] | None
) -> dict[str, Any]:
    """The recipe of a network's training, with seed 0 where the job decides it."""
    seed = getattr(extractor.options, "seed", None)
    return {
        "name": extractor.name,
        "version": extractor.version,
        "options": extractor.training(),
        "dataset": f"{trained.name}@{trained.revision}",
        "videos": None if videos is None else list(videos),
        "seed": 0 if seed is None else int(seed),
        **_code("extractors", type(extractor), trained),
    }


def _training_options(extractor: Any) -> dict[str, Any]:
    """What was chosen of a learnt extractor's training; nothing of another one's."""
    if not getattr(extractor, "learnt", False):
        return {}
    seed = getattr(extractor.options, "seed", None)
    return dict(extractor.training()) | ({} if seed is None else {"seed": seed})


def nature_of(extractor: Extractor) -> Nature:
    """What an extractor declares its columns to be; of one that declares nothing, columns of
    several units.
    """
    windows = not extractor.needs_boxes
    declared: Nature = (
        extractor.nature() if hasattr(extractor, "nature") else Nature(windows=windows)
    )
    return declared


def declared_nature(stream: str) -> Nature:
    """What the extractor in a stream's name declares of the stream, without options; of an imported
    one, of all its variants.

    Raises:
        BadInput: on an unknown name.
    """
    what, _, provider = stream.partition("@")
    extractor, _, variant = what.partition(".")
    loaded: type[Extractor] = registry.load("extractors", extractor)
    found = nature_of(loaded(variant or loaded.variants[0], loaded.Options()))
    return inherit(found) if provider.startswith(f"{IMPORT}.") else found


def inherit(nature: Nature) -> Nature:
    """What an import takes over from the extractor it names: not which columns are what, nor which
    network made them.
    """
    return replace(nature, speeds=None, network="", motion=())


def _reads_frames(component: Any) -> bool:
    return bool(getattr(component, "reads_frames", True))


def _code(kind: registry.Kind, component: Any, dataset: Dataset) -> dict[str, Any]:
    """The code that decides beside a component's own version: a plug-in's, and that of the data
    set's reader where it reads frames.
    """
    plug_in = code_of(kind, component.name)
    found: dict[str, Any] = {"code": plug_in} if "package" in plug_in else {}
    name = base_of(dataset.name)
    read = _reads_frames(component) and name in registry.names("datasets")
    reader = code_of("datasets", name) if read else {}
    return found | ({"reader": reader} if reader else {})


def _differences(options: dict[str, Any], defaults: dict[str, Any]) -> dict[str, Any]:
    return {
        name: value
        for name, value in options.items()
        if name not in defaults or defaults[name] != value
    }


def _default_options(extractor: type[Extractor], name: StreamName) -> dict[str, Any]:
    """What the extractor resolves without settings; nothing for a variant that needs some."""
    try:
        options = extractor.Options()
        usual = extractor.resolve(options, name.variant, name.provider)
        return usual | _training_options(extractor(name.variant, options))
    except BadInput:
        return {}


def is_available(stream: str, dataset: Dataset) -> bool:
    """Whether the extractor's packages and weights are on this machine; its boxes are not looked
    at.
    """
    name = StreamName.parse(stream, dataset.boxes)
    loaded: type[Extractor] = registry.load("extractors", name.extractor)
    try:
        return all(file.path.is_file() for file in loaded(name.variant, loaded.Options()).files())
    except BadInput:
        return False


def make_extractor(plan: StreamPlan) -> Extractor:
    """The plan's extractor; one and the same for equal plans, so that weights are loaded once a
    process. A learnt one has no network: see `trained_extractor`.
    """
    return _load_extractor(plan.stream.extractor, plan.stream.variant, _write_options(plan))


def new_extractor(plan: StreamPlan) -> Extractor:
    """The plan's extractor, one of its own."""
    return _load_extractor.__wrapped__(
        plan.stream.extractor, plan.stream.variant, _write_options(plan)
    )


def trained_extractor(plan: StreamPlan, folder: Path) -> Extractor:
    """The plan's extractor with the network in `folder`; one and the same in a process.

    Raises:
        BadInput: if the network is damaged, or of other options.
    """
    return _restore_extractor(
        plan.stream.extractor,
        plan.stream.variant,
        _write_options(plan),
        folder,
        (folder / store.MANIFEST).stat().st_mtime_ns,
    )


def _write_options(plan: StreamPlan) -> str:
    options = plan.extractor["options"] | plan.network.get("options", {})
    return json.dumps(options, sort_keys=True)


def make_provider(plan: StreamPlan, dataset: Dataset) -> Provider:
    """The plan's provider of boxes."""
    return _provider(plan.stream.provider, plan.boxes["options"], dataset)


def open_stream(dataset: str, plan: StreamPlan, cache: Path, split: Split) -> store.Stream:
    """The cached stream of a split of `<name>@<revision>`.

    Raises:
        BadInput: if it is not there, damaged, or of another version of the store.
    """
    folder = cache / dataset / plan.folder(cache, split).relative_to(cache / plan.dataset)
    stream = store.open_folder(folder, f"{dataset}/{plan.name}/{split}")
    shape = stream.manifest.get("shape")
    features = replace(
        stream.features, nature=plan.nature, shape=None if shape is None else tuple(shape)
    )
    return replace(stream, features=features)


def digests(files: Iterable[NeededFile]) -> dict[str, str]:
    """sha256 by file name; empty where one is absent: planning, and tables of old records, do
    without.
    """
    needed = list(files)
    if not all(file.path.is_file() for file in needed):
        return {}
    return {
        file.path.name: _digest(file.path, file.path.stat().st_mtime_ns, file.path.stat().st_size)
        for file in needed
    }


def require(files: Iterable[NeededFile]) -> None:
    """Refuse to begin without a file.

    Raises:
        BadInput: naming the first that is missing, with what it is and how to get it.
    """
    for file in files:
        if not file.path.is_file():
            raise BadInput(f"{file.path}: {file.what}")


def import_record(cache: Path, dataset: str, name: StreamName) -> Path:
    """Where the record of an import lies; `dataset` is `<name>@<revision>`."""
    return cache / dataset / "imports" / f"{name}.json"


def plan_import(dataset: str, name: StreamName, imported: Imported) -> StreamPlan:
    """The plan of imported vectors: its identity is what was read, however the files were laid out;
    `dataset` is `<name>@<revision>`.
    """
    loaded: type[Extractor] = registry.load("extractors", name.extractor)
    usual = inherit(nature_of(loaded(loaded.variants[0], loaded.Options())))
    nature = imported.nature or replace(usual, windows=imported.windows)
    extractor = {
        "name": name.extractor,
        "variant": "import",
        "version": 1,
        "options": {},
        "rows": imported.vectors,
    }
    extractor |= {"windows": True} if imported.windows else {}
    extractor |= {"nature": imported.nature.document} if imported.nature else {}
    boxes = {"provider": IMPORT, "version": 1, "rows": imported.places}
    return StreamPlan(str(name), name, dataset, extractor, boxes, nature=nature)


def _plan_recorded_import(dataset: str, name: StreamName) -> StreamPlan:
    """The plan of imported vectors, from what the import recorded; of none where there was no
    import.
    """
    from vadbench.locations import cache_root

    path = import_record(cache_root(), dataset, name)
    if not path.is_file():
        return plan_import(dataset, name, Imported())
    try:
        return plan_import(dataset, name, Imported.model_validate(read_json(path)))
    except (ValidationError, BadInput) as error:
        again = "delete it and run `vadbench features import` again"
        raise BadInput(f"{path}: not the record of an import by this version; {again}") from error


def _plan_boxes(dataset: Dataset, provider: str, settings: Settings) -> dict[str, Any]:
    name, _, label = provider.partition(".")
    boxes: type[Provider] = registry.load("boxes", name)
    chosen = _options(boxes.Options, settings.get(boxes.name, {}), boxes.name)
    options = _resolve_boxes(boxes, chosen, label)
    described = {"provider": provider, "version": boxes.version, "options": options}
    described |= _code("boxes", boxes, dataset)
    needed = _provider(provider, options, dataset).files()
    return described | ({"files": digests(needed)} if needed else {})


def _resolve_boxes(boxes: type[Provider], options: BaseModel, label: str) -> dict[str, Any]:
    """The options that decide what a provider finds, JSON-ready: all, where it does not say."""
    if hasattr(boxes, "resolve"):
        return dict(boxes.resolve(options, label))
    return options.model_dump(mode="json")


def _provider(provider: str, options: dict[str, Any], dataset: Dataset) -> Provider:
    name, _, label = provider.partition(".")
    loaded: type[Provider] = registry.load("boxes", name)
    return loaded(loaded.Options(**options), dataset, label)


def _options(model: type[BaseModel], values: dict[str, Any], what: str) -> BaseModel:
    """The options with these values."""
    try:
        return model(**values)
    except ValidationError as error:
        raise BadInput(f"{what}: {registry.first_fault(error, model)}") from error


@cache
def _load_extractor(extractor: str, variant: str, options: str) -> Extractor:
    loaded: type[Extractor] = registry.load("extractors", extractor)
    return loaded(variant, loaded.Options(**json.loads(options)))


@lru_cache(maxsize=4)
def _restore_extractor(
    extractor: str, variant: str, options: str, folder: Path, _written: int
) -> Extractor:
    from vadbench.features.networks.store import again, read_network
    from vadbench.training import resolve_device

    found = cast(LearntExtractor, _load_extractor.__wrapped__(extractor, variant, options))
    network = read_network(folder)
    try:
        found.restore(network.arrays, resolve_device("auto"))
    except (KeyError, ValueError, RuntimeError) as error:
        raise BadInput(
            f"{folder}: of another network than its manifest says ({cut(str(error))});"
            f" {again(folder)}"
        ) from error
    return found


@cache
def _digest(path: Path, modified: int, size: int) -> str:
    """The file's digest, computed again only when the file changed."""
    return sha256(path)

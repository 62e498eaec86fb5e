"""The text of a competition of boxes in pictures, from COCO annotations."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.boxes import coco
from pipeline.draft import code
from pipeline.draft.code import Node, called, mapped, quoted
from pipeline.draft.folder import Folder
from pipeline.draft.of_tables import record, title
from pipeline.draft.pictures import Place, place_of
from pipeline.errors import BadData
from pipeline.tables import read_text

MOST_CATEGORIES = 12  # of the made-up pictures
LAST = "test"  # the phase that comes last, where one has this name


@dataclass(frozen=True)
class Asked:
    """A list of images to look at: a table with these columns of ids and names, or a COCO file (columns None)."""

    file: str
    columns: tuple[str, ...] | None
    id: str
    picture: str
    place: Place
    rows: int

    @property
    def phase(self) -> str:
        return Path(self.file).stem


@dataclass(frozen=True)
class Facts:
    """categories: by name, the number of boxes. odd: what of the annotations was mended."""

    name: str
    slug: str
    annotations: str
    images: int
    of_train: Place
    asked: tuple[Asked, ...]
    categories: dict[str, int]
    odd: tuple[str, ...]

    @property
    def together(self) -> bool:
        """Whether all pictures lie in one folder, under the names that the files give them."""
        return {one.place for one in self.asked} == {self.of_train}


def gather(name: str, slug: str, folder: Folder, named: str | None) -> Facts:
    """named: the annotations, where a person says which. Raises BadData."""
    file = named or _only(folder)
    if file not in folder.annotations:
        raise BadData(
            f"{folder.root / file} is no file of COCO annotations with boxes. There are {', '.join(folder.annotations)}."
        )
    found = coco.read(folder.root / file)
    if found.boxes.empty:
        raise BadData(f"{folder.root / file} has no boxes with an area, so there is nothing to learn.")
    if not folder.pictures:
        raise BadData(f"{folder.root} has no pictures, without which no detector can be trained. Unpack them there.")
    of_train = place_of(found.images["file_name"], folder.pictures)
    if of_train is None:
        raise BadData(
            f"{folder.root} does not have the pictures of {file}, such as {found.images['file_name'].min()!r}. Unpack them there."
        )
    asked = _asked(folder, set(found.images["id"]))
    if any(place.after for place in (of_train, *(one.place for one in asked))):
        raise BadData(f"{folder.root}: the annotations or the lists name pictures without their endings. Write whole file names.")
    if not asked:
        raise BadData(
            f"{folder.root} does not say which images are asked for. Put there test.csv, with the columns id and file_name of each, or "
            "test.json, a COCO file with the list of images and empty lists of annotations and of categories."
        )
    counts = found.boxes["category_id"].value_counts()
    categories = {one.name: int(counts.get(one.id, 0)) for one in found.categories.itertuples(index=False)}
    return Facts(name, slug, file, len(found.images), of_train, asked, categories, found.notes)


def _only(folder: Folder) -> str:
    several = folder.annotations
    trains = [name for name in several if "train" in name.lower()]
    if len(trains or several) != 1:
        raise BadData(
            f"{folder.root} has several files of annotations: {', '.join(trains or several)}. Say which with --train FILE."
        )
    return (trains or several)[0]


def _asked(folder: Folder, known: set[str]) -> tuple[Asked, ...]:
    """The lists of images that are none of train, the last phase at the end."""
    found = [_of_json(folder, name) for name in folder.lists] + [_of_table(folder, name, known) for name in folder.tables]
    lists = [one for one in found if one is not None]
    if len({(one.columns is None, one.id, one.picture, one.columns) for one in lists}) > 1:
        raise BadData(
            f"{folder.root} has lists of images in different columns: {', '.join(one.file for one in lists)}. Keep one kind."
        )
    return tuple(sorted(lists, key=lambda one: (LAST in one.phase, one.phase)))


def _of_json(folder: Folder, name: str) -> Asked | None:
    images = coco.read(folder.root / name).images
    place = place_of(images["file_name"], folder.pictures)
    return None if place is None else Asked(name, None, "id", "file_name", place, len(images))


def _of_table(folder: Folder, name: str, known: set[str]) -> Asked | None:
    table = read_text(folder.root / name)
    places = {column: place for column in table.columns if (place := place_of(table[column], folder.pictures)) is not None}
    ids = [column for column in table.columns if column not in places and table[column].is_unique]
    if not places or not ids:
        return None
    one = next((column for column in ids if column.lower() in ("id", "image_id", "imageid")), ids[0])
    if set(table[one]) <= known:
        return None
    picture = min(places)
    return Asked(name, tuple(table.columns), one, picture, places[picture], len(table))


# --------------------------------------------------------------------------------------------------------------------- the text


def reasons(facts: Facts) -> Iterator[str]:
    boxes = ", ".join(
        f"{name} {count:,}" for name, count in sorted(facts.categories.items(), key=lambda pair: (-pair[1], pair[0]))[:12]
    )
    yield f"Boxes: {facts.annotations} has {sum(facts.categories.values()):,} in {facts.images:,} images, of {len(facts.categories)} categories: {boxes}."
    lacking = [name for name, count in facts.categories.items() if not count]
    if lacking:
        yield f"Categories without a box, which nothing can learn: {', '.join(lacking)}."
    yield from (f"Annotations, {note}" for note in facts.odd)
    phases = ", ".join(f"{one.file} ({one.rows:,})" for one in facts.asked)
    yield f"Images to look at: {phases}." + (
        " Each is a phase; the last is answered unless --phase says otherwise." * (len(facts.asked) > 1)
    )
    yield "Folds: five, copies of a picture in one, every category spread evenly, the rarest first."


def text(facts: Facts, reasons: Sequence[str]) -> str:
    """reasons: what was inferred, a sentence each."""
    things = ", ".join(facts.categories)
    blocks = [
        code.documented(
            title(facts.name, f"where are the {things}?"),
            ["A first draft, written by `podium new`. What it took for granted, for a person to look at:"],
            reasons,
        ),
        _imports(facts),
        "\n".join(_constants(facts)),
        record(
            facts.name,
            facts.slug,
            called("Detection", "id=ID"),
            'KFold(k=5, strata=1, groups=("twins",))',
            ("fcos-small",),
            60,
        ),
        "\n".join(_load(facts)),
        FEATURES,
        MODELS,
        "\n".join(_practice(facts)),
    ]
    return code.module(blocks)


FEATURES = '''def features() -> FunctionTransformer:
    """The picture's id and name alone: detectors look it up."""
    return FunctionTransformer(pd.DataFrame.filter, kw_args={"items": [ID, IMAGE]})'''

MODELS = '''def models() -> dict[str, Model]:
    """Two heads over a body that knows ImageNet, and a small one for a first look. Rare categories are seen more often."""
    lite0 = {"net": "tf_efficientnet_lite0", "weights": "package"}
    large = {**lite0, "size": 512, "epochs": 24, "plain": 6, "mosaic": 0.5, "sizes": (0.75, 1.0, 1.25), "ema": 0.998}
    small = {**lite0, "size": 192, "batch": 4, "rate": 1e-3, "epochs": 8, "plain": 2, "freeze": 4}
    rare = "repeat-factor:at=0.3"
    return {
        "fcos": Model("detector", {**large, "head": "fcos"}, resample=rare),
        "faster-rcnn": Model("detector", {**large, "head": "faster-rcnn"}, resample=rare),
        "fcos-small": Model("detector", {**small, "head": "fcos", "width": 64, "convolutions": 2}, resample=rare),
    }'''


def _imports(facts: Facts) -> str:
    tables = facts.asked[0].columns is not None
    named = {
        "pathlib": ["Path"],
        "sklearn.preprocessing": ["FunctionTransformer"],
        "pipeline.boxes": ["coco"],
        "pipeline.competition": ["Competition", "Data", "Detection", "Model"],
        "pipeline.folds": ["KFold"],
        "pipeline.pictures.names": ["there"],
        "pipeline.practice.scenes": ["scenes"],
        "pipeline.tables": ["read_table"] * tables,
    }
    return code.imports(named, ["json", "pandas"])


def _constants(facts: Facts) -> Iterator[str]:
    yield 'ID, IMAGE = "image_id", "image"'
    named = list(facts.categories)[:MOST_CATEGORIES]
    yield Node("CATEGORIES = {", tuple(f"{number}: {quoted(name)}" for number, name in enumerate(named, 1)), "}").laid()
    if len(facts.categories) > MOST_CATEGORIES:
        yield "# These are the categories of the made-up pictures; those of the real ones are read from the annotations."
    places = {one.file: one.place.before for one in facts.asked}
    entries: dict[str, str | Node] = {file: quoted(before) for file, before in places.items()}
    yield "# The lists of images to look at" + (", and the folders of their pictures:" if not facts.together else ":")
    yield (
        Node("ASKED = (", tuple(map(quoted, entries)), ")", one=True).laid()
        if facts.together
        else mapped(entries, "ASKED = ").laid()
    )


def _load(facts: Facts) -> Iterator[str]:
    first = facts.asked[0]
    folder = facts.of_train.before.rstrip("/")
    root = f"root / {quoted(folder)}" if facts.together and folder else "root"
    yield "def load(root: Path) -> Data:"
    yield f'    """{code.shown(facts.annotations)}, the lists of images to look at, and the pictures, none of which is opened. Raises BadData."""'
    yield f"    found = coco.read(root / {quoted(facts.annotations)})"
    yield '    train = found.images.rename(columns={"id": ID, "file_name": IMAGE})'
    yield f"    images = {root}"
    if not facts.together and facts.of_train.before:
        yield f"    train[IMAGE] = {quoted(facts.of_train.before)} + train[IMAGE]"
    yield "    lists = []"
    yield f"    for name{', folder' if not facts.together else ''} in ASKED{'.items()' if not facts.together else ''}:"
    if first.columns is None:
        yield '        table = coco.read(root / name).images[["id", "file_name"]]'
    else:
        given = ", ".join(map(quoted, first.columns))
        yield f"        table, _ = read_table(root / name, [{given}], (), required={{{quoted(first.id)}, {quoted(first.picture)}}})"
    yield f"        table = table.rename(columns={{{quoted(first.id)}: ID, {quoted(first.picture)}: IMAGE}})"
    if not facts.together:
        yield "        table[IMAGE] = folder + table[IMAGE]"
    phase = ", phase=Path(name).stem" * (len(facts.asked) > 1)
    yield f"        lists.append(table.assign({phase[2:]}))" if phase else "        lists.append(table)"
    yield "    test = pd.concat(lists, ignore_index=True)"
    yield '    there(images, [*train[IMAGE], *test[IMAGE]], "the annotations and the lists")'
    yield "    return Data(train, test, test[[ID]], found.boxes, found.categories, images, found.notes)"


def _practice(facts: Facts) -> Iterator[str]:
    first, before = facts.asked[0], facts.of_train.before
    folder = f"root / {quoted(before.rstrip('/'))}" if before else "root"
    yield "def practice(root: Path, rows: int, seed: int) -> None:"
    yield '    """Drawn things before a noisy ground, whose colour and shape tell the category."""'
    yield '    names = {number: f"{number}.jpg" for number in range(1, rows + 1)}'
    yield f"    content = json.dumps(scenes({folder}, names, CATEGORIES, seed))"
    yield f'    (root / {quoted(facts.annotations)}).write_text(content, encoding="utf-8")'
    listed = "list(ASKED.items())" if not facts.together else "ASKED"
    each = "(name, below)" if not facts.together else "name"
    yield f"    for place, {each} in enumerate({listed}, 1):"
    yield '        names = {number: f"{number}.jpg" for number in range(place * 10**6, place * 10**6 + rows // 2)}'
    where = "root / below" if not facts.together else folder
    drawn = "asked = " * (first.columns is None)
    yield f"        {drawn}scenes({where}, names, CATEGORIES, seed + place)"
    if first.columns is None:
        yield '        (root / name).write_text(json.dumps({**asked, "annotations": []}), encoding="utf-8")'
        return
    yield f"        table = pd.DataFrame({{{quoted(first.id)}: list(names), {quoted(first.picture)}: list(names.values())}})"
    yield "        table.to_csv(root / name, index=False)"

"""The text of a competition of pictures, each of one class."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pipeline.draft import code
from pipeline.draft.code import Node, called, literal, many, quoted
from pipeline.draft.of_tables import MOST_CLASSES, record, saved, title
from pipeline.draft.pictures import Place
from pipeline.draft.question import Question
from pipeline.draft.scoring import Scoring
from pipeline.errors import BadData

IMAGE = "image"  # the pipeline's column of pictures


@dataclass(frozen=True)
class Facts:
    """test: None where the sample submission is the only list of test pictures. column: of the pictures' names. of_train, of_test: where
    they lie. others: columns of train and of test that are not looked at. classes: sorted."""

    name: str
    slug: str
    train: str
    test: str | None
    sample: str
    rows: tuple[int, int]
    question: Question
    scoring: Scoring
    column: str
    of_train: Place
    of_test: Place
    others: tuple[tuple[str, ...], tuple[str, ...]]
    classes: tuple[str, ...]
    gaps: int

    @property
    def folder(self) -> str:
        """To which the names in the column `image` are relative."""
        return self.of_train.before if self.plain else ""

    @property
    def plain(self) -> bool:
        """Whether the column is what the pipeline looks for: `image`, of names in one folder."""
        return self.column == IMAGE and self.of_train == self.of_test and not self.of_train.after


def refuse(facts: Facts) -> None:
    """Raise BadData for what the pipeline has no place for."""
    if facts.question.by_row or facts.question.repeats or not facts.question.in_train:
        raise BadData(f"Pictures need an id of their own in train and test; {facts.question.id!r} is none. Give each row one.")
    if facts.column == IMAGE == facts.question.id and not facts.plain:
        raise BadData(
            f"The ids in {IMAGE!r} are not the paths of the pictures, which lie at {facts.of_train.of('ID')} and {facts.of_test.of('ID')}. "
            "Bring all pictures into one folder, under the names that the tables give them."
        )


def text(facts: Facts, reasons: Sequence[str]) -> str:
    """reasons: what was inferred, a sentence each."""
    paragraph = (
        f"A first draft, written by `podium new` from {facts.rows[0]:,} pictures to learn from and {facts.rows[1]:,} to tell. What it took for "
        "granted, for a person to look at:"
    )
    blocks = [
        code.documented(title(facts.name, f"what is {facts.question.named} of each picture?"), [paragraph], reasons),
        _imports(facts),
        "\n".join(_constants(facts)),
        record(
            facts.name,
            facts.slug,
            called("Classification", "id=ID", "target=TARGET", f"metric={quoted(facts.scoring.metric)}"),
            'KFold(k=5, strata=1, groups=("twins",))',
            ("probe-logistic",),
            120,
        ),
        "\n".join(_load(facts)),
        FEATURES,
        MODELS,
        "\n".join(_practice(facts)),
    ]
    return code.module(blocks)


FEATURES = '''def features() -> FunctionTransformer:
    """The picture's name alone: the families of pictures look it up."""
    return FunctionTransformer(pd.DataFrame.filter, kw_args={"items": ["image"]})'''

MODELS = '''def models() -> dict[str, Model]:
    """Heads on the features of a frozen net, and a net that is fine-tuned on smaller pictures: what a CPU can do.

    Say in `augment` and `views` how a picture may be turned and still show the same; here it may be mirrored.
    """
    lite0 = {"net": "tf_efficientnet_lite0", "weights": "package"}
    probe = {**lite0, "size": 224, "views": ("plain", "mirror")}
    tuned = {"size": 160, "epochs": 6, "batch": 32, "rate": 1e-3, "layer_decay": 0.9, "mixup": 0.0, "cutmix": 0.0}
    return {
        "probe-logistic": Model("probe", {**probe, "head": "logistic"}),
        "probe-lda": Model("probe", {**probe, "head": "lda"}),
        "fine-tuned": Model("image", {**lite0, **tuned, "augment": {"flips": "horizontal", "crop": 0.6, "colour": 0.1}}),
    }'''


def _imports(facts: Facts) -> str:
    named = {
        "pathlib": ["Path"],
        "sklearn.preprocessing": ["FunctionTransformer"],
        "pipeline.competition": ["Classification", "Competition", "Data", "Model"],
        "pipeline.folds": ["KFold"],
        "pipeline.pictures.names": ["there"],
        "pipeline.practice": ["Category"],
        "pipeline.practice.pictures": ["draw"],
        "pipeline.practice.rows": ["made_up"],
        "pipeline.tables": ["read_table", "read_text", *["same_ids"] * (facts.test is not None)],
    }
    return code.imports(named, ["pandas"])


def _constants(facts: Facts) -> Iterator[str]:
    question = facts.question
    yield f"ID, TARGET = {quoted(question.id)}, {quoted(question.named)}"
    if facts.column not in (question.id, IMAGE):
        yield f"PICTURE = {quoted(facts.column)}  # the column of the pictures' names"
    if question.one_hot:
        yield many(question.answers, "CLASSES = ").laid()
    elif question.target != question.named:
        yield f"LABEL = {quoted(question.target)}  # what train calls the target"
    if question.prefix:
        yield f"PREFIX = {quoted(question.prefix)}  # of a class, in the sample submission"
    few = len(facts.classes) <= MOST_CLASSES
    answer = called("Category", "CLASSES" if question.one_hot else many(facts.classes) if few else literal(MOST_CLASSES))
    line = Node(f"ANSWER = {answer.head}", answer.parts, answer.tail).laid()
    yield (
        line if few or question.one_hot else f"{line}  # of the made-up pictures; of the real ones there are {len(facts.classes)}"
    )


def _cells(facts: Facts) -> str:
    """The constant of the column of names."""
    return "ID" if facts.column == facts.question.id else quoted(IMAGE) if facts.column == IMAGE else "PICTURE"


def _label(facts: Facts) -> str:
    question = facts.question
    return "*CLASSES" if question.one_hot else "LABEL" if question.target != question.named else "TARGET"


def _load(facts: Facts) -> Iterator[str]:
    question, cells, label = facts.question, _cells(facts), _label(facts)
    needed = ["ID", *[cells] * (cells != "ID")]
    yield "def load(root: Path) -> Data:"
    yield f'    """{code.shown(facts.train)}, {code.shown(facts.sample)} and the pictures, none of which is opened. Raises BadData."""'
    numbers = "CLASSES" if question.one_hot else "()"
    train = Node("[", (*needed, *map(quoted, facts.others[0]), label), "]")
    yield Node(
        "train, _ = read_table(",
        (f"root / {quoted(facts.train)}", train, numbers, f"required={{{', '.join([*needed, label])}}}"),
        ")",
    ).laid(4)
    yield f"    sample = read_text(root / {quoted(facts.sample)})"
    if facts.test is None:
        yield "    test = sample[[ID]].copy()"
    else:
        test = Node("[", (*needed, *map(quoted, facts.others[1])), "]")
        parts = (f"root / {quoted(facts.test)}", test, "()", f"required={{{', '.join(needed)}}}")
        yield Node("test, _ = read_table(", parts, ")").laid(4)
        yield f"    same_ids(root / {quoted(facts.test)}, test[ID], root / {quoted(facts.sample)}, sample[ID])"
    if question.one_hot:
        yield "    train[TARGET] = train[list(CLASSES)].idxmax(axis=1)"
    elif question.target != question.named:
        yield "    train = train.rename(columns={LABEL: TARGET})"
    if facts.gaps:
        yield "    train = train[train[TARGET].notna()].reset_index(drop=True)  # without a label a picture teaches nothing"
    if question.prefix:
        yield "    train[TARGET] = PREFIX + train[TARGET]  # as the columns to fill are called"
    if not facts.plain:
        for name, place in (("train", facts.of_train), ("test", facts.of_test)):
            yield f'    {name}["image"] = {_path(name, cells, place, facts.folder)}'
    root = f"root / {quoted(facts.folder.rstrip('/'))}" if facts.folder else "root"
    yield f'    there({root}, [*train["image"], *test["image"]], {quoted(f"{facts.train} and {facts.test or facts.sample}")})'
    yield f"    return Data(train, test, sample, images={root})"


def _path(name: str, cells: str, place: Place, folder: str) -> str:
    before = place.before.removeprefix(folder)
    parts = [quoted(before)] * bool(before) + [f"{name}[{cells}]"] + [quoted(place.after)] * bool(place.after)
    return " + ".join(parts)


def _practice(facts: Facts) -> Iterator[str]:
    question, cells = facts.question, _cells(facts)
    ending = "" if facts.of_train.after else ".jpg"
    yield "def practice(root: Path, rows: int, seed: int) -> None:"
    yield '    """Drawn things, whose colour and shape tell the class."""'
    yield "    table = made_up({TARGET: ANSWER}, TARGET, rows + rows // 2, seed)"
    if cells == "ID":
        yield f'    table.insert(0, ID, [f"{{number:05d}}{ending}" for number in table.index])'
    else:
        yield '    table.insert(0, ID, [f"{number:05d}" for number in table.index])'
        yield f'    table[{cells}] = table[ID] + "{ending}"' if ending else f"    table[{cells}] = table[ID]"
    yield "    train, test = table[:rows], table[rows:]"
    for name, place, seed in (("train", facts.of_train, "seed"), ("test", facts.of_test, "seed + 1")):
        yield Node("draw(", ("root", _path(name, cells, place, ""), f"{name}[TARGET]", seed), ")").laid(4)
    given = ""
    if question.one_hot:
        given = ".drop(columns=TARGET).join(pd.get_dummies(train[TARGET], dtype=int))"
    elif question.target != question.named:
        given = ".rename(columns={TARGET: LABEL})"
    yield saved(f"train{given}", quoted(facts.train))
    if facts.test is not None:
        yield saved("test.drop(columns=TARGET)", quoted(facts.test))
    if question.one_hot:
        answers = "**dict.fromkeys(CLASSES, 0)"
    elif question.of_classes:
        answers = f"**{{{'PREFIX + one' if question.prefix else 'one'}: 0 for one in sorted(set(table[TARGET]))}}"
    else:
        answers = f"**{{TARGET: {'0.5' if facts.scoring.kind == 'probability' else 'table[TARGET].iloc[0]'}}}"
    yield saved(f"test[[ID]].assign({answers})", quoted(facts.sample))

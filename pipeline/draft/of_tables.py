"""The text of a competition of tables: rows of numbers, categories, dates and texts, and a number or a class to predict."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from pipeline.draft import code
from pipeline.draft.code import Node, called, literal, many, quoted
from pipeline.draft.kinds import ISO, PACKED_DATE, is_written, kind_of, known, number_of, numbers
from pipeline.draft.plan import Folding, fold, group_of
from pipeline.draft.question import Question
from pipeline.draft.scoring import Scoring
from pipeline.errors import BadData
from pipeline.practice import Category, Date, Number, Text
from pipeline.practice.columns import Kind

RUN = re.compile(r"([A-Za-z0-9_ .-]*?)([0-9]+)")
LONG_RUN = 8  # columns of one name and a number, from which they are written as one
MOST_CLASSES = 12  # of the made-up answers
MANY_LEVELS = 30  # of a category whose frequency may tell something
FIGURES = "# 1 %, half and 99 % of the rows lie below the figures of a Number. Practice data is made up from this, and from nothing else."


@dataclass(frozen=True)
class Facts:
    """What the files say. columns: that features are made of. unused: why the others are not, by name. only: those of them that
    one of the tables lacks, by the one that has them. written: numbers that are read as text. files: train, test, sample."""

    name: str
    slug: str
    files: tuple[str, str, str]
    rows: tuple[int, int]
    question: Question
    scoring: Scoring
    columns: Mapping[str, Kind]
    unused: Mapping[str, str]
    only: Mapping[str, tuple[str, ...]]
    written: tuple[str, ...]
    folding: Folding
    answer: Kind
    gaps: int  # rows of train without an answer

    @property
    def classes(self) -> bool:
        return self.scoring.kind != "value"

    @property
    def group(self) -> str | None:
        return self.folding.group


def gather(
    name: str, slug: str, files: tuple[str, str, str], tables: Sequence[pd.DataFrame], question: Question, scoring: Scoring
) -> Facts:
    """tables: train, test and sample as text. Raises BadData where no column could be used."""
    train, test, _ = tables
    apart = {question.id, question.target, question.named, *question.answers}
    shared = [column for column in train.columns if column in test and column not in apart]
    only = {
        "train": tuple(column for column in train.columns if column not in test and column not in apart),
        "test": tuple(column for column in test.columns if column not in train and column not in apart),
    }
    cells = {column: pd.concat([train[column], test[column]], ignore_index=True) for column in shared}
    kinds = {column: kind_of(column, cells[column]) for column in shared}
    group = question.id if question.repeats else group_of(train, test, kinds)
    columns = {column: kind for column, kind in kinds.items() if not isinstance(kind, str) and column != group}
    if not columns:
        raise BadData("No column that train and test share says anything. Are these the right files?")
    unused = {column: kind for column, kind in kinds.items() if isinstance(kind, str) and column != group}
    unused |= {column: f"is only in {side}" for side, several in only.items() for column in several}
    classes = scoring.kind != "value"
    written = tuple(column for column, kind in columns.items() if isinstance(kind, Number) and is_written(cells[column]))
    return Facts(
        name,
        slug,
        files,
        (len(train), len(test)),
        question,
        scoring,
        columns,
        unused,
        only,
        written,
        fold(columns, train, test, classes, group),
        _answer(train, question, classes),
        0 if question.one_hot else len(train) - len(known(train[question.target])),
    )


def _answer(train: pd.DataFrame, question: Question, classes: bool) -> Kind:
    if question.one_hot:
        return Category(question.answers)
    cells = known(train[question.target])
    if not classes:
        return number_of(numbers(cells))
    levels = tuple(sorted(cells.unique()))
    return Category(levels if len(levels) <= MOST_CLASSES else MOST_CLASSES)


# --------------------------------------------------------------------------------------------------------------------- the text


def text(facts: Facts, reasons: Sequence[str]) -> str:
    """reasons: what was inferred, a sentence each."""
    blocks = [
        code.documented(_title(facts), _paragraphs(facts), reasons),
        _imports(facts),
        *_constants(facts),
        _record(facts),
        _load(facts),
        *([_target()] if facts.scoring.metric == "rmsle" else []),
        _features(facts),
        models(facts),
        _practice(facts),
    ]
    return code.module(blocks)


def title(name: str, question: str) -> str:
    """The first line of the docstring, which `podium list` shows."""
    line = f"{name.replace('-', ' ').capitalize()}: {code.shown(question)}"
    return line if len(line) <= 80 else f"{line[:76]}...?"


def _title(facts: Facts) -> str:
    return title(facts.name, f"what is {facts.question.named} of each row?")


def _paragraphs(facts: Facts) -> Iterator[str]:
    yield (
        f"A first draft, written by `podium new` from {facts.rows[0]:,} train and {facts.rows[1]:,} test rows. What it took for granted, for a "
        "person to look at:"
    )


def of_kind(facts: Facts, kind: type[Kind]) -> list[str]:
    return [name for name, column in facts.columns.items() if isinstance(column, kind)]


def _converted(facts: Facts) -> dict[str, str]:
    """The dates that are not written as ISO 8601 has them, with their format."""
    return {
        name: column.format
        for name, column in facts.columns.items()
        if isinstance(column, Date) and column.format not in (*ISO, PACKED_DATE)
    }


def _binary(facts: Facts) -> bool:
    return isinstance(facts.answer, Category) and isinstance(facts.answer.levels, tuple) and len(facts.answer.levels) == 2


def _encoded(facts: Facts) -> bool:
    """Whether categories can be encoded by the target: of several classes it is no amount."""
    return bool(of_kind(facts, Category)) and (not facts.classes or _binary(facts))


def _frequent(facts: Facts) -> bool:
    return any(
        isinstance(kind, Category) and isinstance(kind.levels, int) and kind.levels >= MANY_LEVELS
        for kind in facts.columns.values()
    )


def _imports(facts: Facts) -> str:
    task = "Classification" if facts.classes else "Regression"
    kinds = {type(kind).__name__ for kind in (*facts.columns.values(), facts.answer)}
    texts, dates = of_kind(facts, Text), of_kind(facts, Date)
    named: dict[str, list[str]] = {
        "pathlib": ["Path"],
        "sklearn.preprocessing": ["FunctionTransformer"] * bool(texts),
        "features.compose": ["Union"],
        "features.dates": ["Dates"] * bool(dates),
        "features.encodings": [
            *["Categories"] * bool(of_kind(facts, Category)),
            *["Frequency"] * _frequent(facts),
            *["TargetEncoding"] * _encoded(facts),
        ],
        "features.numbers": ["Numbers"] * bool(of_kind(facts, Number)),
        "features.target": ["LogRatio"] * (facts.scoring.metric == "rmsle"),
        "features.text": ["TextPhrases", "TextSvd"] * bool(texts),
        "pipeline.competition": ["Competition", "Data", "Model", task],
        "pipeline.errors": ["BadData"] * facts.question.by_row,
        "pipeline.folds": [facts.folding.room],
        "pipeline.practice": [*kinds, "Columns", "of_kind"],
        "pipeline.practice.rows": ["made_up"],
        "pipeline.tables": ["read_table", "read_text", *["same_ids"] * (not facts.question.by_row)],
    }
    pandas = bool(texts) or bool(_converted(facts)) or facts.question.one_hot
    return code.imports(named, ["pandas"] * pandas)


def _constants(facts: Facts) -> Iterator[str]:
    question = facts.question
    lines = [f"ID, TARGET = {quoted(question.id)}, {quoted(question.named)}"]
    if not question.one_hot and question.target != question.named:
        lines.append(f"LABEL = {quoted(question.target)}  # what train calls the target")
    if question.prefix:
        lines.append(f"PREFIX = {quoted(question.prefix)}  # of a class, in the sample submission")
    if facts.group is not None:
        lines.append(f'GROUP = "{_free("group", facts)}"' if question.repeats else f"GROUP = {quoted(facts.group)}")
    if question.one_hot:
        lines.append(many(question.answers, "CLASSES = ").laid())
    yield "\n".join(lines)
    answer = called("Category", "CLASSES") if question.one_hot else _kind(facts.answer)
    lines = [
        FIGURES,
        Node(f"ANSWER = {answer.head}", answer.parts, answer.tail, answer.one).laid(),
        Node("COLUMNS: Columns = {", tuple(_entries(facts.columns)), "}").laid(split=True),
        *_names_of_kinds(facts),
    ]
    if facts.written:
        lines.append(
            "# Some of their cells are no plain numbers: they are read as text, of which the features take what is a number."
        )
        lines.append(many(facts.written, "WRITTEN = ").laid())
        lines.append("PLAIN = [name for name in NUMBERS if name not in WRITTEN]")
    if facts.unused:
        lines.append(many(facts.unused, "UNUSED = ").laid())
    yield "\n".join(lines)


def _names_of_kinds(facts: Facts) -> Iterator[str]:
    for name, kind in (("NUMBERS", Number), ("CATEGORIES", Category), ("DATES", Date), ("TEXTS", Text)):
        if of_kind(facts, kind):
            yield f"{name} = of_kind(COLUMNS, {kind.__name__})"


def _free(name: str, facts: Facts) -> str:
    """A name that no column has."""
    taken = {*facts.columns, *facts.unused, facts.question.id, facts.question.named, facts.question.target}
    while name in taken:
        name += "_"
    return name


def _kind(kind: Kind) -> Node:
    """The expression that makes it."""
    missing = {"missing": kind.missing} if kind.missing else {}
    if isinstance(kind, Number):
        return called("Number", *map(literal, (kind.low, kind.middle, kind.high)), **missing)
    if isinstance(kind, Text):
        return called("Text", literal(kind.words), **missing)
    if isinstance(kind, Date):
        form = {} if kind.format == ISO[0] else {"format": kind.format}
        return called("Date", quoted(kind.first), quoted(kind.last), **missing, **form)
    levels = literal(kind.levels) if isinstance(kind.levels, int) else many(kind.levels)
    return called("Category", levels, **missing)


def _entries(columns: Mapping[str, Kind]) -> Iterator[str | Node]:
    """A line a column; columns of one name and a number, such as pixel0 to pixel783, in one line together."""
    runs = _runs(columns)
    first = {names[0]: head for head, names in runs.items()}
    inside = {name for names in runs.values() for name in names}
    for name, kind in columns.items():
        node = _kind(kind)
        if name in first:
            names = runs[first[name]]
            node = _kind(_together([columns[one] for one in names]))
            stem, digits = first[name]
            start = int(names[0][len(stem) :])
            form = f"{{number:0{digits}d}}" if digits > 1 else "{number}"
            key = f'f"{stem}{form}"'
            span = f"range({start}, {start + len(names)})" if start else f"range({len(names)})"
            yield f"**{{{key}: {node.flat()} for number in {span}}}"
        elif name not in inside:
            yield Node(f"{quoted(name)}: {node.head}", node.parts, node.tail, node.one)


def _runs(columns: Mapping[str, Kind]) -> dict[tuple[str, int], list[str]]:
    """By what is before the number, and the digits that it has at least, columns that follow each other in number."""
    found: dict[tuple[str, str], dict[int, str]] = {}
    for name, kind in columns.items():
        match = RUN.fullmatch(name)
        if match and (isinstance(kind, Number) or (isinstance(kind, Category) and isinstance(kind.levels, int))):
            found.setdefault((match[1], type(kind).__name__), {})[int(match[2])] = name
    runs = {}
    for (stem, _), named in found.items():
        numbered = sorted(named)
        if len(numbered) < LONG_RUN or numbered != list(range(numbered[0], numbered[-1] + 1)):
            continue
        names = [named[number] for number in numbered]
        for digits in (1, len(names[-1]) - len(stem)):
            if [f"{stem}{number:0{digits}d}" for number in numbered] == names:
                runs[stem, digits] = names
                break
    return runs


def _together(kinds: Sequence[Kind]) -> Kind:
    missing = round(float(np.mean([kind.missing for kind in kinds])), 2)
    several = [kind for kind in kinds if isinstance(kind, Number)]
    if not several:
        return Category(
            max(kind.levels for kind in kinds if isinstance(kind, Category) and isinstance(kind.levels, int)), missing
        )
    low, high = min(kind.low for kind in several), max(kind.high for kind in several)
    middle = sorted(kind.middle for kind in several)[len(several) // 2]
    if all(kind.whole for kind in several):
        return Number(low, middle, high, missing)
    return Number(float(low), float(middle), float(high), missing)


def _record(facts: Facts) -> str:
    metric = quoted(facts.scoring.metric)
    low = [] if facts.scoring.low is None else ["low=0.0"]
    task = "Classification" if facts.classes else "Regression"
    return record(
        facts.name,
        facts.slug,
        called(task, "id=ID", "target=TARGET", f"metric={metric}", *low),
        facts.folding.plan,
        ("lightgbm", "ridge"),
    )


def record(name: str, slug: str, task: Node, plan: str, quick: tuple[str, ...], rows: int | None = None) -> str:
    """quick: the models for practice data."""
    parts: list[str | Node] = [
        f"name={quoted(name)}",
        f"kaggle={quoted(slug)}",
        Node(f"task={task.head}", task.parts, task.tail),
        f"folds={plan}",
        *([f"practice_rows={rows}"] if rows else []),
        f"practice_models={literal(quick)}",
    ]
    return Node("competition = Competition(", tuple(parts), ")").laid(split=True)


def _load(facts: Facts) -> str:
    train, test, sample = map(quoted, facts.files)
    question, numbers = facts.question, "PLAIN" if facts.written else "NUMBERS"
    label = "*CLASSES" if question.one_hot else "LABEL" if question.target != question.named else "TARGET"
    more = ["*UNUSED"] * bool(facts.unused) + ["GROUP"] * (facts.group is not None and not question.repeats)
    of_train, of_test = ["ID"] * question.in_train, ["ID"] * (not question.by_row)
    answers = [label] * (not facts.classes or question.one_hot)
    some = bool(of_kind(facts, Number))
    in_train = f"{{*{numbers}, {label}}}" if some and answers else f"{{{label}}}" if answers else numbers if some else "()"
    lines = [
        "def load(root: Path) -> Data:",
        f'    """{_sources(facts)} What is no number stays text. Raises BadData."""',
        _read("train", train, [*of_train, "*COLUMNS", *more, label], in_train, [*of_train, "*COLUMNS", label]),
        _read("test", test, [*of_test, "*COLUMNS", *more], numbers if some else "()", [*of_test, "*COLUMNS"]),
        f"    sample = read_text(root / {sample})",
    ]
    if question.by_row:
        told = 'f"{root}: test has {len(test)} rows and the sample submission {len(sample)}. One of them is cut short."'
        lines += [
            "    if len(test) != len(sample):",
            Node("raise BadData(", (told,), ")").laid(8),
            "    test.insert(0, ID, sample[ID])  # its rows have no ids of their own",
        ]
    else:
        lines.append(f"    same_ids(root / {test}, test[ID], root / {sample}, sample[ID])")
    if not question.in_train:
        lines.append('    train.insert(0, ID, [f"train-{row}" for row in range(len(train))])')
    if question.one_hot:
        lines.append("    train[TARGET] = train[list(CLASSES)].idxmax(axis=1)")
        lines.append("    train = train.drop(columns=list(CLASSES))")
    elif question.target != question.named:
        lines.append("    train = train.rename(columns={LABEL: TARGET})")
    if facts.gaps:
        lines.append("    train = train[train[TARGET].notna()].reset_index(drop=True)  # without an answer a row teaches nothing")
    if question.prefix:
        lines.append("    train[TARGET] = PREFIX + train[TARGET]  # as the columns to fill are called")
    if question.repeats:
        lines.append("    train[GROUP] = train[ID]")
        lines.append(
            '    train[ID] = train[ID] + "-" + train.groupby(ID).cumcount().astype(str)  # ids of rows, since theirs repeat'
        )
    for name, form in _converted(facts).items():
        lines.append("    for table in (train, test):")
        lines.append(
            f'        dates = pd.to_datetime(table[{quoted(name)}].astype(object), format={quoted(form)}, errors="coerce")'
        )
        lines.append(f'        table[{quoted(name)}] = dates.dt.strftime("%Y-%m-%d")')
    return "\n".join([*lines, "    return Data(train, test, sample)"])


def _sources(facts: Facts) -> str:
    train, test, sample = (code.shown(name) for name in facts.files)
    return f"{train}, {test} and {sample} of `root`."


def _read(name: str, file: str, columns: Sequence[str], numbers: str, required: Sequence[str]) -> str:
    parts = (f"root / {file}", f"[{', '.join(columns)}]", numbers, f"required={{{', '.join(required)}}}")
    return Node(f"{name}, _ = read_table(", parts, ")").laid(4)


def _target() -> str:
    return """def target() -> LogRatio:
    \"\"\"The log, since logs are what the metric compares.\"\"\"
    return LogRatio()"""


def _features(facts: Facts) -> str:
    parts: list[str] = []
    if of_kind(facts, Number):
        parts.append("Numbers(NUMBERS)")
    if of_kind(facts, Date):
        parts.append("Dates(DATES)")
    if of_kind(facts, Category):
        parts.append("Categories(CATEGORIES)")
    if _encoded(facts):
        parts.append(f"TargetEncoding(CATEGORIES{', log=True' * (facts.scoring.metric == 'rmsle')})")
    if _frequent(facts):
        parts.append("Frequency(CATEGORIES)")
    if of_kind(facts, Text):
        parts.append("TextSvd(TEXTS, components=16)")
        parts.append("TextPhrases(TEXTS)")
        parts.append('FunctionTransformer(pd.DataFrame.filter, kw_args={"items": TEXTS})')
    words = "\n\n    The texts as they are go to the linear models, which read words.\n    "
    told = words * bool(of_kind(facts, Text))
    lines = [
        "def features() -> Union:",
        f'    """By the kind of column; ratios, differences and repairs are the next thing to think of.{told}"""',
        Node("return Union(", (Node("[", tuple(parts), "]"),), ")").laid(4),
    ]
    return "\n".join(lines)


def models(facts: Facts) -> str:
    absolute = {
        "lightgbm": {"objective": "mae"},
        "xgboost": {"objective": "reg:absoluteerror"},
        "catboost": {"loss_function": "MAE"},
    }
    several = isinstance(facts.answer, Category) and isinstance(facts.answer.levels, int)
    rounds = 150 if several else 500  # a tree for each class in every round
    parts: dict[str, dict[str, Any]] = {
        "lightgbm": {"n_estimators": rounds, "num_leaves": 31, "subsample_freq": 1},
        "xgboost": {"n_estimators": rounds, "max_depth": 6},
        "catboost": {"iterations": 2 * rounds, "learning_rate": 0.05},
    }
    if facts.scoring.metric == "mae":
        parts = {family: {**params, **absolute[family]} for family, params in parts.items()}
    recipes: dict[str, str | Node] = {}
    for family, params in parts.items():
        entries = {key: literal(value) for key, value in params.items()}
        shared = ["**trees"] * (family != "catboost")
        inside = Node("{", (*shared, *(f"{quoted(key)}: {value}" for key, value in entries.items())), "}")
        recipes[family] = Node("Model(", (quoted(family), inside), ")")
    recipes |= {"ridge": 'Model("ridge")', "mlp": 'Model("mlp")'}
    lines = [
        "def models() -> dict[str, Model]:",
        f'    """Trees of three makers, a line and a net, as they come. One of them alone: podium train {facts.name} lightgbm"""',
        '    trees = {"learning_rate": 0.05, "subsample": 0.8, "colsample_bytree": 0.5}',
        code.mapped(recipes, "return ").laid(4, split=True),
    ]
    return "\n".join(lines)


def _practice(facts: Facts) -> str:
    train, test, sample = map(quoted, facts.files)
    question, clock = facts.question, facts.folding.clock
    lines = [
        "def practice(root: Path, rows: int, seed: int) -> None:",
        '    """Made-up rows, from the figures and levels above alone; every column says a little of the answer."""',
        "    table = made_up({**COLUMNS, TARGET: ANSWER}, TARGET, rows + rows // 2, seed)",
    ]
    if clock is not None and clock in _converted(facts):
        when = called("pd.to_datetime", f"table[{quoted(clock)}]", format=_converted(facts)[clock])
        lines.append(Node(f"when = {when.head}", when.parts, when.tail).laid(4))
        lines.append('    table = table.iloc[when.argsort(kind="stable")].reset_index(drop=True)  # test is what comes later')
    elif clock is not None:
        lines.append("    # Test is what comes later.")
        by = called("table.sort_values", quoted(clock), kind="stable", ignore_index=True)
        lines.append(Node(f"table = {by.head}", by.parts, by.tail).laid(4))
    lines.append("    table = table.rename_axis(ID).reset_index()")
    if facts.group is not None and not question.repeats:
        lines.append("    table[GROUP] = table[ID] // 4")
    given = "" if question.in_train else ".drop(columns=ID)"
    if question.one_hot:
        given += ".drop(columns=TARGET).join(pd.get_dummies(train[TARGET], dtype=int))"
    elif question.target != question.named:
        given += ".rename(columns={TARGET: LABEL})"
    asked = "[ID, TARGET]" if question.by_row else "TARGET"
    lines += [
        "    train, test = table[:rows], table[rows:]",
        saved(f"train{given}", train),
        saved(f"test.drop(columns={asked})", test),
        saved(f"test[[ID]].assign({_unfilled(facts)})", sample),
    ]
    return "\n".join(lines)


def saved(table: str, file: str) -> str:
    """The line that writes a table."""
    return Node(f"{table}.to_csv(", (f"root / {file}", "index=False"), ")").laid(4)


def _unfilled(facts: Facts) -> str:
    """What the sample submission has in place of answers."""
    question = facts.question
    if question.one_hot:
        return "**dict.fromkeys(CLASSES, 0)"
    if question.of_classes:
        prefix = "PREFIX + one" if question.prefix else "one"
        return f"**{{{prefix}: 0 for one in sorted(set(table[TARGET]))}}"
    chance = facts.scoring.kind == "probability"
    return f"**{{TARGET: {'0.5' if chance else 'table[TARGET].iloc[0]' if facts.classes else '0'}}}"

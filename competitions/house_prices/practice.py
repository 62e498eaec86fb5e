"""A made-up California: sales, houses and listings in the competition's own files, for working without the real ones.

Everything is drawn from one seeded generator in the order of `tables`: places, houses, sales, prices, what was listed and
filed about them, words, missing values, blunders. Names are coined from syllables. The figures (quartiles, rates of missing
values, extremes) are rounded from the published column summary of the real tables; the price process is ours:

    log price = zip + size + lot + type + age + schools + quality + facts told only in Summary + drift + noise

Train is the first nine months, test the next six, in the order in which sales were recorded.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from pipeline.errors import BadData

MARKER = "PRACTICE.md"
FULL = 47_439  # train rows of the real competition: there the greatest blunders reach the greatest real values
FEWEST = 50
COLUMNS = (
    "Id", "Address", "Sold Price", "Summary", "Type", "Year built", "Heating", "Cooling", "Parking", "Lot", "Bedrooms",
    "Bathrooms", "Full bathrooms", "Total interior livable area", "Total spaces", "Garage spaces", "Region",
    "Elementary School", "Elementary School Score", "Elementary School Distance",
    "Middle School", "Middle School Score", "Middle School Distance", "High School", "High School Score", "High School Distance",
    "Flooring", "Heating features", "Cooling features", "Appliances included", "Laundry features", "Parking features",
    "Tax assessed value", "Annual tax amount", "Listed On", "Listed Price", "Last Sold On", "Last Sold Price",
    "City", "Zip", "State",
)  # fmt: skip

# ---------------------------------------------------------------------------------------------------------------- figures

START, MONTHS = np.datetime64("2020-04-01"), 15  # of recording; nine months of train, then three and three of test
DAYS = MONTHS * 365.25 / 12

PRICE_QUARTILES, PRICE_RANGE = (565e3, 960e3, 1_525e3), (100_500, 90e6)


class Curve(NamedTuple):
    """A column's distribution: quantiles at probabilities, with straight lines between them (of logs where `log`)."""

    probabilities: tuple[float, ...]
    quantiles: tuple[float, ...]
    log: bool = True

    def __call__(self, latent: np.ndarray) -> np.ndarray:
        """The values that stand at the ranks of `latent` (n,): greater latent, greater value, and quartiles as given."""
        rank = (rankdata(latent, method="ordinal") - 0.5) / len(latent)
        if self.log:
            return np.exp(np.interp(rank, self.probabilities, np.log(self.quantiles)))
        return np.interp(rank, self.probabilities, self.quantiles)


AREA = Curve((0, 0.01, 0.25, 0.5, 0.75, 0.97, 0.997, 1), (280, 560, 1187, 1566, 2142, 4100, 7500, 24e3))
LOT = Curve((0, 0.01, 0.21, 0.46, 0.71, 0.85, 0.95, 0.99, 1), (700, 1500, 4990, 6500, 10_450, 22e3, 110e3, 900e3, 40e6))
YEAR = Curve((0, 0.01, 0.25, 0.5, 0.75, 0.97, 1), (1862, 1903, 1946, 1967, 1989, 2017, 2021), log=False)
DISTANCE = {
    "Elementary": Curve((0, 0.05, 0.25, 0.5, 0.75, 0.93, 0.99, 1), (0.04, 0.1, 0.3, 0.5, 1.0, 3.2, 10, 57.2)),
    "Middle": Curve((0, 0.05, 0.25, 0.5, 0.75, 0.93, 0.99, 1), (0.04, 0.2, 0.6, 1.0, 1.8, 4.5, 12, 57.2)),
    "High": Curve((0, 0.05, 0.25, 0.5, 0.75, 0.93, 0.99, 1), (0.04, 0.3, 0.8, 1.3, 2.4, 6.5, 17, 73.9)),
}
ZIP_AT, ZIP_CODES = (0, 0.25, 0.5, 0.75, 1), (90_001, 90_220, 94_114, 95_073, 96_155)  # shares of sales from the south
SCHOOLS = {"Elementary": (5.6, 2.1, 10), "Middle": (5.5, 2.0, 9), "High": (6.35, 2.0, 10)}  # mean, sd, best score

# Shares of missing values, by families that go missing together: the first of a family is the least often missing.
MISSING: tuple[Mapping[str, float], ...] = (
    {"Summary": 0.0075}, {"Year built": 0.022}, {"Heating": 0.144, "Heating features": 0.162},
    {"Cooling": 0.436, "Cooling features": 0.468}, {"Parking": 0.029, "Parking features": 0.101}, {"Lot": 0.299},
    {"Bedrooms": 0.0605}, {"Bathrooms": 0.073, "Full bathrooms": 0.152}, {"Total interior livable area": 0.053},
    {"Total spaces": 0.0193, "Garage spaces": 0.0193}, {"Region": 0.00004},
    {"Elementary School": 0.1, "Elementary School Distance": 0.1, "Elementary School Score": 0.103},
    {"Middle School": 0.352, "Middle School Distance": 0.352, "Middle School Score": 0.352},
    {"High School": 0.105, "High School Distance": 0.105, "High School Score": 0.11},
    {"Flooring": 0.244}, {"Appliances included": 0.287}, {"Laundry features": 0.308},
    {"Tax assessed value": 0.077, "Annual tax amount": 0.091}, {"Last Sold On": 0.3745, "Last Sold Price": 0.3745},
)  # fmt: skip
NOT_OF_LAND = (
    "Year built", "Heating", "Heating features", "Cooling", "Cooling features", "Bedrooms", "Bathrooms", "Full bathrooms",
    "Total interior livable area", "Total spaces", "Garage spaces", "Flooring", "Appliances included", "Laundry features",
    "Parking features",
)  # fmt: skip


class Country(NamedTuple):
    """A stretch of the state, south to north: share of sales, price level (log), ruralness, newness, drift a year (log)."""

    share: float
    level: float
    rural: float
    newness: float
    drift: float


COUNTRIES = (
    Country(0.27, 0.15, -0.5, -0.3, 0.15),
    Country(0.14, -0.40, 0.3, 0.8, 0.24),
    Country(0.08, -0.75, 0.9, 0.3, 0.20),
    Country(0.31, 0.45, -0.4, -0.2, 0.12),
    Country(0.14, -0.25, 0.4, 0.5, 0.21),
    Country(0.06, -0.65, 1.5, 0.0, 0.19),
)
CITIES, ZIPS = 240, 600


class Kind(NamedTuple):
    """A type of home: share, shift of log size, log price beside a house of the same size, what Summary calls it."""

    name: str
    share: float
    size: float
    price: float
    words: str


KINDS = (
    Kind("SingleFamily", 0.66, 0.08, 0.0, "single family home"),
    Kind("Condo", 0.175, -0.40, -0.10, "condo"),
    Kind("Townhouse", 0.07, -0.12, -0.06, "townhouse"),
    Kind("MobileManufactured", 0.036, -0.20, -1.05, "manufactured home"),
    Kind("MultiFamily", 0.04, 0.35, -0.02, "multi family home"),
    Kind("VacantLand", 0.019, 0.0, -1.0, "lot"),
)
KIND = {kind.name: code for code, kind in enumerate(KINDS)}
OTHER_TYPE_WORDS = ("Unknown", "Residential", "Single Family Residence", "Ranch", "Contemporary", "Cabin", "Apartment", "Spanish")


class Fact(NamedTuple):
    """What only Summary tells: its effect on the log price, on the log ratio of sold to listed price, and its lean to quality."""

    name: str
    share: float
    effect: float
    odds: float
    lean: float
    phrases: tuple[str, ...]


FACTS = (
    Fact("pool", 0.14, 0.05, 0.0, 0.4, ("Sparkling pool and spa in the backyard.", "Swim all summer in your private pool!")),
    Fact("ocean", 0.035, 0.28, 0.0, 0.3, ("Breathtaking ocean views.", "Wake up to panoramic ocean views.")),
    Fact("view", 0.10, 0.09, 0.0, 0.3, ("City lights views.", "Gorgeous mountain views.", "Canyon views and sunsets.")),
    Fact("remodeled", 0.24, 0.10, 0.0, 0.6, ("Completely remodeled.", "REMODELED kitchen and baths.", "Fully renovated.")),
    Fact("fixer", 0.055, -0.20, -0.01, -0.8, ("Fixer, bring your contractor!", "Needs TLC, a true fixer upper.")),
    Fact("guesthouse", 0.05, 0.11, 0.0, 0.1, ("Permitted ADU with its own entrance.", "Detached guest house for in-laws.")),
    Fact("gated", 0.06, 0.06, 0.0, 0.3, ("Set in a guard gated community.", "Behind the gates, close to clubhouse and courts.")),
    Fact("solar", 0.07, 0.03, 0.0, 0.2, ("Owned solar panels keep the bills low.", "Paid-off solar!")),
    Fact("busy", 0.05, -0.08, 0.0, 0.0, ("Easy freeway access on a main thoroughfare.", "Right on the boulevard.")),
    Fact("tenant", 0.05, -0.07, -0.01, -0.2, ("Tenant occupied, do not disturb.", "Month to month tenants in place.")),
    Fact("probate", 0.015, -0.15, -0.02, -0.5, ("Probate sale, sold AS-IS.", "Trust sale, sold as-is without repairs.")),
    Fact("offers", 0.09, 0.0, 0.07, 0.2, ("Offers will be reviewed next Tuesday.", "Multiple offers expected!")),
    Fact("reduced", 0.07, 0.0, -0.045, -0.1, ("PRICE REDUCTION, seller is motivated!", "Back on the market with a new price.")),
    Fact("cash", 0.02, -0.08, -0.05, -0.6, ("Cash only, will not qualify for financing.", "All cash buyers, quick close.")),
)
OF_BUILDINGS = ("pool", "remodeled", "fixer", "guesthouse", "solar", "tenant")
CHATTER = (  # true of anything, and with some of the facts' words in it
    "Close to schools, parks and shopping.", "Walk to the community pool.", "A short drive to the ocean.", "Room for a pool.",
    "Won't last!", "Many possibilities for the new owner.", "Some systems updated over the years.", "Call for a private viewing.",
)  # fmt: skip
TOLD = 0.88  # a fact's chance of standing in a Summary that a person wrote
BY_HAND = 0.85  # the other summaries are made by the site from the record, without any fact of these


class Item(NamedTuple):
    """One word of a set column: its share, how it leans towards quality, and its word in the second column of the pair."""

    word: str
    share: float
    lean: float = 0.0
    twin: str | None = None


SETS: Mapping[tuple[str, ...], tuple[Item, ...]] = {
    ("Heating", "Heating features"): (
        Item("Central", 0.58, 0.2, "Forced air"), Item("Gas", 0.3, 0.0, "Gas"), Item("Fireplace(s)", 0.16, 0.2, "Other"),
        Item("Heating - 2+ Zones", 0.06, 0.9, "Radiant"), Item("Wall/Floor Furnace", 0.14, -0.6, "Wall"),
        Item("Electric", 0.08, -0.1, "Electric"), Item("Combination", 0.04, -0.2, "Combination"),
    ),
    ("Cooling", "Cooling features"): (
        Item("Central Air", 0.7, 0.4, "Central"), Item("Multi-Zone", 0.08, 0.9, "Multi-zone"),
        Item("Ceiling Fan(s)", 0.2, 0.0, "Other"), Item("Wall/Window Unit(s)", 0.13, -0.6, "Wall"),
        Item("Evaporative Cooling", 0.07, -0.3, "Evaporative"),
    ),
    ("Flooring",): (
        Item("Carpet", 0.55, -0.2), Item("Tile", 0.5), Item("Hardwood", 0.36, 0.6), Item("Laminate", 0.24, -0.3),
        Item("Linoleum / Vinyl", 0.12, -0.6), Item("Marble", 0.04, 0.9), Item("Concrete", 0.04, 0.1),
    ),
    ("Appliances included",): (
        Item("Dishwasher", 0.74, 0.2), Item("Garbage disposal", 0.5), Item("Microwave", 0.48), Item("Range / Oven", 0.45),
        Item("Refrigerator", 0.42, 0.1), Item("Washer, Dryer", 0.3), Item("Double Oven", 0.12, 0.7),
        Item("Wine Cooler", 0.05, 1.0), Item("Trash compactor", 0.06), Item("Freestanding Gas Range", 0.12, -0.4),
    ),
    ("Laundry features",): (
        Item("Inside", 0.45), Item("Laundry Room", 0.35, 0.4), Item("In Garage", 0.28, -0.2), Item("Washer / Dryer", 0.15),
        Item("Upper Level", 0.07, 0.4), Item("Community", 0.05, -0.7), Item("Hookups Only", 0.08, -0.5),
    ),
}  # fmt: skip
BEDROOM_WORDS = (
    "Ground Floor Bedroom", "Master Bedroom on Ground Floor", "Master Suite / Retreat", "Walk-in Closet",
    "More than One Master Bedroom",
)  # fmt: skip

# The level of prices (log) before the window, in years: what a house last sold for, and its stale tax value.
PAST_YEARS = (1970.0, 1980.0, 1990.0, 1996.0, 2006.0, 2011.5, 2018.0, 2020.25)
PAST_LEVELS = (-3.6, -2.3, -1.25, -1.35, -0.30, -0.72, -0.10, 0.0)

HEADS = (
    "Quill", "Brindle", "Tarn", "Vesper", "Ondle", "Pellar", "Sable", "Murrow", "Fenlo", "Gristle", "Havel", "Ibbet",
    "Jorrel", "Kestin", "Lorn", "Mabber", "Nettle", "Orrin", "Pindle", "Quorn", "Rusk", "Sorrel", "Tibbet", "Umber",
    "Varrow", "Wendle", "Yarrick", "Zeffer", "Bramble", "Cobble", "Dapple", "Ember", "Flint", "Gossam", "Hobbin", "Inkle",
    "Jibber", "Kettle", "Larrow", "Mizzle", "Nubber", "Osker", "Pribble",
)  # fmt: skip
TAILS = (
    "holm", "wick", "mere", "combe", "dell", "gate", "stead", "thorpe", "by", "marsh", "fold", "haven", "moor", "ridge",
    "brook", "cliffe", "ley", "minster", "port", "shaw",
)  # fmt: skip
STREET_KINDS = ("St", "Ave", "Dr", "Ln", "Rd", "Ct", "Way", "Blvd", "Pl", "Cir")


# ------------------------------------------------------------------------------------------------------------- the process


def practice(root: Path, rows: int = 4000, seed: int = 0) -> None:
    """Write train.csv, test.csv, sample_submission.csv and PRACTICE.md into `root`, made if need be.

    rows: of train; test has two thirds as many. The same rows and seed give the same bytes. Raises BadData for rows below 50,
    and rather than replace tables that no marker says are practice.
    """
    root = Path(root)
    if (root / "train.csv").exists() and not (root / MARKER).exists():
        raise BadData(f"{root} holds a train.csv but no {MARKER}: it may be the real one. Name another folder for practice data.")
    train, test = tables(rows, seed)
    sample = pd.DataFrame({"Id": test["Id"], "Sold Price": 0})
    root.mkdir(parents=True, exist_ok=True)
    # The marker comes first: a folder left half written must not pass for the real competition.
    write(root / MARKER, marker(rows, seed))
    for name, table in (("train", train), ("test", test), ("sample_submission", sample)):
        write(root / f"{name}.csv", table.to_csv(index=False, lineterminator="\n"))


def tables(rows: int, seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Train (rows, 41) and test (2/3 rows, 40) as they are written, before they become text. Raises BadData for rows below 50."""
    if rows < FEWEST:
        raise BadData(f"rows={rows} is too few for practice data: blunders, relistings and folds need {FEWEST} or more.")
    total = rows + round(rows * 2 / 3)
    rng = np.random.default_rng(seed)
    places = geography(rng)
    sales = sell(rng, build(rng, places, total), total)
    sales["price"] = price(rng, sales, rows)
    table = pd.concat([record(rng, sales, places), listing(rng, sales), deeds(rng, sales)], axis=1)
    table["Summary"] = summaries(rng, sales, table)
    lose(rng, table, sales)
    blunder(rng, table, rows)
    table = table[list(COLUMNS)]
    return table.iloc[:rows], table.iloc[rows:].drop(columns="Sold Price")


def geography(rng: np.random.Generator) -> pd.DataFrame:
    """(ZIPS,) places from south to north: share of sales, zip, city, region, price level and the like, schools.

    A city's price level is its country's, a smooth wave along the coast, and its own; a zip's differs a little from its city's.
    """
    weight = rng.permutation(1 / (np.arange(CITIES) + 8.0))
    zips = 1 + np.floor(weight / weight.sum() * (ZIPS - CITIES)).astype(int)
    zips[np.argsort(-weight)[: ZIPS - zips.sum()]] += 1
    city = np.repeat(np.arange(CITIES), zips)
    share = (weight / zips)[city] * rng.uniform(0.6, 1.4, ZIPS)
    share /= share.sum()
    south_to_north = np.cumsum(share)
    where = south_to_north[np.cumsum(zips) - 1]
    country = np.searchsorted(np.cumsum([country.share for country in COUNTRIES])[:-1], where)
    of_country = pd.DataFrame(COUNTRIES).iloc[country].reset_index(drop=True)

    wave = np.sin(where[:, None] * (9, 23, 41) + rng.uniform(0, 2 * np.pi, 3)).sum(axis=1)
    city_level = of_country["level"].to_numpy() + 0.12 * wave + rng.normal(0, 0.25, CITIES)
    level = city_level[city] + rng.normal(0, 0.1, ZIPS)
    code = np.interp(south_to_north, ZIP_AT, ZIP_CODES).round().astype(int)
    code = np.maximum.accumulate(code - np.arange(ZIPS)) + np.arange(ZIPS)  # no zip twice

    names = coin(rng, CITIES + ZIPS)
    places = pd.DataFrame({"share": share, "Zip": code, "City": names[:CITIES][city], "level": level})
    places["Region"] = np.where((zips >= 4)[city] & (rng.random(ZIPS) < 0.6), names[CITIES:], places["City"])
    places["rural"] = (of_country["rural"].to_numpy() + rng.normal(0, 0.6, CITIES))[city]
    places["newness"] = of_country["newness"].to_numpy()[city] + rng.normal(0, 0.5, ZIPS)
    places["drift"] = of_country["drift"].to_numpy()[city]
    return pd.concat([places, schools(rng, places, city)], axis=1)


def schools(rng: np.random.Generator, places: pd.DataFrame, city: np.ndarray) -> pd.DataFrame:
    """(ZIPS, 6) names and scores: one elementary school a zip, one middle school for two, one high school a city."""
    share, level = places["share"].to_numpy(), places["level"].to_numpy()
    above = level - np.average(level, weights=share)
    standing = above / np.sqrt(np.average(above**2, weights=share))
    table = pd.DataFrame()
    for stage, school in (("Elementary", np.arange(ZIPS)), ("Middle", np.arange(ZIPS) // 2), ("High", city)):
        mean, spread, best = SCHOOLS[stage]
        first = np.searchsorted(school, school)  # the school is as good as its first zip
        latent = (0.5 * standing + 0.87 * rng.normal(size=ZIPS))[first]
        table[f"{stage} School"] = coin(rng, ZIPS)[school] + f" {stage} School"
        table[f"{stage} School Score"] = (mean + spread * latent).round().clip(1, best)
    return table


def build(rng: np.random.Generator, places: pd.DataFrame, count: int) -> pd.DataFrame:
    """(count,) houses: place, kind, quality, size, lot, year, rooms, garage, address, the facts and the words of the sets."""
    n = count
    place, kind = rng.choice(ZIPS, n, p=places["share"]), rng.choice(len(KINDS), n, p=[kind.share for kind in KINDS])
    here = places[["level", "rural", "newness", "drift", "Elementary School Score"]].iloc[place].reset_index(drop=True)
    quality, estate = rng.normal(size=n), rng.random(n) < 0.006
    own_size = np.array([kind.size for kind in KINDS])[kind] + rng.normal(0, 0.42, n)
    area = AREA((own_size + 0.08 * quality + 0.1 * here["level"] + 1.2 * estate).to_numpy()).round()
    big = np.log(area / 1566)
    lot = LOT((rng.normal(size=n) + 0.7 * here["rural"] + 0.6 * big + 1.5 * (kind == KIND["VacantLand"])).to_numpy())
    year = YEAR((rng.normal(size=n) + 0.6 * here["newness"] + 0.25 * quality + 0.3 * big).to_numpy())

    houses = pd.DataFrame(
        {"place": place, "kind": kind, "quality": quality, "area": area, "lot": lot.round(), "year": year.round()}
    )
    houses["estate"] = estate * rng.exponential(0.7, n)
    houses["beds"] = (3.1 + 1.5 * big + rng.normal(0, 0.55, n)).round().clip(0, 12)
    houses["baths"] = baths = (2.33 + 1.5 * big + 0.15 * quality + rng.normal(0, 0.6, n)).round().clip(1, 24)
    houses["full"] = np.maximum(1, baths - (rng.random(n) < np.where(baths >= 3, 0.55, 0.05)))
    houses["spaces"] = (1.1 + 0.5 * big + 0.35 * here["newness"] + rng.normal(0, 1.25, n)).clip(0, 6).round()
    houses["hoa"] = np.where(np.isin(kind, [KIND["Condo"], KIND["Townhouse"]]), rng.gamma(4, 100, n).round(-1), 0)  # $ a month
    houses["address"] = addresses(rng, kind)
    return pd.concat([houses, here, traits(rng, kind, quality)], axis=1)


def traits(rng: np.random.Generator, kind: np.ndarray, quality: np.ndarray) -> pd.DataFrame:
    """(n,) the truth of each fact and the text of each set, both leaning on the quality that no column tells."""
    table = pd.DataFrame({fact.name: likely(rng, fact.share, fact.lean * quality) for fact in FACTS})
    table.loc[kind == KIND["VacantLand"], list(OF_BUILDINGS)] = False
    for columns, items in SETS.items():
        for column, text in zip(columns, sets(rng, items, quality, len(columns)), strict=True):
            table[column] = text
    return table


def sell(rng: np.random.Generator, houses: pd.DataFrame, total: int) -> pd.DataFrame:
    """(total,) sales in the order they were recorded; days are counted from START.

    Three in a hundred repeat an earlier house (`earlier`: its row, else -1): listed anew weeks later, either bought, done up
    and sold again, or the same sale filed a second time (`refiled`) with the same sold price.
    """
    again = max(3, round(0.03 * total))
    fresh = total - again
    recorded = rng.uniform(0, DAYS, fresh)
    sold = recorded - rng.exponential(7, fresh)
    listed = sold - np.minimum(rng.lognormal(np.log(38), 0.7, fresh), 700)

    first = rng.choice(np.flatnonzero(recorded < np.quantile(recorded, 0.9)), again, replace=False)
    recorded_again = recorded[first] + rng.uniform(21, np.minimum(200, DAYS - recorded[first]).clip(22))
    sold_again = recorded_again - rng.uniform(0, 7, again)
    listed_again = np.maximum(sold_again - rng.lognormal(np.log(30), 0.5, again), listed[first] + 14)

    house = np.concatenate([np.arange(fresh), first])
    order = np.argsort(np.concatenate([recorded, recorded_again]), kind="stable")
    sales = houses.iloc[house[order]].reset_index(drop=True)
    sales["sold"] = np.concatenate([sold, sold_again])[order]
    sales["listed"] = np.concatenate([listed, listed_again])[order].round()
    row_of = np.empty(total, dtype=int)
    row_of[order] = np.arange(total)
    sales["earlier"] = -1
    sales.loc[row_of[fresh:], "earlier"] = row_of[first]
    sales["refiled"] = (sales["earlier"] >= 0) & (rng.random(total) < 0.35)
    flipped = (sales["earlier"] >= 0) & ~sales["refiled"] & (rng.random(total) < 0.6) & (sales["kind"] != KIND["VacantLand"])
    sales["remodeled"] |= flipped
    sales["fixer"] &= ~flipped
    return sales


def price(rng: np.random.Generator, sales: pd.DataFrame, rows: int) -> np.ndarray:
    """(n,) sold prices: the process's logs, shifted and scaled so that train has the real table's median and quartile range."""
    z = log_worth(rng, sales)
    low, median, high = np.log(PRICE_QUARTILES)
    z = median + (z - np.median(z[:rows])) * (high - low) / np.subtract(*np.quantile(z[:rows], (0.75, 0.25)))
    floor, ceiling = np.log(PRICE_RANGE)
    z = np.minimum(floor + np.abs(z - floor), ceiling)  # folded at the floor: no heap of equal prices stands there
    sold = np.maximum(rounded(rng, np.exp(z)), PRICE_RANGE[0])
    refiled = sales["refiled"].to_numpy()
    sold[refiled] = sold[sales["earlier"][refiled]]
    return sold


def log_worth(rng: np.random.Generator, sales: pd.DataFrame) -> np.ndarray:
    """(n,) log of what each sale brings, before `price` sets the scale."""
    n, age = len(sales), (2020 - sales["year"]).clip(lower=0)
    land, attached = sales["kind"] == KIND["VacantLand"], sales["hoa"] > 0
    home = 0.62 * np.log(sales["area"] / 1566) + 0.15 * sales["quality"] + sales["estate"]
    home += 0.07 * (sales["year"] < 1930) - 0.10 * (1 - np.exp(-age / 25))
    home += 0.03 * (sales["Elementary School Score"] - 5.7) * np.where(sales["beds"] >= 3, 1.3, 0.5)
    home += np.where(attached, -0.0003 * (sales["hoa"] - 400), 0.05 * np.log(sales["lot"] / 6500).clip(-2, 4))
    ground = 0.35 * np.log(sales["lot"] / 20_000).clip(-3, 5) + rng.normal(0, 0.35, n)
    told = effects(sales, "effect")
    told += 0.06 * (sales["pool"] & (sales["level"] < -0.2)) + 0.06 * (sales["remodeled"] & (age > 50))
    own = np.array([kind.price for kind in KINDS])[sales["kind"]]
    noise = 0.07 * rng.standard_t(4, n)
    return (sales["level"] + np.where(land, ground, home) + own + told + drift(sales) + noise).to_numpy()


def effects(sales: pd.DataFrame, of: str) -> pd.Series:
    """(n,) what the facts add in all; `of` is the Fact's field, `effect` or `odds`."""
    weights = {fact.name: getattr(fact, of) for fact in FACTS}
    return (sales[list(weights)] * list(weights.values())).sum(axis=1)


def drift(sales: pd.DataFrame) -> pd.Series:
    """(n,) log of how far prices had moved by the day of sale: a country's own yearly drift, and a hump in June."""
    years = sales["sold"] / 365.25
    return sales["drift"] * years + 0.03 * np.cos(2 * np.pi * (years - 0.2))


def rounded(rng: np.random.Generator, price: np.ndarray) -> np.ndarray:
    """Prices as people agree on them: most to 5,000, some to 1,000 or 500, a few to the dollar."""
    step = rng.choice((5000, 1000, 500, 1), len(price), p=(0.5, 0.3, 0.12, 0.08))
    return (price / step).round() * step


# ----------------------------------------------------------------------------------------------------------------- columns


def record(rng: np.random.Generator, sales: pd.DataFrame, places: pd.DataFrame) -> pd.DataFrame:
    """What the site's record says of each sold house: the columns that are neither money, dates nor Summary."""
    n, here = len(sales), places.iloc[sales["place"]].reset_index(drop=True)
    table = pd.DataFrame({"Id": np.arange(n), "Address": sales["address"], "Sold Price": sales["price"]})
    table["Type"] = pick(rng, [kind.name for kind in KINDS], n, of=sales["kind"])
    table["Type"] = np.where(rng.random(n) < 0.045, pick(rng, OTHER_TYPE_WORDS, n), table["Type"])
    table.loc[sales["kind"] == KIND["VacantLand"], "Type"] = "VacantLand"
    table["Year built"], table["Lot"] = sales["year"], lots(rng, sales["lot"].to_numpy())
    table["Bedrooms"] = sales["beds"].astype(int).astype(str).astype(object)
    table["Bathrooms"], table["Full bathrooms"] = sales["baths"], sales["full"]
    table["Total interior livable area"] = sales["area"]
    table["Garage spaces"] = sales["spaces"]
    table["Total spaces"] = sales["spaces"] + ((sales["spaces"] > 0) & (rng.random(n) < 0.06))
    table["Parking features"] = parking(rng, sales["spaces"].to_numpy())
    table["Parking"] = table["Parking features"]
    for columns in SETS:
        for column in columns:
            table[column] = sales[column]
    for stage, curve in DISTANCE.items():
        for column in (f"{stage} School", f"{stage} School Score"):
            table[column] = here[column]
        table[f"{stage} School Distance"] = curve(rng.normal(size=n) + 0.9 * here["rural"].to_numpy()).round(1)
    for column in ("Region", "City", "Zip"):
        table[column] = here[column]
    table["State"] = "CA"
    return table


def listing(rng: np.random.Generator, sales: pd.DataFrame) -> pd.DataFrame:
    """Listed On and Listed Price. The log ratio of sold to listed price has sd 0.1 and heavy tails; a part of it can be learnt:
    a market that heats up, facts told in Summary, and quality that the agents saw only in part."""
    n = len(sales)
    heat = -0.02 + 0.045 * sales["sold"] / 365.25
    ratio = heat + effects(sales, "odds") + 0.02 * sales["quality"] + 0.05 * rng.standard_t(3, n)
    asked = (sales["price"] * np.exp(-ratio)).to_numpy()
    step = np.where(asked > 300e3, 10_000, 1000)
    below = rng.choice((0, 1000, 100, 112, 5000), n, p=(0.4, 0.25, 0.1, 0.05, 0.2))
    charm = np.round(asked / step) * step - np.where(asked > 300e3, below, 0)
    return pd.DataFrame({"Listed On": dates(sales["listed"].to_numpy()), "Listed Price": np.maximum(charm, 5000.0)})


def deeds(rng: np.random.Generator, sales: pd.DataFrame) -> pd.DataFrame:
    """Last sale, tax value and tax: stale ones grown old, and some that were filed after this very sale and so equal its price.

    How often that happened depends on the zip and falls over time, so these columns mean less in test than in train.
    """
    n, sold, now = len(sales), sales["price"].to_numpy(), 2020.25 + sales["sold"].to_numpy() / 365.25
    bought = np.maximum(now - rng.gamma(1.1, 12, n).clip(0.4, 45), np.minimum(sales["year"], now - 0.4).to_numpy())
    growth = np.interp(now, PAST_YEARS, PAST_LEVELS) + drift(sales).to_numpy() - np.interp(bought, PAST_YEARS, PAST_LEVELS)
    paid = rounded(rng, sold * np.exp(-growth + rng.normal(-0.08, 0.18, n)))

    this, earlier = filed_since(rng, sales, quick=0.2, slow=0.06), sales["earlier"].to_numpy()
    known = (earlier >= 0) & ~sales["refiled"].to_numpy() & (rng.random(n) < 0.6)
    before = np.where(known, sales["sold"].to_numpy()[earlier], (bought - 2020.25) * 365.25)
    last_on = np.where(this, np.maximum(sales["sold"], sales["listed"] + 2), np.minimum(before, sales["listed"] - 10))
    table = taxes(rng, sales, paid, now - bought)
    table["Last Sold On"] = dates(last_on)
    table["Last Sold Price"] = np.where(this, sold, np.where(known, sold[earlier], paid))
    table["held"] = np.where(this | known, -np.inf, now - bought)  # how likely the deed is lost: for `lose`
    return table


def taxes(rng: np.random.Generator, sales: pd.DataFrame, paid: np.ndarray, held: np.ndarray) -> pd.DataFrame:
    """Tax value and tax. By California's Proposition 13 the value is what was paid, grown by 2 % a year until the next sale."""
    n = len(sales)
    assessed = paid * 1.02**held * np.exp(rng.normal(-0.08, 0.15, n))
    assessed *= np.where(rng.random(n) < 0.1, rng.uniform(0.1, 0.9, n), 1)  # exempt in part, or assessed before it was built
    value = np.where(filed_since(rng, sales, quick=0.28, slow=0.05), sales["price"], assessed.round()).clip(0, 45.9e6)
    rate = 0.0115 + 0.0012 * np.sin(sales["place"].to_numpy())
    tax = (value * rate + rng.gamma(3, 170, n)).round().clip(0, 552e3)
    return pd.DataFrame({"Tax assessed value": value, "Annual tax amount": tax})


def filed_since(rng: np.random.Generator, sales: pd.DataFrame, quick: float, slow: float) -> np.ndarray:
    """(n,) truths: had the office filed this very sale when the site looked? A third of the zips have quick offices."""
    fading = 1 - 0.6 * (sales["sold"].to_numpy() / DAYS).clip(0, 1)
    return rng.random(len(sales)) < np.where(sales["place"].to_numpy() % 3 == 0, quick, slow) * fading


def summaries(rng: np.random.Generator, sales: pd.DataFrame, table: pd.DataFrame) -> np.ndarray:
    """(n,) texts. Most were written by a person, with facts that no column holds and true sizes where a column errs; the rest
    by the site, from the record."""
    n, land = len(sales), (sales["kind"] == KIND["VacantLand"]).to_numpy()
    words = pick(rng, [kind.words for kind in KINDS], n, of=sales["kind"])
    city, zip_code = table["City"].to_numpy(), table["Zip"].astype(str).to_numpy(dtype=object)
    area = np.array([f"{a:,.0f}" for a in sales["area"]], dtype=object)
    acres = np.array([f"{a / 43_560:.2g}" for a in sales["lot"]], dtype=object)
    year, beds, baths = (sales[c].astype(int).astype(str).to_numpy(dtype=object) for c in ("year", "beds", "baths"))
    dues = sales["hoa"].astype(int).astype(str).to_numpy(dtype=object)
    mood = (sales["quality"] + rng.normal(0, 1, n)).to_numpy()
    good = pick(rng, ("Stunning", "Exquisite", "Gorgeous", "Beautifully kept"), n)
    plain = pick(rng, ("Charming", "Lovely", "Welcome to this", "Well located"), n)
    poor = pick(rng, ("Great opportunity:", "HURRY, HURRY...", "Bring your ideas:", "Affordable"), n)
    opener = np.where(mood > 0.9, good, np.where(mood < -0.9, poor, plain))

    rooms = np.where(rng.random(n) < 0.6, beds + " bed " + baths + " bath ", beds + "BR/" + baths + "BA ")
    sized = np.where(rng.random(n) < 0.6, " with " + area + " sqft of living space", "")
    told = [opener + " " + np.where(land, acres + " acre lot", rooms + words + sized) + " in " + city + "."]
    told += [np.where(sales[fact.name] & (rng.random(n) < TOLD), pick(rng, fact.phrases, n), "") for fact in FACTS]
    told += [np.where((sales["hoa"] > 0) & (rng.random(n) < 0.5), "HOA dues $" + dues + " per month.", "")]
    told += [np.where(~land & (rng.random(n) < 0.3), "Built in " + year + ".", "")]
    told += [np.where(rng.random(n) < 0.4, pick(rng, CHATTER, n), "")]
    by_hand = np.array([" ".join(filter(None, parts)) for parts in zip(*told, strict=True)], dtype=object)

    where = sales["address"].to_numpy() + ", " + city + ", CA " + zip_code + " is a " + words
    size = " that contains " + area + " sq ft and was built in " + year + "."
    by_site = where + np.where(land, ".", size + " It contains " + beds + " bedrooms and " + baths + " bathrooms.")
    return np.where(rng.random(n) < BY_HAND, by_hand, by_site)


def addresses(rng: np.random.Generator, kind: np.ndarray) -> np.ndarray:
    """(n,) texts such as `540 Quillmere Ln`, with a unit for condos and a space for mobile homes."""
    n = len(kind)
    number = rng.integers(1, 9999, n).astype(str).astype(object)
    unit = rng.integers(1, 480, n).astype(str).astype(object)
    within = np.where(kind == KIND["Condo"], " #" + unit, np.where(kind == KIND["MobileManufactured"], " SPACE " + unit, ""))
    street = pick(rng, coin(rng, len(HEADS) * len(TAILS)), n)
    return number + " " + street + " " + pick(rng, STREET_KINDS, n) + within


def lots(rng: np.random.Generator, square_feet: np.ndarray) -> np.ndarray:
    """Lots as recorded: square feet; of those from a quarter acre up some are in acres, others are whole acres turned to feet."""
    acres = np.maximum((square_feet / 43_560).round(2), 0.01)
    how = rng.random(len(acres))
    large = acres >= 0.25
    return np.select([large & (how < 0.17), large & (how < 0.4)], [acres, (acres * 43_560).round(1)], square_feet)


def parking(rng: np.random.Generator, spaces: np.ndarray) -> np.ndarray:
    """(n,) sets of parking words that go with the number of garage spaces."""
    words = ("Garage", "Carport", "Garage - Attached", "Garage - Detached", "Covered", "Driveway", "Off-street", "On-street")
    with_garage, without = (0.85, 0.05, 0.55, 0.15, 0.4, 0.2, 0.05, 0.03), (0.0, 0.25, 0.0, 0.0, 0.08, 0.35, 0.3, 0.2)
    garage = spaces > 0
    chosen = rng.random((len(spaces), len(words))) < np.where(garage[:, None], with_garage, without)
    chosen[~chosen.any(axis=1) & garage, 0] = True
    return joined(chosen, words, nothing="On-street")


def sets(rng: np.random.Generator, items: Sequence[Item], quality: np.ndarray, columns: int) -> list[np.ndarray]:
    """One or two (n,) columns of sets that speak of the same things in different words; the first item stands in for none."""
    chosen = np.column_stack([likely(rng, item.share, item.lean * quality) for item in items])
    words = ([item.word for item in items], [item.twin or item.word for item in items])
    return [joined(chosen, words[column], nothing=words[column][0]) for column in range(columns)]


def joined(chosen: np.ndarray, words: Sequence[str], nothing: str) -> np.ndarray:
    """(n, k) truths as (n,) texts `word, word`; only the combinations that occur are joined."""
    codes, place = np.unique(chosen @ (1 << np.arange(len(words))), return_inverse=True)
    texts = [", ".join(word for bit, word in enumerate(words) if code >> bit & 1) or nothing for code in codes.tolist()]
    return np.array(texts, dtype=object)[place]


def likely(rng: np.random.Generator, share: float, lean: np.ndarray) -> np.ndarray:
    """(n,) truths of about that share, likelier where `lean` is greater."""
    latent = rng.normal(size=len(lean)) + lean
    return latent > np.quantile(latent, 1 - share)


def pick(rng: np.random.Generator, words: Any, count: int, of: Any = None) -> np.ndarray:
    """(count,) words as objects, at random or by the index `of`."""
    return np.asarray(words, dtype=object)[rng.integers(len(words), size=count) if of is None else np.asarray(of)]


def coin(rng: np.random.Generator, count: int) -> np.ndarray:
    """(count,) invented names, all different; there are 860."""
    return rng.permutation(np.array([head + tail for head in HEADS for tail in TAILS], dtype=object))[:count]


def dates(days: np.ndarray) -> np.ndarray:
    """Days since START as YYYY-MM-DD."""
    return np.datetime_as_string(START + np.floor(days).astype("timedelta64[D]")).astype(object)


# ---------------------------------------------------------------------------------------------------------- missing values


def lose(rng: np.random.Generator, table: pd.DataFrame, sales: pd.DataFrame) -> None:
    """Blank the cells that nobody filled in, at the shares of MISSING: a careless agent leaves out many, land has no rooms, flats
    no lot, cool places no cooling, the country no school near, and old deeds are not on file. Takes `held` out of `table`."""
    n, careless = len(table), rng.normal(size=len(table))
    land = (sales["kind"] == KIND["VacantLand"]).to_numpy()
    attached = np.isin(sales["kind"], [KIND["Condo"], KIND["MobileManufactured"]])
    leans: dict[str, Any] = {
        "Cooling": sales["level"] * 1.5, "Lot": 3.0 * attached + 1.0 * (sales["kind"] == KIND["Townhouse"]),
        "Last Sold On": table.pop("held") * 0.09, "Parking": -0.5 * sales["spaces"],
        "Elementary School": sales["rural"] * 0.5, "High School": sales["rural"] * 0.5,
    }  # fmt: skip
    for family in MISSING:
        latent = 0.5 * careless + rng.normal(size=n) + np.asarray(leans.get(next(iter(family)), 0.0))
        for column, share in family.items():
            never = land if column in NOT_OF_LAND else np.zeros(n, dtype=bool)
            first = np.argsort(-np.where(never, np.inf, latent), kind="stable")[: max(round(share * n), int(never.sum()))]
            table.loc[first, column] = None if table[column].dtype == object else np.nan
    table.loc[table["Parking features"].isna() & table["Parking"].notna(), "Parking"] = "0 spaces"


# ------------------------------------------------------------------------------------------------------------ gross errors


def blunder(rng: np.random.Generator, table: pd.DataFrame, rows: int) -> None:
    """Spoil a few cells of `table`, in place, as the real ones are."""
    garbled(rng, table, some(rng, table["Bedrooms"], 0.04))
    for column, share, value in (
        ("Year built", 0.005, 0),
        ("Year built", 0.00002, 9999),
        ("Year built", 0.0002, (1, 19, 193, 1066, 2091)),
        ("Lot", 0.002, 0),
        ("Listed Price", 0.00005, 0),
        ("Tax assessed value", 0.001, 0),
        ("Annual tax amount", 0.001, 0),
        ("Last Sold Price", 0.001, 0),
        ("Zip", 0.0001, (85_611, 89_999)),
    ):
        at = some(rng, table[column], share)
        table.loc[at, column] = rng.choice(np.atleast_1d(value), len(at))
    for column, share, low, high in (
        ("Total interior livable area", 0.0002, 30e3, 176_416_400),
        ("Lot", 0.0005, 3e6, 1_897e6),
        ("Bathrooms", 0.0001, 9, 24),
        ("Full bathrooms", 0.0001, 8, 17),
    ):
        at = some(rng, table[column], share)
        table.loc[at, column] = worst(rng, len(at), rows, low, high)
    below, above = some(rng, table["Total spaces"], 0.0003), some(rng, table["Total spaces"], 0.0007)
    too_few, too_many = -rng.integers(1, 16, len(below)), worst(rng, len(above), rows, 20, 1000)
    for column in ("Total spaces", "Garage spaces"):
        table.loc[below, column], table.loc[above, column] = too_few, too_many
    for factor, share in ((10, 0.0001), (100, 0.00002), (0.1, 0.0002)):  # digits too many, digits too few
        at = some(rng, table["Listed Price"], share)
        table.loc[at, "Listed Price"] = (table.loc[at, "Listed Price"] * factor).clip(upper=402_532_000).round()


def some(rng: np.random.Generator, column: pd.Series, share: float) -> np.ndarray:
    """Places of about that share of the filled cells, one from each of as many equal stretches of rows.

    A small table gets more than its share of a rare blunder: two, and one where it has not even 1,500 rows.
    """
    filled = np.flatnonzero(column.notna())
    count = max(round(share * len(filled)), 1 + (len(filled) > 1500))
    return filled[((np.arange(count) + rng.random(count)) * len(filled) / count).astype(int)]


def worst(rng: np.random.Generator, count: int, rows: int, low: float, high: float) -> np.ndarray:
    """(count,) heavy-tailed errors above `low`. The i-th greatest of n goes as (n / i)^1.5, and reaches `high` in the real n."""
    sizes = low + (high - low) * (min(1, rows / FULL) / np.arange(1, count + 1)) ** 1.5
    return rng.permutation(sizes.round())


def garbled(rng: np.random.Generator, table: pd.DataFrame, at: np.ndarray) -> None:
    """Listings read from another form: Bedrooms is a set of words, and what stood beside it became 0, 1 or nothing."""
    chosen = rng.random((len(at), len(BEDROOM_WORDS))) < (0.7, 0.5, 0.4, 0.4, 0.1)
    table.loc[at, "Bedrooms"] = joined(chosen, BEDROOM_WORDS, nothing=BEDROOM_WORDS[0])
    for columns, share, value in (
        (["Bathrooms"], 0.5, 0.0),
        (["Full bathrooms"], 0.5, np.nan),
        (["Lot", "Total interior livable area"], 0.1, 1.0),
        (["Total spaces", "Garage spaces"], 0.5, 0.0),
    ):
        table.loc[at[rng.random(len(at)) < share], columns] = value


# ----------------------------------------------------------------------------------------------------------------- writing


def marker(rows: int, seed: int) -> str:
    """The one paragraph of PRACTICE.md."""
    return (
        "This folder holds practice data in the format of the California house prices competition. It is made up, generated with "
        f"rows={rows}, seed={seed}: nothing in it is a real house, street, city, school or sale, and a score on it says nothing "
        "about the competition's board.\n"
    )


def write(path: Path, text: str) -> None:
    """Write beside `path`, then rename: the file is whole or absent."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        beside.write_text(text, encoding="utf-8", newline="\n")
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)

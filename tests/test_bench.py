"""The benchmark's parts, tiny: that each section runs and says whether its limit is met is tested, never how fast anything is."""

from __future__ import annotations

import dataclasses
import json
import os
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from threadpoolctl import threadpool_limits

import competitions
from competitions.house_prices.files import COLUMNS
from pipeline import compare
from pipeline.competition import Model
from pipeline.errors import UnknownName
from pipeline.run import open_run, write_practice
from pipeline.train import train
from tests import (
    bench,
    bench_boxes,
    bench_detection,
    bench_ensemble,
    bench_images,
    bench_images_speed,
    bench_peers,
    bench_resampling,
    bench_scores,
    bench_sizes,
    bench_times,
)
from tests.bench_setting import COWBOY, LEAF, NAME, Setting, Times, limit, table, timed


@pytest.fixture(scope="module")
def county(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixty made-up sales, ten listed from September on, in the competition's format."""
    folder = tmp_path_factory.mktemp("county")
    random = np.random.default_rng(0)
    rows = pd.DataFrame(index=range(60), columns=COLUMNS, dtype=object)
    rows["Id"], rows["Zip"] = np.arange(60), random.choice(["98001", "98002"], 60)
    rows["Total interior livable area"] = random.integers(800, 3000, 60)
    rows["Sold Price"] = 300 * rows["Total interior livable area"]
    rows["Listed On"] = [f"2014-{month:02}-{day:02}" for month in (5, 6, 7, 8, 9) for day in range(1, 11)] + ["2014-05-15"] * 10
    rows.to_csv(folder / "train.csv", index=False)
    rows.drop(columns="Sold Price").to_csv(folder / "test.csv", index=False)
    rows[["Id", "Sold Price"]].assign(**{"Sold Price": 0}).to_csv(folder / "sample_submission.csv", index=False)
    return folder


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eighty practice pictures for train, and a few for test."""
    folder = tmp_path_factory.mktemp("leaves")
    write_practice(competitions.find(LEAF), folder, 80, 0)
    return folder


@pytest.fixture
def tiny(tmp_path: Path, county: Path, drawn: Path) -> Setting:
    return Setting(tmp_path, county, rows=60, models=("ridge",), repeats=1, leaves=drawn)


@pytest.fixture
def leaves(tiny: Setting, monkeypatch: pytest.MonkeyPatch) -> Setting:
    """Tiny, with recipes to match, and the loops over pictures in this process and as small."""
    from tests import bench_images_loops as loops

    def measured(loop, setting, **job):
        return loops.LOOPS[loop](loops.Job(**{"root": setting.pictures(), "kept": setting.scratch / "pictures", **job}))

    small = {"net": "test_resnet", "size": 32, "batch": 8, "pictures": 24}
    monkeypatch.setattr("competitions.leaf_classification.models", little_recipes)
    monkeypatch.setattr(bench_images, "train", partial(train, workers=1))
    monkeypatch.setattr(bench_images, "TUNED", {})
    monkeypatch.setattr(bench_images_speed, "measured", measured)
    for name in ("CPU", "READ", "GPU"):
        monkeypatch.setattr(bench_images_speed, name, {**small, "precision": "fp32"})
    monkeypatch.setattr(loops, "SHORT", {"image": {}, "probe": {}})
    for module in (bench_images, loops):
        monkeypatch.setattr(module, "cores", lambda: 1)
    return dataclasses.replace(tiny, models=())


def little_recipes() -> dict[str, Model]:
    net = {"net": "test_resnet", "weights": None, "size": 32}
    probe = {**net, "views": ("plain",), "shrinkage": 0.1}
    return {
        "nearest": Model("probe", {**probe, "head": "knn"}),
        "linear": Model("probe", {**probe, "head": "lda"}),
        "tuned": Model("image", {**net, "epochs": 1, "batch": 16}),
    }


def test_a_table_is_markdown_with_padded_columns():
    assert table(("what", "n"), [("a", 1), ("bc", 22)]) == "| what |  n |\n|------|---:|\n| a    |  1 |\n| bc   | 22 |"


def test_a_limit_says_whether_it_is_met():
    assert limit("3 s", True) == "limit 3 s: met"
    assert limit("3 s", False) == "limit 3 s: not met"


def test_times_are_told_by_median_and_range():
    assert str(Times((3.0, 1.0, 2.0))) == "2.00 (1.00 - 3.00)"


def test_works_are_taken_in_turns_and_compared_turn_by_turn():
    order: list[str] = []
    works = {name: (lambda name=name: order.append(name) or len(order)) for name in ("a", "b")}
    times = bench_times.alternated(works, 2)
    assert order == ["a", "b", "a", "b"]
    assert times == {"a": Times((1, 3)), "b": Times((2, 4))}
    assert bench_times.compared(times["b"], times["a"]) == ("1.500", "1.333 - 2.000")


def test_a_command_that_fails_stops_the_benchmark_with_its_last_words(tmp_path):
    dying = [sys.executable, "-c", "import sys; print('the reason'); sys.exit(2)"]
    with pytest.raises(RuntimeError, match="ended with 2: the reason"):
        timed(dying, tmp_path)
    with pytest.raises(RuntimeError, match="ended with 2: the reason"):
        bench_sizes.cost(dying, tmp_path)


def test_memory_is_that_of_the_command_and_of_what_it_starts(tmp_path, monkeypatch):
    monkeypatch.setattr(bench_sizes, "EVERY", 0.05)
    child = "x = b'x' * 50_000_000; import time; time.sleep(0.5)"
    nested = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"
    found = bench_sizes.cost([sys.executable, "-c", nested], tmp_path)
    assert found.largest > 50_000_000
    assert found.tree > 50_000_000


def test_the_list_names_every_section_with_its_purpose(capsys):
    bench.main(["--list"])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list(bench.SECTIONS)
    assert all(bench.purpose(name) in line for name, line in zip(bench.SECTIONS, lines, strict=True))


def test_an_unknown_section_is_refused_with_the_nearest_name(capsys):
    with pytest.raises(SystemExit):
        bench.main(["resumes"])
    assert "resume" in capsys.readouterr().err


def test_sections_without_their_data_are_skipped_by_name(tiny):
    absent = dataclasses.replace(tiny, king_county=Path("nowhere"), leaves=Path("nowhere"))
    for names, needed in ((bench.OF_KING_COUNTY, "King County's sales"), (bench.OF_LEAVES, "the pictures of leaves")):
        for name in names:
            _, said = bench.section(name, absent)
            assert said.startswith(f"Skipped: {name} needs {needed}")


def test_a_section_that_fails_says_so_and_the_others_go_on(tiny):
    absent = dataclasses.replace(tiny, king_county=tiny.scratch)
    *_, last = bench.section("plans", absent)
    assert last.startswith("Failed: ")
    assert "train.csv is missing" in last


def test_the_machine_is_described_first(capsys, monkeypatch):
    monkeypatch.setattr(bench, "SECTIONS", {})
    bench.main([])
    out = capsys.readouterr().out
    assert out.startswith("| machine ")
    assert all(what in out for what in ("cores", "memory", "processor", "lightgbm", "date"))


def test_a_page_keeps_what_each_section_printed_last(tmp_path, monkeypatch):
    monkeypatch.setattr(
        bench, "SECTIONS", {"first": lambda _: iter(["an old figure", "limit: met"]), "second": lambda _: iter(["two"])}
    )
    page = tmp_path / "page.md"
    bench.main(["second", "--page", str(page)])
    bench.main(["first", "--page", str(page)])
    assert "an old figure" in page.read_text(encoding="utf-8")
    monkeypatch.setitem(bench.SECTIONS, "first", lambda _: iter(["a new figure"]))
    bench.main(["first", "--page", str(page)])
    text = page.read_text(encoding="utf-8")
    assert text.startswith(bench.HEAD)
    assert [line for line in text.splitlines() if line.startswith("## ")] == ["## first", "## second"]
    assert "a new figure" in text
    assert "an old figure" not in text
    assert text.count("Measured on ") == 2


def test_months_to_come_are_a_competition_of_their_own(tiny):
    run, truth = bench_scores.earlier(tiny)
    assert (run.data.train["Listed On"] < bench_scores.CUT).all()
    assert (run.data.test["Listed On"] >= bench_scores.CUT).all()
    assert (len(run.ids), len(truth)) == (50, 10)
    assert "Sold Price" not in run.data.test
    np.testing.assert_array_equal(truth, 300 * run.data.test["Total interior livable area"])


def test_runs_with_and_without_drift_differ_in_their_target_alone(tiny):
    run, _ = bench_scores.earlier(tiny)
    drift, plain = bench_scores.variants(run).values()
    drift.scales[0] = "fitted on this scale"
    assert type(drift.entry.target()).__name__ == "Drift"
    assert type(plain.entry.target()).__name__ == "LogRatio"
    assert plain.scales == {}
    assert plain.data is drift.data


def test_forward_and_plans_end_with_a_limit(tiny, monkeypatch):
    monkeypatch.setattr(bench_scores, "train", one_process)
    monkeypatch.setattr(bench_scores, "FOLDS", 2)
    for section, ends in ((bench_scores.forward, "limit ensemble"), (bench_scores.plans, "limit own plan")):
        *said, last = section(tiny)
        assert last.startswith(ends)
        assert "ridge" in said[0]


def one_process(run, wanted):
    return train(run, wanted, workers=1)


def test_the_loop_by_hand_does_the_same_work_as_podium(tiny):
    run = open_run(NAME, tiny.king_county, tiny.scratch / "runs")
    member = train(run, ["ridge"], workers=1)["ridge"]
    with threadpool_limits(1):
        scores, test = bench_peers.by_hand(tiny.king_county, run.entry.models()["ridge"])
    fold_scores = [json.loads(run.store.read("units", "ridge", key)["unit.json"])["score"] for key in member.keys]
    np.testing.assert_allclose(scores, fold_scores, rtol=1e-9)
    np.testing.assert_allclose(test, member.test.at(run.test_ids)[:, 0], rtol=1e-9)


def test_the_plain_lightgbm_reads_texts_as_ranks():
    np.testing.assert_array_equal(bench_peers.ordinal(pd.Series(["b", None, "a"], dtype=object)), [1, np.nan, 0])


def test_the_plain_lightgbm_predicts_every_validated_row_and_every_test_row(tiny):
    run = open_run(NAME, tiny.king_county, tiny.scratch / "runs")
    oof, test = bench_peers.plain_lightgbm(run)
    assert set(oof.ids) == set(run.ids)
    assert set(test.ids) == set(run.test_ids)


def test_sections_of_boxes_end_with_a_limit_and_answers_equal_the_libraries(tiny, monkeypatch):
    monkeypatch.setattr(bench_boxes, "CASES", ((2, 20, 3, 1),))
    monkeypatch.setattr(bench_boxes, "TRIALS", 3)
    small = dataclasses.replace(tiny, rows=20)
    *said, last = bench_boxes.fusion(small)
    assert last.startswith("limit times faster, and equal to 1e-06")
    assert float(said[0].splitlines()[-1].split("|")[-2]) <= bench_boxes.EQUAL
    *said, last = bench_boxes.evaluation(small)
    assert last.startswith("limit 10 times faster")
    rows = [line.split("|")[2].strip() for line in said[0].splitlines()[2:]]
    assert float(rows[0]) == pytest.approx(float(rows[1]), abs=1e-9)
    *said, last = bench_boxes.box_tuning(small)
    assert last.startswith("limit 60 s for 3 trials")
    assert "fusion, honest" in said[0]


def test_help_and_climbing_end_with_a_limit(tiny):
    for section in (bench_times.help_text, bench_times.climbing, bench_ensemble.ensembles):
        assert list(section(tiny))[-1].startswith("limit ")


def test_the_models_without_nets_are_all_the_others():
    left_out = set(competitions.find(NAME).models()) - set(bench_sizes.without_nets())
    assert left_out == {"mlp", "realmlp"}


def test_tables_are_measured_as_text(tiny):
    parts = [tiny.king_county / f"{part}.csv" for part in ("train", "test")]
    assert bench_sizes.table_bytes(tiny.king_county) > sum(os.path.getsize(part) for part in parts)


def test_probes_are_timed_from_an_empty_folder_and_join_the_tuned_net(leaves):
    *said, alone, together = bench_images.leaf_probes(leaves)
    assert alone.startswith("limit nearest alone above 0.9 within 20 minutes: ")
    assert together.startswith("limit ensemble of probes above 0.93 within 60 minutes: ")
    assert all(name in said[0] for name in ("nearest", "linear", "ensemble of probes", "rows without a copy"))
    assert "tuned" not in said[0]
    *said, last = bench_images.leaf_tune(leaves)
    assert last.startswith("limit at least 0.95 within 60 minutes: ")
    assert all(name in said[0] for name in ("nearest", "linear", "ensemble of probes", "ensemble of tuned and probes"))
    assert list(bench.section("leaf-probes", leaves))[-1].startswith("Failed: ")  # they would be read, not timed


def test_heads_of_a_probe_are_compared_with_and_without_copies(leaves, monkeypatch):
    monkeypatch.setattr(bench_resampling, "LEAF_PROBE", {"net": "test_resnet", "weights": None, "size": 32, "views": ("plain",)})
    monkeypatch.setattr(bench_resampling, "train", partial(train, workers=1))
    monkeypatch.setattr(compare, "DRAWS", 20)
    found, about = bench_resampling.resampling_leaves(leaves)
    assert [line.split("|")[1].strip() for line in found.splitlines()[2:]] == list(bench_resampling.OF_LEAVES)
    assert about.startswith("80 pictures, ")


def test_the_tuned_net_alone_is_one_fold(leaves):
    elsewhere = dataclasses.replace(leaves, runs=leaves.scratch / "elsewhere")
    found, about, lacking, _ = bench_images.leaf_tune(elsewhere)
    assert len(found.splitlines()) == 3
    assert "fold 1 of 5" in about
    assert lacking.startswith("The probes' units of this fold are not there")
    assert len(list(elsewhere.runs.glob(f"{LEAF}/units/*/*/unit.json"))) == 1


def test_a_leaf_section_says_which_models_it_lacks(leaves):
    *_, last = bench.section("leaf-tune", dataclasses.replace(leaves, models=("linear",)))
    assert last == "Failed: none of linear is of the family image."


def test_podium_and_its_peers_train_on_pictures(leaves):
    *said, faster, read = bench_images_speed.image_speed(leaves)
    assert faster.startswith("limit 1.2 times as fast as the faster loop by hand: ")
    assert read.startswith("limit 20,000 images/s of a core from the map: ")
    assert all(name in said[0] for name in ("podium", "by hand", "by hand, workers"))
    assert "(practice)" in said[1]


@pytest.mark.slow
def test_what_is_measured_on_a_gpu_runs_elsewhere_too(leaves, monkeypatch):
    *said, last = bench_images_speed.on_gpu(leaves)
    assert last.startswith("limit 0.85 of the speed on synthetic data: ")
    assert "tuned" in said[2]
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert list(bench_images_speed.gpu(leaves)) == ["No GPU is at hand: nothing is measured."]


@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="needs Linux")
@pytest.mark.slow
def test_memory_is_watched_with_more_pictures_and_more_folds(leaves):
    found, _, last = bench_images_speed.image_memory(leaves)
    assert last.startswith("limit 1.1 times as much for 4 times ")
    assert len(found.splitlines()) == 7


@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="needs Linux")
def test_anonymous_memory_counts_arrays_but_no_mapped_file(tmp_path):
    from tests.bench_images_loops import OFTEN, Peak, anonymous

    size = 50_000_000
    np.save(tmp_path / "a.npy", np.zeros(size, dtype=np.uint8))
    before = anonymous()
    with Peak() as peak:
        mapped = np.load(tmp_path / "a.npy", mmap_mode="r")
        assert mapped.sum() == 0
        time.sleep(4 * OFTEN)
    assert peak.bytes - before < size / 2
    with Peak() as peak:
        held = np.ones(size, dtype=np.uint8)
        time.sleep(4 * OFTEN)
    assert len(held) == size
    assert peak.bytes - before > size / 2


def test_a_part_of_the_pictures_is_a_competition_too(drawn, tmp_path):
    folder = bench_images_speed.part_of(drawn, tmp_path / "part", 20)
    loaded = competitions.find(LEAF).load(folder)
    assert len(loaded.train) == 20
    assert set(loaded.train["image"]) < set(competitions.find(LEAF).load(drawn).train["image"])


def test_pictures_are_practice_where_there_are_no_real_ones(tiny, monkeypatch):
    assert tiny.pictures() == tiny.leaves
    monkeypatch.setattr("tests.bench_setting.timed", lambda command, folder: None)
    assert dataclasses.replace(tiny, leaves=Path("nowhere")).pictures() == tiny.scratch / f"practice-{LEAF}-60"


def test_a_loop_in_a_process_of_its_own_gives_its_figures_or_its_last_words(tiny, monkeypatch):
    found = bench_images_speed.measured("reading", tiny, size=32)
    assert min(found["first"], found["later"], found["decoded"]) > 0
    monkeypatch.setattr(bench_images_speed.sys, "executable", "/bin/false")
    with pytest.raises(RuntimeError, match="ended with 1"):
        bench_images_speed.measured("reading", tiny)


@pytest.mark.slow
def test_practice_pictures_end_with_a_limit(tiny):
    *said, last = bench_images.leaf_practice(dataclasses.replace(tiny, models=("probe-lda",)))
    assert last.startswith("limit 4 minutes: ")
    assert "60 practice pictures" in said[0]


def test_recipes_for_blood_cells_are_two_families_and_a_plain_one_with_and_without_resampling():
    names = (*bench_detection.HEADS, bench_detection.PLAIN, bench_detection.AWARE)
    assert tuple(bench_detection.cells(quick=True)) == tuple(bench_detection.HEADS)
    assert tuple(bench_detection.cells(quick=False)) == names


def test_a_model_that_blood_cells_do_not_have_is_refused_with_the_nearest_name(tiny):
    with pytest.raises(UnknownName, match=r"No model for blood cells is called 'fcso'\. Did you mean fcos"):
        next(bench_detection.blood_cells(dataclasses.replace(tiny, models=("fcso",))))


@pytest.mark.slow
def test_blood_cells_are_found_by_two_families_and_judged_with_and_without_resampling(tiny, monkeypatch):
    monkeypatch.setattr(compare, "DRAWS", 20)
    tiny = dataclasses.replace(tiny, cells=tiny.practice(50, COWBOY), models=())
    told = {"net": "test_efficientnet", "weights": None, "size": 64, "width": 64, "epochs": 1, "plain": 0, "views": ("plain",)}
    names = (*bench_detection.HEADS, bench_detection.PLAIN, bench_detection.AWARE)
    recipes = {name: Model("detector", {**told, "head": name if name in bench_detection.HEADS else "fcos"}) for name in names}
    recipes[bench_detection.AWARE] = Model("detector", dict(told), resample="class-aware:at=1.0")
    *said, whole, fusion = bench_detection.blood_cells(dataclasses.replace(tiny, detectors=recipes))
    assert whole.startswith("limit AP 0.64 in 3 h: ")
    assert fusion.startswith("limit the fusion's honest score at least its best member's: ")
    assert all(name in said[0] for name in (*names, "fusion, honest", "belt"))
    assert said[3].splitlines()[-1].split("|")[1].strip() == "all"

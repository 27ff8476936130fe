"""A trial as tables, figures, a page and claims, from a record written by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from archprof.base.errors import BadFile, BadOption, BadOutput
from archprof.models.published import own, read
from archprof.render import figures, report, trial_page
from archprof.render.figures import conditions, trials
from archprof.render.tables.trials import tables
from archprof.results.comparison import ArchitectureResult, Comparison
from archprof.results.recipe import Recipe
from archprof.results.trial_findings import findings, relative
from archprof.results.trials import Axis, DataFacts, Entry, Epoch, Evaluation, Run, Score, Trial

DATA = DataFacts(
    "toys", ("car", "doll"), 80, 20, (1, 8, 8), "held out by hand", (10, 10), ("car/1.png: broken",), "abc"
)
HERE = {"date": "2026-01-31T10:00:00+00:00", "device": "cpu", "device_name": "a chip", "threads": 1, "torch": "2.13.0"}
RECIPE = Recipe(lr=0.1, epochs=2)


def epoch(right, loss=0.5, seconds=2.0):
    return Epoch(loss, right * 4, loss, right, None, seconds, seconds / 10)


def run(seed, *right, seconds=2.0):
    return Run(
        seed, tuple(epoch(each, seconds=seconds) for each in right), (right[-1] // 2, right[-1] - right[-1] // 2)
    )


def entry(lr, *runs, **more):
    return Entry("net", replace(RECIPE, lr=float(lr)), {"lr": lr}, 1000, (1, 8, 8), runs, **more)


GOOD = entry("0.1", run(0, 12, 18), run(1, 14, 19), run(2, 13, 17))
SLOW = entry("0.01", run(0, 10, 11, seconds=4.0), run(1, 11, 12, seconds=4.0), run(2, 9, 13, seconds=4.0))
GONE = entry("9", *(Run(seed, (epoch(10)._replace(train_loss=None, test_loss=None),), (5, 5)) for seed in range(3)))
TRIAL = Trial(
    HERE,
    DATA,
    RECIPE,
    (1, 2),
    3,
    (SLOW, GOOD, GONE),
    ("net",),
    0.2,
    (Axis("lr", ("0.01", "0.1", "9")),),
    "plain",
    "0.1.0",
)


def test_scores_and_their_intervals():
    score = TRIAL.score([GOOD], 2)
    assert score == Score((18, 19, 17), 20) and score.mean == pytest.approx(0.9)
    assert score.over_seeds == pytest.approx((0.9 - 0.1242, 1.0), abs=1e-4)  # 4.303 * 0.05 / sqrt(3), cut off at 1
    assert TRIAL.score([GOOD], 1).mean == pytest.approx(13 / 20)
    assert TRIAL.score([GONE], 2) == Score((10, 10, 10), 20) and GONE.runs[0].diverged == 1
    assert not score.guesses(2) and Score((18, 11), 20).guesses(2)


def test_findings():
    found = findings(TRIAL)
    assert found.best.entry == GOOD and [place.entry for place in found.ranked] == [GOOD, SLOW, GONE]
    assert found.beside == [] and found.diverged == [GONE] and [place.entry for place in found.guessing] == [SLOW]


def test_relative_is_of_medians():
    assert relative([4.0, 4.0, 4.0], [2.0, 2.0, 2.0]) == (2.0, (2.0, 2.0)) and relative([], [1.0]) is None


def test_the_record_there_and_back():
    assert Trial.from_json(TRIAL.to_json()) == TRIAL
    evaluated = replace(TRIAL, entries=(entry("0.1", evaluation=Evaluation("w.pt", "ab", 10, 18, None, (9, 9), 1.5)),))
    assert Trial.from_json(evaluated.to_json()) == evaluated


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("schema_version", 2), "schema_version is 2; this archprof reads 1"),
        (("trial", False), "not of a trial"),
        (("seeds", 0), "at least one number of epochs, one seed"),
        (("epochs", []), "at least one number of epochs"),
        (("recipe", {"lr": -1.0}), "the recipe of it: learning rate is -1"),
        (("entries", [{"network": "net", "recipe": {}, "runs": [{"seed": "one"}]}]), "runs[0].seed is the text 'one'"),
    ],
)
def test_records_that_are_refused(change, said):
    import json

    saved = json.loads(TRIAL.to_json())
    saved[change[0]] = change[1]
    with pytest.raises(BadFile) as seen:
        Trial.from_json(json.dumps(saved))
    assert said in str(seen.value)


def test_tables_show_accuracy_intervals_and_time():
    accuracy, cost, classes = tables(TRIAL, per_class=True)
    shown = {column.heading: place for place, column in enumerate(accuracy.columns)}
    rows = {row[0].value: [accuracy.text(row, place) for place in range(len(row))] for row in accuracy.rows}
    assert rows["lr=0.1"][shown["after 1"]] == "65.00" and rows["lr=0.1"][shown["after 2, %"]] == "90.00"
    assert rows["lr=0.1"][shown["95 % over seeds"]] == "77.6 to 100.0" and rows["lr=9"][shown["after 1"]] == "50.00!"
    assert any("! lr=9 diverged (3 of 3 seeds" in note for note in accuracy.notes)
    assert "Left out, because they cannot be read: 1 file (car/1.png: broken)." in accuracy.notes
    times = {row[0].value: [cost.text(row, place) for place in range(len(row))] for row in cost.rows}
    assert times["lr=0.1"][1:3] == ["2.00", "0.500 (0.500 to 0.500)"] and times["lr=0.01"][2] == "1"
    assert classes.text(classes.rows[0], 2) == "86.67"  # 9, 9 and 8 of 10 cars


def test_one_seed_and_failures_are_said():
    one = replace(TRIAL, seeds=1, entries=(entry("0.1", run(0, 12, 18)), entry("9", error="net: out of memory")))
    notes = " ".join(tables(one)[0].notes)
    assert "With one seed nothing is known" in notes and "net: out of memory" in notes


# --- figures --------------------------------------------------------------------------------------------------------


def test_curves_hold_the_means_by_epoch():
    figure = trials.draw("curves", TRIAL)
    losses, accuracies = figure.axes
    lines = {line.get_gid(): list(line.get_ydata()) for line in accuracies.lines}
    assert lines["held out net, lr=0.1"] == pytest.approx([65.0, 90.0])
    assert lines["training net, lr=0.01"] == pytest.approx([50.0, 60.0])
    assert lines["held out net, lr=9"] == pytest.approx([50.0])
    assert {line.get_gid(): list(line.get_ydata()) for line in losses.lines}["held out net, lr=9"] == []
    assert any("lr=9 diverged in 3 of 3 seeds." in text.get_text().replace("\n", " ") for text in figure.texts)


def cells(figure):
    return [text.get_text() for text in figure.axes[0].texts if text.get_gid() == "cell"]


def test_a_grid_has_a_cell_for_each_setting_and_number_of_epochs():
    figure = trials.draw("grid", TRIAL)
    assert cells(figure) == ["50.0 ±12.4 ~", "60.0 ±12.4 ~", "65.0 ±12.4 ~", "90.0 ±12.4", "50.0 ±0.0 !", "50.0 ±0.0 !"]
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["lr=0.01", "lr=0.1", "lr=9"]


def test_a_grid_of_two_axes():
    def both(flip, *right):
        return Entry("net", RECIPE, {"lr": "0.1", "flip": flip}, 1, (1, 8, 8), (run(0, *right),))

    axes = (Axis("lr", ("0.1",)), Axis("flip", ("true", "false")))
    figure = trials.draw("grid", replace(TRIAL, grid=axes, entries=(both("true", 1, 2), both("false", 3, 4)), seeds=1))
    assert cells(figure) == ["10.0 ~", "20.0 ~"]
    assert [label.get_text() for label in figure.axes[0].get_xticklabels()] == ["flip=true", "flip=false"]


def test_labels_and_only_apply_to_a_trial_s_figures():
    how = figures.FigureOptions(labels={"net, lr=0.1": "Right"}, only=("*lr=0.1",))
    figure = trials.draw("grid", TRIAL, how)
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["Right"]


def test_figures_that_are_refused():
    with pytest.raises(BadOption, match="Did you mean 'curves'"):
        trials.draw("curve", TRIAL)
    with pytest.raises(BadOption, match="no epoch of any training has ended"):
        trials.draw("curves", replace(TRIAL, entries=(entry("0.1"),)))
    evaluation = Evaluation("w.pt", "ab", 1, 18, None, (9, 9), 1.5)
    with pytest.raises(BadOption, match="here weights were evaluated"):
        trials.draw("grid", replace(TRIAL, entries=(entry("0.1", evaluation=evaluation),)))


# --- page -----------------------------------------------------------------------------------------------------------


def test_the_page(tmp_path):
    written = trial_page.write(TRIAL, tmp_path / "toys")
    assert all(path.exists() for path in written)
    text = (tmp_path / "toys" / "README.md").read_text()
    assert "The highest accuracy on toys is 90.00 % (95 % interval over seeds 77.6 to 100.0), lr=0.1." in text
    assert "--grid lr=0.01,0.1,9" in text and "figures/grid.svg" in text and text.rstrip().endswith(trial_page.MARK)
    before = {path: path.read_bytes() for path in written}
    trial_page.write(TRIAL, tmp_path / "toys")
    assert before == {path: path.read_bytes() for path in written}
    assert Trial.read(tmp_path / "toys") == TRIAL


def test_folders_that_are_not_a_trial_s(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("")
    with pytest.raises(BadOutput, match="is not empty and holds no trial"):
        trial_page.check_folder(tmp_path / "mine")
    trial_page.check_folder(tmp_path / "mine", force=True)
    with pytest.raises(BadOutput, match="is a file"):
        trial_page.check_folder(tmp_path / "mine" / "thesis.txt")
    with pytest.raises(BadFile, match="Expected a folder that 'archprof trial -o' wrote"):
        Trial.read(tmp_path / "mine")


# --- accuracies beside costs ----------------------------------------------------------------------------------------


def test_accuracies_are_claims_marked_as_measured(tmp_path):
    trial_page.write(TRIAL, tmp_path / "toys")
    claims = read(tmp_path / "toys")
    first = claims[0]
    assert (first.architecture, first.dataset, first.metric, first.percent, first.measured) == (
        "net",
        "toys",
        "top1",
        90.0,
        True,
    )
    assert first.source == "measured by archprof 0.1.0 on 2026-01-31 (a chip)" and first.resolution == 8
    assert (
        "80 images for training, 20 held out; adam, learning rate 0.1" in first.protocol and "3 seeds" in first.protocol
    )
    assert [claim.percent for claim in claims] == [90.0, 60.0, 50.0]  # the recipe as asked for first
    assert [claim.percent for claim in read(tmp_path / "toys" / "accuracy.csv")] == [90.0, 60.0, 50.0]


def test_pages_and_figures_say_that_it_was_measured():
    rows = Comparison({}, (ArchitectureResult("net", "zoo"),))
    unsized = [replace(claim, resolution=None) for claim in TRIAL.accuracies()]
    shown = own.attached(rows, unsized, "toys")
    assert not shown.warnings and Comparison.from_json(shown.to_json()) == shown
    said = conditions.sources([shown.architectures[0].top("top1", "toys")], "Accuracy")
    assert said.startswith("Accuracy measured by archprof 0.1.0 on 2026-01-31 (a chip) on toys: 80 images for training")
    assert "published" not in said
    assert "measured by 'archprof trial'" in report._accuracies(shown)
    both = own.attached(shown, [replace(unsized[0], measured=False, source="a paper")], "toys")
    assert "as published, not measured here: a paper." in conditions.sources(
        list(both.architectures[0].accuracy), "Accuracy"
    )


def test_compiling_is_said_to_be_in_the_first_epoch():
    trial = Trial(HERE, DATA, RECIPE, (2,), 3, (GOOD,), ("net",))
    assert not any("compiling" in note for note in tables(trial)[1].notes)
    compiled = replace(trial, environment={**HERE, "compile": "default"})
    assert any(
        "the first epoch of each run has the time of compiling in it" in note for note in tables(compiled)[1].notes
    )


def test_a_trial_at_a_prompt():
    failed = entry("3", error="net: broke")
    lines = repr(Trial(HERE, DATA, RECIPE, (2,), 3, (GOOD, failed), ("net",), interrupted=True)).splitlines()
    assert lines[0] == "Trial: Accuracy on toys: 20 images held out, 80 for training"
    # 18, 19 and 17 of 20 are 90 % in the mean, with a deviation of 5 %: 4.303 x 5 / sqrt(3) = 12.4
    assert lines[2].split() == ["lr=0.1", "90.0", "77.6", "to", "100.0", "3", "seeds"]
    assert lines[3].split()[:2] == ["lr=3", "failed"] and lines[4].startswith("interrupted")

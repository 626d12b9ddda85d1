from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from support.samples.experiments import FEW, Folders, make_folders

from monai_chexmask_u.data.radiograph_sets import read_sets
from monai_chexmask_u.experiments.findings import Plot
from monai_chexmask_u.experiments.report import Report
from monai_chexmask_u.experiments.run import EXPERIMENTS, run_experiments
from monai_chexmask_u.model import Model
from monai_chexmask_u.radiograph import Radiograph
from monai_chexmask_u.segmentation import LandmarkSegmentation
from monai_chexmask_u.segmenter import Segmenter

ALL = tuple(EXPERIMENTS)


class Recorder:
    """Counts what is measured."""

    def __init__(self) -> None:
        self.calls: list[tuple[int, int]] = []

    def __call__(self, done: int, total: int) -> None:
        self.calls.append((done, total))


def run(folders: Folders, segmenter: Segmenter, output: Path, names: tuple[str, ...] = ALL) -> tuple[Report, Recorder]:
    output.mkdir(exist_ok=True)
    recorder = Recorder()
    report = run_experiments(names, read_sets(folders.all), segmenter, output, plan=FEW, progress=recorder)
    return report, recorder


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the figures empty, which take most of the time."""
    monkeypatch.setattr(Plot, "drawn", lambda self, kind: b"")


def tables(output: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in sorted((output / "tables").glob("*.csv"))}


@pytest.fixture(scope="module")
def everything(calibrated: Segmenter, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Report, Recorder]:
    """A whole run, and where it lies."""
    folder = tmp_path_factory.mktemp("everything")
    report, recorder = run(make_folders(folder), calibrated, folder / "out")
    return folder / "out", report, recorder


def test_all_writes_tables_figures_report_and_summary(everything: tuple[Path, Report, Recorder]) -> None:
    out, report, recorder = everything
    # 7 radiographs as they are, 3 outlined ones with 5 corruptions, 6 chest radiographs made foreign in 3 ways
    assert recorder.calls[-1] == (7 + 3 * 5 + 6 * 3,) * 2
    assert {path.stem for path in (out / "tables").glob("*.parquet")} == {
        *(f"calibration_{name}" for name in ("coverage", "curve", "measures", "refit")),
        *(f"corruption_{name}" for name in ("inside_outside", "levels", "monotonicity")),
        *("error_relations", "failures", "ood_detection", "ood_verdicts"),
    }
    assert {path.stem for path in (out / "tables").glob("*.csv")} == {
        path.stem for path in (out / "tables").glob("*.parquet")
    }
    figures = {"calibration_curve", "error_uncertainty", "inside_outside", "latent_predictive", "risk_coverage", "roc"}
    figures |= {f"severity_{name}" for name in ("latent", "predictive", "total")}
    assert {path.stem for path in (out / "figures").glob("*.png")} == figures
    assert {path.stem for path in (out / "figures").glob("*.svg")} == figures
    summary = json.loads((out / "summary.json").read_text())
    assert summary["settings"]["model"]["sha256"] == "ab" * 32
    assert (summary["calibrated"], summary["failed"], summary["notes"]) == (True, 0, [])
    assert [(each["set"], each["used"], each["foreign"]) for each in summary["sets"]] == [
        ("set_val", 3, 0),
        ("teaching", 2, 1),
        ("scanner", 2, 0),
    ]
    numbers = summary["numbers"]
    assert numbers == {
        key: pytest.approx(value, nan_ok=True) if np.isfinite(value) else None for key, value in report.summary.items()
    }
    assert numbers["ood.blank.auc_score_combined"] == 1  # a black image has the highest of these scores
    assert numbers["clean.total_median"] == pytest.approx(2 * numbers["clean.predictive_median"])
    assert numbers["calibration.sharpness.total"] == pytest.approx(
        2 * numbers["calibration.sharpness.predictive"], rel=1e-6
    )
    assert numbers["error.node.all.pearson_total"] == pytest.approx(numbers["error.node.all.pearson_predictive"])


def test_page_refers_to_nothing_outside(everything: tuple[Path, Report, Recorder]) -> None:
    out, _, _ = everything
    page = (out / "report.html").read_text()
    sources = re.findall(r'(?:src|href)\s*=\s*"([^"]{0,30})', page)
    assert len(sources) == 9
    assert all(source.startswith("data:image/png;base64,") for source in sources)
    assert not re.search(r"https?:|url\(|@import|<script|<link", page)
    assert page.count("<table>") == page.count("</table>") > 10
    assert str(out.parent) not in page
    for words in ("tiny 1.2.3", "ab" * 32, "set_val", "69.79; 28.41 without skip", "seed 0"):
        assert words in page


@pytest.fixture(scope="module")
def uncalibrated(plain: Segmenter, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Folders, Report]:
    """A whole run of a model without a calibration, without drawn figures, where it lies, and its radiographs."""
    folder = tmp_path_factory.mktemp("uncalibrated")
    folders = make_folders(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Plot, "drawn", lambda self, kind: b"")
        report, _ = run(folders, plain, folder / "out")
    return folder / "out", folders, report


def test_model_without_calibration_is_measured_by_what_it_says(uncalibrated: tuple[Path, Folders, Report]) -> None:
    out, _, report = uncalibrated
    assert len(report.notes) == 2
    assert "no calibration" in report.notes[0]
    assert report.notes[0] in (out / "report.html").read_text()
    assert "corruption.least_spearman_score" in report.summary
    assert not any("total" in key or "coverage90" in key for key in report.summary)


@pytest.mark.usefixtures("undrawn")
def test_stopped_run_continues_to_the_same_tables(
    uncalibrated: tuple[Path, Folders, Report], plain: Segmenter, tmp_path: Path
) -> None:
    whole, folders, _ = uncalibrated
    shutil.copytree(whole, tmp_path / "out")
    shutil.rmtree(tmp_path / "out" / "tables")
    (tmp_path / "out" / "parts" / "corrupted" / "set_val" / "b.parquet").unlink()
    (tmp_path / "out" / "parts" / "foreign" / "scanner" / "x.parquet").write_bytes(b"cut off")
    earlier = tmp_path / "out" / "parts" / "clean" / "teaching" / "1.parquet"  # with a column of an earlier version
    pd.read_parquet(earlier).rename(columns={"radiograph": "film"}).to_parquet(earlier)
    _, recorder = run(folders, plain, tmp_path / "out")
    assert recorder.calls[-1] == (5 + 3 + 1, 5 + 3 + 1)
    assert tables(tmp_path / "out") == tables(whole)
    assert run(folders, plain, tmp_path / "out")[1].calls == []


@pytest.mark.usefixtures("undrawn")
def test_killed_run_keeps_what_it_measured(folders: Folders, tiny_model: Model, tmp_path: Path) -> None:
    class Killed(Segmenter):
        left = 8

        def segment(self, radiograph: Radiograph) -> LandmarkSegmentation:
            self.left -= 1
            if self.left < 0:
                raise KeyboardInterrupt
            return super().segment(radiograph)

    with pytest.raises(KeyboardInterrupt):
        run(folders, Killed(tiny_model, num_samples=3, device="cpu"), tmp_path / "out")
    parts = [path.relative_to(tmp_path / "out" / "parts") for path in (tmp_path / "out").rglob("*.parquet")]
    assert sorted(map(str, parts)) == ["clean/set_val/a.parquet", "corrupted/set_val/a.parquet"]
    segmenter = Segmenter(tiny_model, num_samples=3, device="cpu")
    assert run(folders, segmenter, tmp_path / "out")[1].calls[-1] == (40 - 6, 40 - 6)


@pytest.mark.usefixtures("undrawn")
def test_result_of_a_radiograph_does_not_depend_on_the_other_radiographs(
    uncalibrated: tuple[Path, Folders, Report], plain: Segmenter, tmp_path: Path
) -> None:
    whole, folders, _ = uncalibrated
    (tmp_path / "less").mkdir()
    sets = read_sets([folders.outlined], limit=2)
    turned = [replace(sets[0], radiographs=sets[0].radiographs[::-1])]
    run_experiments(["corruption"], turned, plain, tmp_path / "less", plan=FEW)
    part = "parts/corrupted/set_val/b.parquet"
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "less" / part), pd.read_parquet(whole / part))


def test_only_what_an_experiment_needs_is_measured(folders: Folders, tiny_model: Model, tmp_path: Path) -> None:
    class Unable(Segmenter):
        def segment(self, radiograph: Radiograph) -> LandmarkSegmentation:
            raise ValueError("nothing is segmented where images are only counted")

    images = {"corruption": 3 + 15, "error": 3 + 15, "ood": 7 + 18, "calibration": 3}
    counted = {}
    for name in images:
        (tmp_path / name).mkdir()
        recorder, segmenter = Recorder(), Unable(tiny_model, num_samples=3, device="cpu")
        with pytest.raises(ValueError, match="none of the outlined radiographs could be measured"):
            run_experiments([name], read_sets(folders.all), segmenter, tmp_path / name, plan=FEW, progress=recorder)
        counted[name] = recorder.calls[-1]
    assert counted == {name: (count, count) for name, count in images.items()}


@pytest.mark.usefixtures("undrawn")
def test_changed_radiograph_is_measured_again(folders: Folders, plain: Segmenter, tmp_path: Path) -> None:
    run(folders, plain, tmp_path / "out", ("calibration",))
    (folders.outlined / "images" / "b.png").write_bytes((folders.outlined / "images" / "c.png").read_bytes())
    _, recorder = run(folders, plain, tmp_path / "out", ("calibration",))
    assert recorder.calls[-1] == (2, 2)  # b, and a, whose partner it is


@pytest.mark.usefixtures("undrawn")
def test_broken_radiograph_is_named_and_the_others_are_measured(
    folders: Folders, plain: Segmenter, tmp_path: Path
) -> None:
    (folders.outlined / "images" / "b.png").write_bytes(b"\x89PNG and no more")
    report, _ = run(folders, plain, tmp_path / "out", ("corruption",))
    failures = report.failures
    assert failures[failures["kind"] == ""][["radiograph", "code"]].to_numpy().tolist() == [["set_val/b", "truncated"]]
    # a would be blended with b
    assert failures[failures["kind"] != ""][["radiograph", "kind"]].to_numpy().tolist() == [["set_val/a", "blending"]]
    levels = pd.read_csv(tmp_path / "out" / "tables" / "corruption_levels.csv").set_index(["kind", "severity"])
    assert levels.loc[("gaussian_noise", 60), "radiographs"] == 2
    assert levels.loc[("blending", 0.5), "radiographs"] == 1
    assert "set_val/b" in (tmp_path / "out" / "report.html").read_text()


@pytest.mark.usefixtures("undrawn")
def test_failure_of_one_condition_is_named_and_remembered(folders: Folders, tiny_model: Model, tmp_path: Path) -> None:
    class Picky(Segmenter):
        def segment(self, radiograph: Radiograph) -> LandmarkSegmentation:
            if radiograph.pixels.max() == 0:
                raise ValueError("secret header")
            return super().segment(radiograph)

    picky = Picky(tiny_model, num_samples=3, device="cpu")
    for _ in range(2):
        report, _ = run(folders, picky, tmp_path / "out", ("ood",))
        assert set(report.failures["kind"]) == {"blank"}
        assert set(report.failures["code"]) == {"failed"}
        assert len(report.failures) == 6
        assert "secret" not in report.failures.to_csv()
        assert "ood.inverted.auc_predictive" in report.summary
        assert "ood.blank.auc_predictive" not in report.summary


@pytest.mark.usefixtures("undrawn")
def test_no_usable_outlined_radiograph_is_said_with_the_first_reason(
    folders: Folders, plain: Segmenter, tmp_path: Path
) -> None:
    for path in (folders.outlined / "images").iterdir():
        path.write_bytes(b"\x89PNG and no more")
    with pytest.raises(
        ValueError, match="none of the outlined radiographs could be measured; set_val/a: the image ends"
    ):
        run(folders, plain, tmp_path / "out")


@pytest.mark.usefixtures("undrawn")
def test_measurements_of_other_settings_are_not_mixed(folders: Folders, tiny_model: Model, tmp_path: Path) -> None:
    def experiment(model: Model, samples: int, seed: int, severity: float) -> None:
        segmenter = Segmenter(model, num_samples=samples, seed=seed, device="cpu")
        plan = replace(FEW, levels={"crop": (severity,)})
        run_experiments(["calibration"], read_sets([folders.outlined]), segmenter, tmp_path, plan=plan)

    other = replace(tiny_model, identity=replace(tiny_model.identity, sha256="cd" * 32))
    experiment(tiny_model, 3, 0, 0.1)
    changed = {
        "samples": (tiny_model, 4, 0, 0.1),
        "seed": (tiny_model, 3, 1, 0.1),
        "model": (other, 3, 0, 0.1),
        "levels": (tiny_model, 3, 0, 0.2),
    }
    for difference, settings in changed.items():
        with pytest.raises(ValueError, match=f"holds measurements with another {difference}.*choose another folder"):
            experiment(*settings)

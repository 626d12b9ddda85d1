"""Files are known by what they hold, and nothing in their names can lead out of a folder."""

from __future__ import annotations

from pathlib import Path

import pydicom
import pytest
from pydicom.fileset import FileSet
from support.samples.dicom import make_cr, save

from monai_chexmask_u.archive.dicom_inputs import find_dicom_files
from monai_chexmask_u.archive.objects import DicomFile, is_uid, read_dicom_file
from monai_chexmask_u.archive.outbox import Outbox
from monai_chexmask_u.dicom.reading.quiet import no_warnings


def test_file_is_known_by_its_uids(study_files: dict[str, DicomFile]) -> None:
    for kind, file in study_files.items():
        dataset = pydicom.dcmread(file.path)
        assert file.sop_class_uid == dataset.SOPClassUID
        assert file.sop_instance_uid == dataset.SOPInstanceUID
        assert file.study_instance_uid == dataset.StudyInstanceUID
        assert file.transfer_syntax_uid == dataset.file_meta.TransferSyntaxUID
        assert file.is_report == (kind == "sr")


@pytest.mark.parametrize("content", [b"", b"no DICOM", b"\0" * 128 + b"DICM" + b"\xff" * 40])
def test_other_file_is_refused_and_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.dcm"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=f"^{path}: this "):
        read_dicom_file(path)


@pytest.mark.parametrize("cut", [0, 4, 6])
def test_file_that_ends_in_a_sequence_is_broken(tmp_path: Path, cut: int) -> None:
    """Of which pydicom says that it cannot be read."""
    dataset = make_cr(rows=8, columns=8)
    dataset.ReferencedImageSequence = [pydicom.Dataset() for _ in range(3)]
    dataset["ReferencedImageSequence"].is_undefined_length = True
    content = save(dataset, tmp_path / "x.dcm").read_bytes()
    place = content.index(b"\x08\x00\x40\x11SQ")
    (tmp_path / "x.dcm").write_bytes(content[: place + 12 + 8 + cut])
    with pytest.raises(ValueError, match="this DICOM file is broken"):
        read_dicom_file(tmp_path / "x.dcm")


def test_missing_file_is_another_matter(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_dicom_file(tmp_path / "x.dcm")


@pytest.mark.parametrize("keyword", ["SOPClassUID", "SOPInstanceUID", "StudyInstanceUID"])
def test_object_without_uid_is_refused_and_quoted_nowhere(
    tmp_path: Path, keyword: str, recwarn: pytest.WarningsRecorder
) -> None:
    dataset = make_cr(rows=8, columns=8)
    dataset[keyword]._value = "../../etc/passwd"
    with no_warnings(), pydicom.config.disable_value_validation():
        dataset.save_as(tmp_path / "x.dcm")
    recwarn.clear()
    with pytest.raises(ValueError, match="lacks what identifies an object"):
        read_dicom_file(tmp_path / "x.dcm")
    assert [str(warning.message) for warning in recwarn] == []


@pytest.mark.parametrize("keyword", ["MediaStorageSOPClassUID", "MediaStorageSOPInstanceUID"])
def test_file_that_says_two_things_of_its_object_is_refused(tmp_path: Path, keyword: str) -> None:
    path = save(make_cr(rows=8, columns=8), tmp_path / "x.dcm")
    dataset = pydicom.dcmread(path)
    setattr(dataset.file_meta, keyword, "1.2.3")
    pydicom.dcmwrite(path, dataset, enforce_file_format=False)
    with pytest.raises(ValueError, match="the meta header of this DICOM file names another object"):
        read_dicom_file(path)


@pytest.mark.parametrize("text", ["1.2.3", "2.25.0012", "1" * 64])
def test_digits_and_dots_are_a_uid(text: str) -> None:
    assert is_uid(text)


@pytest.mark.parametrize(
    "text", ["", ".", "..", "1/2", "1.2\n", "1.2.x", "1" * 65, ".1", "1.2\0", "1..2", "1.", "\u0661.2"]
)
def test_other_texts_are_no_uid(text: str) -> None:
    assert not is_uid(text)


def test_folders_are_searched_but_for_hidden_files_and_the_outbox(tmp_path: Path) -> None:
    for name in ("b.dcm", "sub/a", "sub/.hidden.dcm", ".hidden/c.dcm", "outbox/1.2.dcm"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        save(make_cr(rows=8, columns=8), tmp_path / name)
    (tmp_path / "b.json").write_text("{}")
    outbox = tmp_path / "outbox"
    assert find_dicom_files([tmp_path], leave_out=outbox) == [tmp_path / "b.dcm", tmp_path / "sub" / "a"]
    assert find_dicom_files([outbox], leave_out=outbox) == [outbox / "1.2.dcm"]
    # What is named is taken as it is, and no file twice.
    named = [tmp_path / "b.json", tmp_path / "b.dcm", tmp_path / "b.dcm"]
    assert find_dicom_files(named, leave_out=outbox) == named[:2]


def test_every_outbox_is_left_out_unless_it_is_searched_itself(tmp_path: Path, small_files: list[DicomFile]) -> None:
    """Such as that of an earlier run, which `--outbox` does not name now."""
    other = tmp_path / "sub" / "outbox"
    Outbox(other).add(small_files[:2], "PACS@host:104")
    path = Outbox(other).waiting()[0]
    path.replace(other / "refused" / path.name)
    kept = save(make_cr(rows=8, columns=8), tmp_path / "b.dcm")
    for folder in (tmp_path, tmp_path / "sub"):
        assert find_dicom_files([folder], leave_out=tmp_path / "new") == ([kept] if folder == tmp_path else [])
    assert len(find_dicom_files([other], leave_out=tmp_path / "new")) == 2
    assert len(find_dicom_files([other / "refused"], leave_out=tmp_path / "new")) == 1


def test_what_is_no_object_is_left_out_of_folders_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    kept = save(make_cr(rows=8, columns=8), tmp_path / "b.dcm")
    directory = FileSet()
    directory.add(make_cr(rows=8, columns=8))
    directory.write(tmp_path / "media")
    foreign = {"broken": b"\0" * 128 + b"DICM" + b"\xff" * 40, "empty.dcm": b"", "x.json": b"{}", "DICOMDIR": b"index"}
    for name, content in foreign.items():
        (tmp_path / name).write_bytes(content)
    found = find_dicom_files([tmp_path], leave_out=tmp_path / "outbox")
    assert found[0] == kept
    assert len(found) == 2
    assert {path.name for path in found} & {"DICOMDIR", *foreign} == set()
    warned = [Path(message.split(": this ")[0]).relative_to(tmp_path).as_posix() for message in caplog.messages]
    assert warned == ["DICOMDIR", "broken", "empty.dcm", "media/DICOMDIR"]


def test_file_in_a_folder_that_cannot_be_read_is_not_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = save(make_cr(rows=8, columns=8), tmp_path / "b.dcm")

    def fails(*arguments: object) -> None:
        raise PermissionError(13, "no rights")

    monkeypatch.setattr(Path, "open", fails)
    assert find_dicom_files([tmp_path], leave_out=tmp_path / "outbox") == [path]


def test_folder_in_a_hidden_one_is_searched(tmp_path: Path) -> None:
    folder = tmp_path / ".cache"
    folder.mkdir()
    path = save(make_cr(rows=8, columns=8), folder / "a.dcm")
    assert find_dicom_files([folder], leave_out=tmp_path / "outbox") == [path]


def test_missing_input_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"there is no file or folder .*absent; check its name"):
        find_dicom_files([tmp_path / "absent"], leave_out=tmp_path)

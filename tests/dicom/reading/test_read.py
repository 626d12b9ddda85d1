from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom import dcmread
from pydicom.uid import DeflatedExplicitVRLittleEndian, ImplicitVRLittleEndian, JPEG2000Lossless, RLELossless
from support.samples.compressed import compressed
from support.samples.dicom import chest_phantom, make_cr, make_dx, save

from monai_chexmask_u.dicom.reading import read
from monai_chexmask_u.dicom.reading.read import examine_file, parse_file, read_dicom
from monai_chexmask_u.radiograph import Radiograph, RadiographError


def refusal(path: Path) -> str:
    with pytest.raises(RadiographError) as refused:
        read_dicom(path)
    assert path.name not in str(refused.value)
    assert "Synthetic" not in str(refused.value)
    return refused.value.code


@pytest.fixture
def dx(tmp_path: Path) -> Path:
    return save(make_dx(rows=80, columns=64), tmp_path / "dx.dcm")


def test_reads_a_dx_as_it_was_made(dx: Path) -> None:
    radiograph = read_dicom(dx)
    assert (radiograph.path, radiograph.view, radiograph.spacing_mm) == (dx, "PA", (0.7, 0.7))
    assert (radiograph.mirrored, radiograph.upside_down) == (False, False)
    assert radiograph.notes == ("spacing_from_imager",)
    np.testing.assert_allclose(radiograph.pixels, chest_phantom(80, 64), atol=2 / 2**14)  # 14 bits are stored


def test_header_is_the_data_set_without_pixels(dx: Path) -> None:
    header = read_dicom(dx).header
    assert "PixelData" not in header
    assert header.PatientID == "SYN-0001"
    assert header.file_meta.TransferSyntaxUID == dcmread(dx).file_meta.TransferSyntaxUID


def test_an_examined_file_is_decoded_without_being_read_again(dx: Path) -> None:
    expected = read_dicom(dx)
    examined = examine_file(parse_file(dx))
    dx.unlink()
    assert (examined.facts.view, examined.dataset.PatientID) == ("PA", "SYN-0001")
    radiograph = examined.radiograph()
    np.testing.assert_array_equal(radiograph.pixels, expected.pixels)
    assert (radiograph.notes, radiograph.sha256) == (expected.notes, expected.sha256)
    assert radiograph.header == expected.header


def test_mirrored_and_upside_down_pixels_stay_as_stored(tmp_path: Path) -> None:
    dataset = make_dx(rows=80, columns=64)
    dataset.PatientOrientation = ["R", "H"]
    radiograph = read_dicom(save(dataset, tmp_path / "turned.dcm"))
    assert (radiograph.mirrored, radiograph.upside_down) == (True, True)
    np.testing.assert_allclose(radiograph.pixels, chest_phantom(80, 64), atol=2 / 2**14)


def test_comma_in_the_spacing_is_no_number(dx: Path) -> None:
    dx.write_bytes(dx.read_bytes().replace(b"0.7\\0.7", b"0,7\\0,7"))
    radiograph = read_dicom(dx)
    assert radiograph.spacing_mm is None
    assert "spacing_invalid" in radiograph.notes


def test_spare_bytes_after_the_pixels_do_no_harm(dx: Path) -> None:
    dataset = dcmread(dx)
    dataset.PixelData += b"\0\0"
    np.testing.assert_array_equal(read_dicom(save(dataset, dx.with_name("long.dcm"))).pixels, read_dicom(dx).pixels)


@pytest.mark.parametrize(
    ("content", "code"),
    [(b"", "truncated"), (b"hello world" * 100, "not_dicom"), (b"\0" * 128 + b"DICM", "truncated")],
)
def test_refuses_what_is_no_dicom_file(tmp_path: Path, content: bytes, code: str) -> None:
    path = tmp_path / "file.dcm"
    path.write_bytes(content)
    assert refusal(path) == code


def test_refuses_missing_files_and_folders(tmp_path: Path) -> None:
    assert refusal(tmp_path / "absent.dcm") == "not_found"
    assert refusal(tmp_path) == "not_readable"


def test_an_unknown_transfer_syntax_is_refused_in_words(dx: Path) -> None:
    raw = dx.read_bytes()
    syntax = b"1.2.840.10008.1.2.1\0"
    assert raw.count(syntax) == 1
    dx.write_bytes(raw.replace(syntax, b"1.2.840.99999.1.2.1\0"))
    assert refusal(dx) == "undecodable"


def test_foreign_errors_are_told_as_a_malformed_header(dx: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: object) -> None:
        raise TypeError("Synthetic")

    monkeypatch.setattr(read, "examine", fail)
    assert refusal(dx) == "undecodable"


def test_refuses_a_header_without_pixels(tmp_path: Path) -> None:
    dataset = make_dx(rows=64, columns=64)
    del dataset.PixelData
    assert refusal(save(dataset, tmp_path / "header.dcm")) == "no_pixels"


def test_refuses_another_object(tmp_path: Path) -> None:
    dataset = make_dx(rows=64, columns=64, processing=True)
    assert refusal(save(dataset, tmp_path / "raw.dcm")) == "for_processing"


@given(share=st.floats(0.01, 0.999))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_file_cut_anywhere_is_refused_in_words(dx: Path, share: float) -> None:
    raw = dx.read_bytes()
    cut = dx.with_name("cut.dcm")
    cut.write_bytes(raw[: int(len(raw) * share)])
    # Cut exactly between two elements, a header looks complete but for the pixels.
    assert refusal(cut) in {"not_dicom", "truncated", "no_pixels"}


@pytest.mark.parametrize("lost", [2, 1000, 4500])
def test_lost_end_is_told_as_such(dx: Path, lost: int) -> None:
    cut = dx.with_name("cut.dcm")
    cut.write_bytes(dx.read_bytes()[:-lost])
    assert refusal(cut) == "truncated"


def test_cut_compressed_pixels_are_told_as_such(dx: Path) -> None:
    dataset = compressed(dcmread(dx), RLELossless, dx.parent)
    cut = save(dataset, dx.with_name("cut.dcm"))
    cut.write_bytes(cut.read_bytes()[:-100])
    assert refusal(cut) == "truncated"


@pytest.mark.parametrize("implicit", [False, True])
def test_a_bare_data_set_is_read_with_an_assumed_syntax(tmp_path: Path, implicit: bool) -> None:
    dataset = make_cr(rows=80, columns=64)
    if implicit:
        dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    whole, path = tmp_path / "whole.dcm", tmp_path / "bare.dcm"
    raw = save(dataset, whole).read_bytes()
    start = 132 + 12 + int.from_bytes(raw[140:144], "little")  # magic, group length element, the rest of group 2
    path.write_bytes(raw[start:])
    radiograph = read_dicom(path)
    assert radiograph.notes[0] == "transfer_syntax_assumed"
    assert radiograph.header.file_meta.TransferSyntaxUID == dataset.file_meta.TransferSyntaxUID
    np.testing.assert_array_equal(radiograph.pixels, read_dicom(whole).pixels)


def test_lossless_compression_changes_nothing(dx: Path) -> None:
    dataset = compressed(dcmread(dx), RLELossless, dx.parent)
    _assert_same(read_dicom(save(dataset, dx.with_name("rle.dcm"))), read_dicom(dx))


def test_lossless_jpeg_changes_nothing(dx: Path) -> None:
    if not (dcmcjpeg := shutil.which("dcmcjpeg")):
        pytest.skip("dcmcjpeg is not installed (Debian package dcmtk)")
    compressed = dx.with_name("jpeg.dcm")
    subprocess.run([dcmcjpeg, "+e1", dx, compressed], check=True)
    assert dcmread(compressed).file_meta.TransferSyntaxUID.is_compressed
    _assert_same(read_dicom(compressed), read_dicom(dx))


def test_real_chest_is_bright_where_it_is_dense(chest_cr: Path) -> None:
    radiograph = read_dicom(chest_cr)
    assert (radiograph.shape, radiograph.view, radiograph.spacing_mm) == ((1955, 1841), "PA", None)
    assert set(radiograph.notes) == {"spacing_invalid", "photometric_inverted"}
    spine, lung = radiograph.pixels[800:1000, 850:1000], radiograph.pixels[300:600, 380:650]
    assert spine.mean() > lung.mean() + 0.2


def test_real_chest_in_jpeg_2000_is_the_same_image(chest_cr: Path) -> None:
    compressed = chest_cr.with_name("RG1_J2KR.dcm")
    assert dcmread(compressed, stop_before_pixels=True).file_meta.TransferSyntaxUID == JPEG2000Lossless
    _assert_same(read_dicom(compressed), read_dicom(chest_cr))


def test_real_leg_is_refused(leg_cr: Path) -> None:
    assert refusal(leg_cr) == "wrong_body_part"


def test_real_file_without_meta_information_is_read(shared_data: Path) -> None:
    radiograph = read_dicom(shared_data / "dicom" / "CR-MONO1-10-chest.dcm")
    assert (radiograph.shape, radiograph.view) == ((440, 440), "PA")
    assert radiograph.notes[0] == "transfer_syntax_assumed"
    spine, lung = radiograph.pixels[150:250, 190:225], radiograph.pixels[150:250, 70:140]
    assert spine.mean() > lung.mean() + 0.1


def _assert_same(radiograph: Radiograph, expected: Radiograph) -> None:
    np.testing.assert_array_equal(radiograph.pixels, expected.pixels)
    assert radiograph.notes == expected.notes


def test_a_deflated_data_set_within_the_limit_is_read(dx: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = dcmread(dx)
    dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    deflated = save(dataset, dx.with_name("deflated.dcm"))
    bare = dx.with_name("without_preamble.dcm")
    bare.write_bytes(deflated.read_bytes()[132:])
    for path in (deflated, bare):
        _assert_same(read_dicom(path), read_dicom(dx))
    monkeypatch.setattr(read, "CHUNK_BYTES", 1000)
    monkeypatch.setattr(read, "MAX_BYTES", dx.stat().st_size - 1000)  # the file itself is smaller than that
    for path in (deflated, bare):
        assert refusal(path) == "too_large"


def test_a_file_beyond_the_limit_is_examined_without_its_pixels(dx: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(read, "MAX_BYTES", dx.stat().st_size)
    assert read_dicom(dx).view == "PA"
    monkeypatch.setattr(read, "MAX_BYTES", dx.stat().st_size - 1)
    assert refusal(dx) == "too_large"
    lateral = dcmread(dx)
    lateral.ViewPosition = "LL"
    assert refusal(save(lateral, dx.with_name("lateral.dcm"))) == "not_frontal"


def test_what_outputs_cannot_copy_is_noted_and_left_in_the_header(dx: Path) -> None:
    dx.write_bytes(dx.read_bytes().replace(b"SYN-0001", b"SYN\n0001"))
    radiograph = read_dicom(dx)
    assert radiograph.notes == ("spacing_from_imager", "identifier_invalid:patient_id")
    assert radiograph.header.PatientID == "SYN\n0001"

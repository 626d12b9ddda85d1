from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from monai_chexmask_u.files.checksum import sha256_of
from monai_chexmask_u.networks import HybridGNet
from monai_chexmask_u.networks.checkpoints import (
    CheckpointError,
    network_from_state,
    read_average,
    read_checkpoint,
    write_checkpoint,
)

ENCODER_CHANNELS = (8, 16, 32, 64, 128, 128)


def published_shapes(*, skip: bool, side: int) -> dict[str, tuple[int, ...]]:
    """The published key names and shapes (facts about the published files), for a given image side."""
    shapes: dict[str, tuple[int, ...]] = {}
    for number, (before, after) in enumerate(zip((1, *ENCODER_CHANNELS), ENCODER_CHANNELS, strict=False), 1):
        block = f"encoder.dconv_down{number}"
        if before != after:
            shapes |= {f"{block}.skip.0.weight": (after, before, 1, 1)}
            shapes |= {f"{block}.skip.1.{part}": (after,) for part in ("weight", "bias")}
        for index, channels in ((0, before), (3, after)):
            shapes |= {f"{block}.block.{index}.{part}": (channels,) for part in ("weight", "bias")}
        for index, channels in ((2, before), (5, after)):
            shapes |= {
                f"{block}.block.{index}.weight": (after, channels, 3, 3),
                f"{block}.block.{index}.bias": (after,),
            }
    flat = 128 * (side // 32) ** 2
    for head in ("fc_mu", "fc_logvar"):
        shapes |= {f"encoder.{head}.weight": (64, flat), f"encoder.{head}.bias": (64,)}
    shapes |= {"dec_lin.weight": (960, 64), "dec_lin.bias": (960,)}
    joined = 130 if skip else 0
    convolutions = {6: (16, 16), 5: (16, 16), 4: (16 + joined, 32), 3: (32, 32), 2: (32 + joined, 32)}
    for number, (before, after) in convolutions.items():
        shapes |= {f"graphConv_up{number}.bias": (after,)}
        shapes |= {f"graphConv_up{number}.lins.{order}.weight": (after, before) for order in range(6)}
    shapes |= {"graphConv_up1.lins.0.weight": (2, 32)}
    if skip:
        shapes |= {"SC_1.graphConv_pre.lins.0.weight": (2, 16), "SC_2.graphConv_pre.lins.0.weight": (2, 32)}
    return shapes


def published_state(*, skip: bool = True, side: int = 64, prefix: str = "") -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    shapes = published_shapes(skip=skip, side=side)
    return {prefix + name: torch.randn(shape, generator=generator) for name, shape in shapes.items()}


@pytest.mark.parametrize(("skip", "keys"), [(True, 107), (False, 105)])
@pytest.mark.parametrize("prefix", ["", "model."])
def test_published_names_load_with_nothing_left_over(skip: bool, keys: int, prefix: str) -> None:
    state = published_state(skip=skip, prefix=prefix)
    assert len(state) == keys
    network = network_from_state(state)
    assert (network.image_size, network.skip_connections, network.training) == (64, skip, False)
    assert sum(p.numel() for p in network.parameters()) == sum(value.numel() for value in state.values())
    weight = network.get_parameter("encoder.blocks.1.shortcut.0.weight")
    torch.testing.assert_close(weight, state[prefix + "encoder.dconv_down2.skip.0.weight"])
    polynomial = network.get_parameter("decoder.fine2.weight")[3]
    torch.testing.assert_close(polynomial, state[prefix + "graphConv_up2.lins.3.weight"])
    torch.testing.assert_close(network.latent_log_var.bias, state[prefix + "encoder.fc_logvar.bias"])


def test_key_list_of_the_published_checkpoints_is_covered(shared_data: Path) -> None:
    """Compare with the list taken from the published files, for both variants at 1024 pixels."""
    sections = (shared_data.parent / "reference" / "upstream_state_dict_keys.txt").read_text().split("=====")[1:]
    for section, skip in zip(sections, (True, False), strict=True):
        listed = {}
        for line in section.splitlines()[1:]:
            name, _, shape = line.partition(" (")
            if shape:
                listed[name] = tuple(int(side) for side in shape.strip(")").split(",") if side.strip())
        assert listed == published_shapes(skip=skip, side=1024)


def test_our_files_round_trip(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = HybridGNet(64, latent_size=8)
    write_checkpoint(network, tmp_path / "model.pt")
    read = read_checkpoint(tmp_path / "model.pt")
    for name, value in network.state_dict().items():
        torch.testing.assert_close(read.state_dict()[name], value, rtol=0, atol=0)
    write_checkpoint(network, tmp_path / "half.pt", half_precision=True)
    assert (tmp_path / "half.pt").stat().st_size < 0.6 * (tmp_path / "model.pt").stat().st_size
    image = torch.rand(1, 1, 64, 64)
    torch.testing.assert_close(read_checkpoint(tmp_path / "half.pt")(image), network.eval()(image), rtol=0, atol=0.02)


def test_several_files_are_averaged(tmp_path: Path) -> None:
    networks = [HybridGNet(64), HybridGNet(64)]
    paths = [tmp_path / "a.pt", tmp_path / "b.pt"]
    for network, path in zip(networks, paths, strict=True):
        write_checkpoint(network, path)
    mean = read_average(paths).state_dict()
    first, second = (network.state_dict() for network in networks)
    assert any(not torch.equal(first[name], second[name]) for name in mean)
    for name, value in mean.items():
        torch.testing.assert_close(value, (first[name] + second[name]) / 2)
    torch.testing.assert_close(read_average(paths[:1]).state_dict(), first)


def test_weights_of_two_variants_are_not_averaged(tmp_path: Path) -> None:
    write_checkpoint(HybridGNet(64), tmp_path / "a.pt")
    for name, other in (("size", HybridGNet(96)), ("variant", HybridGNet(64, skip_connections=False))):
        write_checkpoint(other, tmp_path / f"{name}.pt")
        with pytest.raises(CheckpointError, match=rf"{name}\.pt: .* of another variant or image size than .*a\.pt"):
            read_average([tmp_path / "a.pt", tmp_path / f"{name}.pt"])


@pytest.mark.parametrize("refinements", [1, 2, 3])
def test_number_of_refinements_is_read_from_the_file(tmp_path: Path, refinements: int) -> None:
    torch.manual_seed(0)
    network = HybridGNet(64, latent_size=8, refinements=refinements).eval()
    for refinement in network.decoder.refinements:
        torch.nn.init.normal_(refinement.get_parameter("offset.weight"))
    write_checkpoint(network, tmp_path / "model.pt")
    read = read_checkpoint(tmp_path / "model.pt")
    assert (read.refinements, read.latent_size, read.skip_connections, read.image_size) == (refinements, 8, True, 64)
    image = torch.rand(1, 1, 64, 64)
    torch.testing.assert_close(read(image), network(image), rtol=0, atol=0)


def test_list_of_best_metrics_beside_the_weights_is_passed_over(tmp_path: Path) -> None:
    torch.save(published_state() | {"checkpointer": [{"epoch": 1}]}, tmp_path / "best.pt")
    assert read_checkpoint(tmp_path / "best.pt").image_size == 64


@pytest.mark.parametrize("key", ["state_dict", "model", "network", "ema"])
def test_weights_below_a_usual_key_are_found(tmp_path: Path, key: str) -> None:
    torch.save({key: published_state(), "epoch": 3}, tmp_path / "model.pt")
    assert read_checkpoint(tmp_path / "model.pt").image_size == 64


def test_averaged_weights_of_a_trainings_state_come_first(tmp_path: Path) -> None:
    averaged = {name: value + 1 for name, value in published_state().items()}
    torch.save({"network": published_state(), "ema": averaged, "optimizer": {"state": {}}}, tmp_path / "final.pt")
    read = read_checkpoint(tmp_path / "final.pt")
    torch.testing.assert_close(read.latent_mean.bias.detach(), averaged["encoder.fc_mu.bias"], rtol=0, atol=0)


def _broken(fault: str) -> object:
    state = published_state()
    if fault == "missing":
        del state["graphConv_up3.bias"]
    elif fault == "left over":
        state["decoder.extra"] = torch.zeros(1)
    elif fault == "shape":
        state["dec_lin.weight"] = torch.zeros(960, 32)
    elif fault == "nan":
        state["dec_lin.bias"][5] = torch.nan
    elif fault in ("inf", "-inf"):
        state["graphConv_up6.lins.1.weight"][0, 0] = float(fault)
    elif fault == "finite as float64 alone":
        state["dec_lin.bias"] = torch.full((960,), 1e300, dtype=torch.float64)
    elif fault == "complex":
        state["dec_lin.bias"] = state["dec_lin.bias"] * 1j
    elif fault == "bool":
        state["dec_lin.bias"] = torch.ones(960, dtype=torch.bool)
    elif fault == "sparse":
        state["dec_lin.weight"] = state["dec_lin.weight"].to_sparse()
    elif fault == "a billion numbers in one":
        state["encoder.fc_mu.weight"] = torch.zeros(()).expand(10**9, 512)
    elif fault == "an endless polynomial":
        state |= {f"graphConv_up6.lins.{order}.weight": torch.zeros(()).expand(10**7, 10**7) for order in range(6)}
    elif fault == "no latent dimension":
        state |= {"encoder.fc_mu.weight": torch.zeros(0, 512), "encoder.fc_mu.bias": torch.zeros(0)}
    elif fault == "no latent":
        return {"layer.weight": torch.zeros(3)}
    elif fault == "not weights":
        return {"weights": [1, 2, 3]}
    elif fault == "polynomial":
        del state["graphConv_up3.lins.2.weight"]
    elif fault == "refinement":
        state = HybridGNet(64, refinements=2).state_dict()
        del state["decoder.refinements.1.look.bias"]
    elif fault == "too many refinements":
        state = HybridGNet(64, refinements=3).state_dict()
        state["decoder.refinements.3.look.bias"] = torch.zeros(64)
    elif fault == "refinement without connections":
        state = published_state(skip=False)
        state["decoder.refinements.0.look.bias"] = torch.zeros(64)
    return state


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("missing", r"lacks decoder\.fine1\.bias"),
        ("left over", r"has unknown decoder\.extra"),
        ("shape", r"decoder\.from_latent\.weight \(960, 32\) instead of \(960, 64\)"),
        ("nan", r"not finite in decoder\.from_latent\.bias"),
        ("inf", r"not finite in decoder\.coarse1\.weight"),
        ("-inf", r"not finite in decoder\.coarse1\.weight"),
        ("finite as float64 alone", r"not finite in decoder\.from_latent\.bias"),
        ("complex", r"other kinds of numbers than the network: decoder\.from_latent\.bias complex64"),
        ("bool", r"other kinds of numbers than the network: decoder\.from_latent\.bias bool"),
        ("sparse", r"no numbers of its own for dec_lin\.weight"),
        ("a billion numbers in one", r"no numbers of its own for encoder\.fc_mu\.weight"),
        ("an endless polynomial", r"no numbers of its own for graphConv_up6\.lins\.0\.weight"),
        ("no latent dimension", r"lacks latent_mean\.weight"),
        ("no latent", r"lacks latent_mean\.weight"),
        ("not weights", "no network weights"),
        ("polynomial", r"incomplete decoder\.fine1\.weight"),
        ("refinement", r"lacks decoder\.refinements\.1\.look\.bias"),
        ("too many refinements", r"has unknown decoder\.refinements\.3\.look\.bias"),
        ("refinement without connections", r"has unknown decoder\.refinements\.0\.look\.bias"),
    ],
)
def test_weights_that_do_not_fit_are_refused_with_file_and_cause(tmp_path: Path, fault: str, message: str) -> None:
    path = tmp_path / "model.pt"
    torch.save(_broken(fault), path)
    with pytest.raises(CheckpointError, match=message) as error:
        read_checkpoint(path)
    assert str(path) in str(error.value)


@pytest.mark.parametrize("content", [b"", b"hello world", b"PK\x03\x04 cut off", b"\x80\x02cos\nsystem\n."])
def test_files_that_are_no_weights_are_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "model.pt"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match="not a complete PyTorch weights file"):
        read_checkpoint(path)


@given(content=st.binary(min_size=1, max_size=40))
def test_any_foreign_bytes_are_refused_in_one_way(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.mktemp("foreign") / "model.pt"
    path.write_bytes(content)
    with pytest.raises(CheckpointError):
        read_checkpoint(path)


def test_truncated_weights_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    write_checkpoint(HybridGNet(64), path)
    path.write_bytes(path.read_bytes()[:-5000])
    with pytest.raises(CheckpointError, match="not a complete PyTorch weights file"):
        read_checkpoint(path)


def test_code_in_a_weights_file_is_not_run(tmp_path: Path) -> None:
    path, proof = tmp_path / "model.pt", tmp_path / "proof"

    class Malicious:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return Path.touch, (proof,)  # type: ignore[return-value]

    torch.save({"state_dict": Malicious()}, path)
    with pytest.raises(CheckpointError):
        read_checkpoint(path)
    assert not proof.exists()


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="there is no weights file here"):
        read_checkpoint(tmp_path / "none.pt")


def test_hash_is_that_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"abc")
    assert sha256_of(tmp_path / "file") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"

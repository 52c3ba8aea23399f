"""Weights of one network in another: what fits by name and shape goes in, and all else has its reason."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
import torch
from torch import Tensor, nn

from dlcore.errors import UserError
from dlcore.training.weight_mapping import Loaded, load_into


class Net(nn.Module):
    """Two layers with names of their own."""

    def __init__(self, outputs: int = 3, *, channels: int = 3) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(channels, 4, 3), nn.BatchNorm2d(4))
        self.head = nn.Linear(4, outputs)


def changed(outputs: int = 3, *, channels: int = 3) -> dict[str, Tensor]:
    """The state of another such network, every number different from a fresh one's."""
    state = Net(outputs, channels=channels).state_dict()
    return {name: torch.full_like(tensor, 7) for name, tensor in state.items()}


def prefixed(state: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {prefix + name: tensor for name, tensor in state.items()}


def renamed(outputs: int = 3) -> dict[str, Tensor]:
    """The same tensors under other names, as in files that count no batches."""
    kept = [tensor for name, tensor in changed(outputs).items() if not name.endswith("tracked")]
    return dict(zip("abcdefgh", kept, strict=True))


def sevens(model: nn.Module) -> set[str]:
    """Names of what was loaded."""
    return {name for name, tensor in model.state_dict().items() if bool((tensor == 7).all())}


def test_all_of_the_same_network() -> None:
    model = Net()
    table = load_into(model, changed(), "file")
    assert sevens(model) == set(model.state_dict()) == set(table.loaded)
    assert table.sentence() == "9 of 9 tensors from file"
    assert not table.new and not table.unused


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "module._orig_mod.", "model.backbone.", "net."])
def test_wrappers_and_a_common_prefix_are_taken_off(prefix: str) -> None:
    model = Net()
    table = load_into(model, prefixed(changed(), prefix), "file")
    assert sevens(model) == set(model.state_dict())
    assert not table.new and not table.unused


def test_a_whole_network_goes_into_one_that_holds_it() -> None:
    holder = nn.ModuleDict({"encoder": Net(), "decoder": nn.Linear(3, 1)})
    table = load_into(holder, changed(), "file")
    assert sevens(holder.encoder) == set(holder.encoder.state_dict())
    assert set(table.new) == {"decoder.weight", "decoder.bias"}
    assert table.new["decoder.bias"] == "not there"


def test_another_number_of_classes_leaves_the_head_new_and_says_both_sizes() -> None:
    model = Net(outputs=5)
    before = model.head.weight.clone()
    table = load_into(model, changed(outputs=3), "file")
    assert torch.equal(model.head.weight, before)
    assert table.new == {"head.weight": "3×4 there, 5×4 here", "head.bias": "3 there, 5 here"}
    assert table.unused == {"head.weight": "another shape", "head.bias": "another shape"}
    assert "new: head.weight, head.bias" in table.sentence()


def test_what_the_model_has_not_is_told() -> None:
    table = load_into(Net(), changed() | {"extra.weight": torch.zeros(2)}, "file")
    assert table.unused == {"extra.weight": "no such name"}


def test_filters_over_colours_serve_grey_images_added_up() -> None:
    model = Net(channels=1)
    table = load_into(model, changed(), "file")
    assert bool((model.body[0].weight == 21).all())
    assert table.loaded["body.0.weight"] == "added up over colours"


def test_other_names_in_the_same_order_are_taken_one_after_another() -> None:
    model = Net()
    table = load_into(model, renamed(), "file")
    assert {"body.0.weight", "head.bias"} <= sevens(model)
    assert table.loaded["body.0.weight"] == "was a"


def test_other_names_and_another_head_are_still_taken() -> None:
    table = load_into(Net(), renamed(outputs=9), "file")
    assert table.loaded["body.0.weight"] == "was a"
    assert set(table.new) == {"head.weight", "head.bias"}


def test_old_files_without_counters_are_whole() -> None:
    given = {name: t for name, t in changed().items() if not name.endswith("num_batches_tracked")}
    table = load_into(Net(), given, "file")
    assert not table.new and not table.unused


def test_nothing_that_fits_is_an_error_that_names_both_sides() -> None:
    with pytest.raises(
        UserError, match=r"nothing in file fits .* holds x; the model has body.0.weight"
    ) as error:
        load_into(Net(), {"x": torch.zeros(1)}, "file")
    assert len(error.value.lines) == 1


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_numbers_that_are_not_finite_are_refused(value: float) -> None:
    given = changed()
    given["head.bias"][0] = value
    with pytest.raises(UserError, match=r"not finite, in head\.bias"):
        load_into(Net(), given, "file")


def test_half_precision_is_converted() -> None:
    model = Net()
    load_into(model, {name: tensor.half() for name, tensor in changed().items()}, "file")
    assert model.head.weight.dtype == torch.float32
    assert sevens(model) == set(model.state_dict())


def test_names_made_to_disturb_a_terminal_are_made_visible() -> None:
    table = load_into(Net(), changed() | {"\x1b[2J" + "a" * 500: torch.zeros(1)}, "file")
    (name,) = table.unused
    assert "\x1b" not in name and len(name) < 130


def test_a_name_of_many_parts_costs_no_time() -> None:
    given = changed() | {"a." * 20_000 + str(n): torch.zeros(1) for n in range(50)}
    assert not load_into(Net(), given, "file").new


def test_the_table_survives_json() -> None:
    table = load_into(Net(outputs=5), changed(), "file")
    assert Loaded.from_dict(table.to_dict()) == table

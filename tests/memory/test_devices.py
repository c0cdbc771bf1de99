"""Devices and the number formats chosen on them."""

from __future__ import annotations

import itertools
from typing import get_args

import pytest
import torch

from engine.errors import InputError
from engine.memory.devices import DTYPES, DeviceInfo, choose_dtype, probe_device
from engine.weights.recipe import Part

CPU = DeviceInfo("cpu", "cpu", 8 << 30)
CPU_BF16 = DeviceInfo("cpu", "cpu_bf16", 8 << 30)
CUDA = DeviceInfo("cuda:0", "cuda", 8 << 30)
LARGE = 2 << 30


def test_this_machine() -> None:
    device = probe_device("cpu")
    assert device.device == torch.device("cpu")
    assert device.kind in ("cpu", "cpu_bf16")
    assert device.total_bytes > 1 << 28
    assert probe_device("cpu") is device  # looked at once
    assert probe_device("auto").name


@pytest.mark.parametrize("name", ["cuda:99", "cpu:1", "mps:3", "tpu", "cuda:x", "", "cuda:-1"])
def test_devices_that_are_not_there(name: str) -> None:
    with pytest.raises(InputError, match="is not there") as caught:
        probe_device(name)
    assert "cpu" in str(caught.value.problem.expected)


def test_no_float16_on_a_cpu() -> None:
    for device, part in itertools.product((CPU, CPU_BF16), ("diffusion", "text", "vae")):
        for wanted in ("auto", "float16"):
            assert choose_dtype(device, part, wanted, LARGE) != torch.float16


def test_table_has_a_row_for_every_kind_and_part() -> None:
    assert all(set(row) == set(get_args(Part)) for row in DTYPES.values())
    assert choose_dtype(CPU, "diffusion", "auto", LARGE) == torch.float32
    assert choose_dtype(CPU_BF16, "diffusion", "auto", LARGE) == torch.bfloat16
    assert choose_dtype(CUDA, "diffusion", "auto", LARGE) == torch.float16
    assert choose_dtype(CUDA, "vae", "auto", LARGE) != torch.float16  # some autoencoders overflow


def test_wishes_are_obeyed() -> None:
    assert choose_dtype(CPU, "diffusion", "bfloat16", LARGE) == torch.bfloat16
    assert choose_dtype(CUDA, "text", "float32", LARGE) == torch.float32
    assert choose_dtype(CUDA, "vae", "float16", LARGE) == torch.float16


def test_small_models_stay_exact_on_a_cpu() -> None:
    assert choose_dtype(CPU_BF16, "diffusion", "auto", 20 << 20) == torch.float32
    assert choose_dtype(CUDA, "diffusion", "auto", 20 << 20) == torch.float16

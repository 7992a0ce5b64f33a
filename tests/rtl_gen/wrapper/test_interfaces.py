"""The register map is sound, and its C header, its Python class and its page say the same."""

from __future__ import annotations

import ctypes
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from rtl_gen.manifest import InputPort, Manifest, OutputPort, Sources
from rtl_gen.prediction import Prediction
from rtl_gen.wrapper.interfaces import c_header, python_class, register_page
from rtl_gen.wrapper.registers import ADDRESS_BITS, REGISTERS, constants


def manifest(name: str = "net */ \n one") -> Manifest:
    return Manifest(
        version=2,
        name=name,
        top="qtt_top",
        sources=Sources.made({"simulation": ("design.v",)}),
        model="model.qtt",
        digest="0123456789abcdef" * 4,
        plan="plan.json",
        input=InputPort(lanes=3, lane_bits=4, signed=True, words=6),
        output=OutputPort(value_bits=17, words=3),
        predicted=Prediction(ends=(8,), intervals=(9,)),
    )


def test_registers_and_fields_lie_apart() -> None:
    offsets = [register.offset for register in REGISTERS]
    assert offsets == sorted(set(offsets)) and all(offset % 4 == 0 for offset in offsets)
    assert max(offsets) + 4 <= 1 << ADDRESS_BITS
    for register in REGISTERS:
        assert re.fullmatch(r"[A-Z][A-Z0-9_]*", register.name)
        top = 0
        for field in register.fields:
            assert field.low >= top and field.low + field.bits <= 32, register.name
            top = field.low + field.bits
    assert len({register.name for register in REGISTERS}) == len(REGISTERS)


def registers(memory: dict[int, int]) -> Any:
    namespace: dict[str, Any] = {}
    exec(python_class(manifest()), namespace)
    return namespace["Registers"](lambda offset: memory.get(offset, 0), memory.__setitem__)


def test_the_python_class() -> None:
    fixed = constants(manifest())
    memory = {register.offset: fixed.get(register.name, 0) for register in REGISTERS}
    found = registers(memory)
    found.check()
    assert found.digest == manifest().digest and found.version[0] == 0
    assert (found.INPUT_BYTES_IS, found.OUTPUT_BYTES_IS) == (2, 3)
    memory[found.ERRORS] = found.ERRORS_LATE
    assert found.errors == ["late"] and not found.busy
    found.control(free_run=False, batches=True)
    assert memory[found.CONTROL] == found.CONTROL_BATCHES
    memory[found.DIGEST7] ^= 1
    with pytest.raises(ValueError, match="the block holds the model 0123456789ab, this file is of 0123456789ab"):
        found.check()
    memory[found.ID] = 0
    with pytest.raises(ValueError, match="there is no such block at this address"):
        found.check()


def test_the_c_header_compiles_as_c_and_c_plus_plus_and_says_the_same(tmp_path: Path) -> None:
    (tmp_path / "qtt_registers.h").write_text(c_header(manifest()))
    calls = "int check(void *base) { return qtt_check(base); }\nvoid start(void *base) { qtt_start(base, 3); }\n"
    free = "void free_run(void *base, int on) { qtt_free_run(base, on); }\n"
    (tmp_path / "use.c").write_text(f'#include "qtt_registers.h"\n{calls}{free}')
    strict = ["-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-o", "use.so"]
    subprocess.run(["g++", "-x", "c++", *strict, "use.c"], cwd=tmp_path, check=True)
    subprocess.run(["g++", "-x", "c", "-std=c99", *strict, "use.c"], cwd=tmp_path, check=True)
    library = ctypes.CDLL(str(tmp_path / "use.so"))
    memory = (ctypes.c_uint32 * 64)()
    assert library.check(memory) == -1
    for name, value in constants(manifest()).items():
        memory[next(register.offset for register in REGISTERS if register.name == name) // 4] = value
    assert library.check(memory) == 0
    python = registers({})
    library.start(memory)
    assert memory[python.START // 4] == 3
    library.free_run(memory, 1)
    assert memory[python.CONTROL // 4] == python.CONTROL_FREE_RUN
    memory[python.DIGEST3 // 4] ^= 1
    assert library.check(memory) == -1
    for name, value in re.findall(r"#define QTT_(\w+) (0x[0-9a-f]+)u", c_header(manifest())):
        assert getattr(python, name) == int(value, 16), name


def test_the_page_has_every_register() -> None:
    page = register_page(manifest())
    for register in REGISTERS:
        assert f"| 0x{register.offset:02x} | `{register.name}` |" in page
    assert "| `DIGEST1` | 0x89abcdef |" in page

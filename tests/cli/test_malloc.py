import ctypes
import platform
import subprocess
import sys

import pytest

from clothing_lightning.cli import malloc as memory
from clothing_lightning.cli.malloc import keep_freed_memory

GLIBC = sys.platform.startswith("linux") and "glibc" in platform.libc_ver()
PROGRAM = """
import ctypes, resource, sys
from clothing_lightning.cli.malloc import keep_freed_memory

libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
if "keep" in sys.argv:
    assert keep_freed_memory()

def use():
    block = ctypes.c_void_p(libc.malloc(ctypes.c_size_t(64 << 20)))
    ctypes.memset(block, 1, 64 << 20)
    libc.free(block)

use()
before = resource.getrusage(resource.RUSAGE_SELF)
for _ in range(10):
    use()
after = resource.getrusage(resource.RUSAGE_SELF)
print(after.ru_minflt - before.ru_minflt, after.ru_maxrss // 1024)
"""


def faults_and_peak_mb(*words: str) -> list[int]:
    """Page faults of ten uses of a 64 MiB block after the first, and peak memory."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *words],
        capture_output=True,
        text=True,
        check=True,
    )
    return [int(word) for word in done.stdout.split()]


@pytest.mark.skipif(not GLIBC, reason="only glibc has these thresholds")
def test_freed_blocks_are_not_faulted_in_again() -> None:
    faults, peak_mb = faults_and_peak_mb()
    fewer, peak_kept_mb = faults_and_peak_mb("keep")
    assert faults > 10 * 16  # 64 MiB, even if its pages had 4 MiB each
    assert fewer < 10
    assert peak_kept_mb < peak_mb + 16  # it costs no more than the highest use


@pytest.mark.skipif(not GLIBC, reason="only glibc has these thresholds")
def test_older_glibc_is_told_to_map_no_block(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[int, int]] = []

    class OldLibrary:
        def mallopt(self, option: int, value: int) -> int:
            told.append((option, value))
            return int(option != memory.M_MMAP_THRESHOLD or value <= 32 << 20)

    monkeypatch.setattr(ctypes, "CDLL", lambda name: OldLibrary())
    assert keep_freed_memory()
    assert (memory.M_MMAP_MAX, 0) in told
    assert (memory.M_TRIM_THRESHOLD, memory.TRIM_THRESHOLD_BYTES) in told


@pytest.mark.parametrize("system", ["darwin", "win32"])
def test_other_systems_are_left_alone(
    system: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", system)
    monkeypatch.setattr(ctypes, "CDLL", lambda name: pytest.fail("called"))
    assert not keep_freed_memory()


def test_other_libraries_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise OSError(name)

    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(ctypes, "CDLL", missing)
    assert not keep_freed_memory()

"""What `make memcheck` takes from valgrind's output, and that it says so where a tool is missing."""

import shutil

from tests import arm, memcheck

OUTPUT = """
tests/kernels/test_a.py::test_x[a b-1] PASSED                            [ 10%]
tests/kernels/test_a.py::test_y[(3, 3)-float32] ==12== Invalid write of size 8
==12==    at 0x26984780: ???
==12==    by 0x1D55C03F: ???
==12==  Address 0x257691f0 is 0 bytes after a block of size 9,504 alloc'd
==12==    at 0x48417B4: malloc (in /usr/libexec/valgrind/vgpreload_memcheck-amd64-linux.so)
==12==
==12== Invalid read of size 16
==12==    at 0x48417B4: memcpy (vg_replace_strmem.c:1121)
==12==    by 0x1D55C03F: ???
==12==  Address 0x0 is not stack'd, malloc'd or (recently) free'd
==12==
==12== Invalid read of size 8
==12==    at 0x4023C6C: strncmp (strcmp-sse2.S:160)
==12==    by 0x4004BEE: is_dst (dl-load.c:216)
==12==  Address 0x6a99861 is 1 bytes inside a block of size 8 alloc'd
==12==
==12== Invalid read of size 8
==12==    at 0x4023C6C: ??? (in /usr/lib/libstripped.so)
==12==  Address 0x6a99861 is 1 bytes inside a block of size 8 alloc'd
PASSED                                                                   [ 20%]
"""


def test_errors_of_compiled_code_are_found_with_their_test():
    found = memcheck.invalid(OUTPUT)
    assert {test for test, _ in found} == {"tests/kernels/test_a.py::test_y[(3, 3)-float32]"}
    assert [error.partition(";")[0] for _, error in found] == ["Invalid write of size 8", "Invalid read of size 16"]
    assert "0 bytes after a block of size 9,504" in found[0][1]


def test_a_missing_tool_is_named(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(shutil, "which", lambda *args, **options: None)
    assert memcheck.main([]) == 0
    assert "skipped: valgrind is not installed" in capsys.readouterr().out
    monkeypatch.setattr(arm, "FOLDER", tmp_path)
    assert arm.main([]) == 0
    assert "skipped: the tests on ARM64 cannot run here: apt-get and dpkg are needed" in capsys.readouterr().out

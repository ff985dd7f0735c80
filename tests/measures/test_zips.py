"""Zip files: the same files give the same bytes, and a hostile zip writes nothing outside its folder."""

from __future__ import annotations

import io
import stat
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.core.base.errors import BundleError
from stages.core.measures.kept_masks import zips
from stages.core.measures.kept_masks.zips import pack, unpack

NAMES = st.from_regex(r"[a-z]{1,5}(/[a-z]{1,5}){0,2}\.x", fullmatch=True)


def write(path: Path, members: dict[str, bytes], *, mode: int = 0, method: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in members.items():
            info = zipfile.ZipInfo(name)
            info.compress_type, info.external_attr = method, mode << 16
            archive.writestr(info, content)
    return path


def refused(path: Path, folder: Path) -> str:
    folder.mkdir(exist_ok=True)
    with pytest.raises(BundleError) as error:
        unpack(path, folder, most_bytes=1000)
    assert not list(folder.rglob("*"))
    return str(error.value)


@given(files=st.dictionaries(NAMES, st.binary(max_size=50), max_size=6))
def test_a_packed_zip_unpacks_to_the_same_files_whatever_their_order_and_date(
    files: dict[str, bytes], tmp_path_factory: pytest.TempPathFactory
) -> None:
    top = tmp_path_factory.mktemp("zip")
    sources = {}
    for number, (name, content) in enumerate(files.items()):
        sources[name] = top / str(number)
        sources[name].write_bytes(content)
    pack(top / "one.zip", sources)
    pack(top / "two.zip", dict(reversed(list(sources.items()))))
    assert (top / "one.zip").read_bytes() == (top / "two.zip").read_bytes()
    (top / "out").mkdir()
    assert unpack(top / "one.zip", top / "out", most_bytes=1000) == sorted(files)
    assert {name: (top / "out" / name).read_bytes() for name in files} == files


@pytest.mark.parametrize("name", ["../x", "a/../../x", "/etc/x", "C:/x", "a\\..\\x", ""])
def test_no_name_leads_out(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / "z.zip", {"good.x": b"1", name: b"2"})
    assert "leads out of the zip" in refused(path, tmp_path / "out")


def test_no_link_and_no_folder(tmp_path: Path) -> None:
    link = write(tmp_path / "z.zip", {"a.x": b"/etc/passwd"}, mode=stat.S_IFLNK | 0o777)
    assert "is a link or folder" in refused(link, tmp_path / "out")
    assert "is a link or folder" in refused(write(tmp_path / "y.zip", {"a/": b""}), tmp_path / "out")


def test_a_bomb_is_not_unpacked(tmp_path: Path) -> None:
    bomb = write(tmp_path / "z.zip", {"a.x": bytes(100_000)}, method=zipfile.ZIP_DEFLATED)
    assert bomb.stat().st_size < 1000
    assert "holds 100000 bytes; at most 1000" in refused(bomb, tmp_path / "out")


def test_a_member_with_a_false_size_is_read_up_to_that_size_only(tmp_path: Path) -> None:
    """The table of contents says 10 bytes where 100,000 come: no more than 10 are ever written."""
    path = write(tmp_path / "z.zip", {"a.x": bytes(100_000)}, method=zipfile.ZIP_DEFLATED)
    content = bytearray(path.read_bytes())
    for mark, offset in ((b"PK\x01\x02", 24), (b"PK\x03\x04", 22)):
        where = content.index(mark) + offset
        content[where : where + 4] = (10).to_bytes(4, "little")
    path.write_bytes(bytes(content))
    (tmp_path / "out").mkdir()
    with pytest.raises(BundleError, match="cannot be read as a zip"):
        unpack(path, tmp_path / "out", most_bytes=1000)
    assert sum(one.stat().st_size for one in (tmp_path / "out").rglob("*")) <= 10


def test_names_twice_and_too_many_members(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("a.x", b"1")
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("a.x", b"2")
    (tmp_path / "z.zip").write_bytes(stream.getvalue())
    assert "each name once" in refused(tmp_path / "z.zip", tmp_path / "out")
    monkeypatch.setattr(zips, "MOST_MEMBERS", 1)
    assert "at most 1" in refused(write(tmp_path / "y.zip", {"a.x": b"", "b.x": b""}), tmp_path / "out")


def test_a_damaged_or_unusual_packing_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "z.zip", {"a.x": b"a" * 500}, method=zipfile.ZIP_DEFLATED)
    content = bytearray(path.read_bytes())
    start = 30 + len("a.x")
    content[start : start + 4] = b"\xff" * 4
    path.write_bytes(bytes(content))
    (tmp_path / "out").mkdir()
    with pytest.raises(BundleError, match="cannot be read as a zip"):
        unpack(path, tmp_path / "out", most_bytes=1000)
    packed = write(tmp_path / "y.zip", {"a.x": b"a" * 500}, method=zipfile.ZIP_LZMA)
    assert "packed or encrypted member" in refused(packed, tmp_path / "other")


def test_a_file_that_is_not_a_zip_is_refused(tmp_path: Path) -> None:
    (tmp_path / "z.zip").write_bytes(b"PK no zip")
    assert "z.zip cannot be read as a zip" in refused(tmp_path / "z.zip", tmp_path / "out")

import subprocess
import sys
import tomllib
import zipfile
from importlib import metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = ("schemas", "models", "streams", "simulation", "bench")
#: Needs data sets and packages nobody has who only installs needstream.
NOT_SHIPPED = (Path("bench/quality"), Path("bench/results"))
SETUPTOOLS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]


@pytest.fixture(scope="module")
def wheel_paths(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """The paths inside the wheel that pip builds from this tree, without asking an index."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    source.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE", *FOLDERS):
        # A link, not a copy: setuptools leaves its build folder beside pyproject.toml.
        (source / name).symlink_to(ROOT / name)
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-index", "--no-build-isolation"]
    subprocess.run([*build, "--wheel-dir", str(folder), str(source)], check=True)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def test_the_packages_are_the_folders_that_hold_an_init() -> None:
    folders = {path.parent.relative_to(ROOT) for top in FOLDERS for path in (ROOT / top).rglob("__init__.py")}
    shipped = folders - set(NOT_SHIPPED)

    assert sorted(".".join(("needstream", *folder.parts)) for folder in shipped) == sorted(SETUPTOOLS["packages"])


def test_needstream_is_a_namespace_without_an_init_of_its_own() -> None:
    assert {f"needstream.{folder}": folder for folder in FOLDERS} == SETUPTOOLS["package-dir"]


def test_the_type_checkers_see_every_package() -> None:
    links = {link.name: link.readlink() for link in (ROOT / "tests/typing/needstream").iterdir()}

    assert {folder: Path("../../..") / folder for folder in FOLDERS} == links


def test_the_wheel_holds_needstream_and_nothing_else(wheel_paths: set[str]) -> None:
    tops = {path.split("/")[0] for path in wheel_paths}

    assert {"needstream", f"needstream-{metadata.version('needstream')}.dist-info"} == tops


def test_the_wheel_holds_every_module_and_every_definition(wheel_paths: set[str]) -> None:
    shipped = {
        f"needstream/{path.relative_to(ROOT).as_posix()}"
        for folder in FOLDERS
        for path in (ROOT / folder).rglob("*")
        if path.suffix in {".py", ".typed", ".yaml", ".json"} and path.relative_to(ROOT).parent not in NOT_SHIPPED
    }

    assert set() == shipped - wheel_paths

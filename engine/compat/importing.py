"""Importing the code of packs: their modules, the names they expect, and never a stale or planted byte code file.

Nothing here touches the import system of Python before `install` is called for the first pack.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.machinery
import importlib.util
import sys
import types
from collections.abc import Callable, Iterator, Sequence
from importlib.abc import Loader, MetaPathFinder
from pathlib import Path
from typing import Any

from engine.compat.calling import who_asks
from engine.compat.host import HOST
from engine.compat.shims import MODULES, TOP_LEVEL

PARENT = "custom_nodes"
"""The package that packs are modules of. It is empty: only packs that were loaded can be imported from it."""


class SourceLoader(importlib.machinery.SourceFileLoader):
    """Compiles the source each time: byte code beside it is no part of what the user approved."""

    def get_code(self, fullname: str) -> types.CodeType:
        """Compile the source of ``fullname``."""
        path = self.get_filename(fullname)
        code: types.CodeType = self.source_to_code(self.get_data(path), path)
        return code


class ShimFinder(MetaPathFinder):
    """Finds the modules of `engine.compat.shims` under the names that packs import them by."""

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> importlib.machinery.ModuleSpec | None:
        """Return the module called ``fullname``. Raises `ModuleNotFoundError` for a part that is not offered."""
        if fullname.partition(".")[0] not in TOP_LEVEL:
            return None
        home = MODULES.get(fullname)
        if home is None:
            raise ModuleNotFoundError(
                f"{who_asks()} asks for the module {fullname!r}, which Safelight does not offer", name=fullname
            )
        is_package = home.endswith(".empty_package") or any(name.startswith(f"{fullname}.") for name in MODULES)
        return importlib.machinery.ModuleSpec(fullname, _ShimLoader(home), is_package=is_package)


class _ShimLoader(Loader):
    def __init__(self, home: str) -> None:
        self._home = home

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> types.ModuleType:
        return ShimModule(spec.name, importlib.import_module(self._home))

    def exec_module(self, module: types.ModuleType) -> None:
        """Do nothing: the module stands for one that is complete."""


class ShimModule(types.ModuleType):
    """Stands, under the name that packs use, for a module of ours; says so where a name is missing."""

    def __init__(self, name: str, home: types.ModuleType) -> None:
        super().__init__(name, home.__doc__)
        self.__dict__["_home"] = home

    def __getattr__(self, name: str) -> Any:
        home = self.__dict__["_home"]
        if name == "__file__":  # packs look for folders beside it
            return str(HOST.folders.base.joinpath(*self.__name__.split(".")).with_suffix(".py"))
        if f"{self.__name__}.{name}" in MODULES:  # packs count on others having imported it
            return importlib.import_module(f"{self.__name__}.{name}")
        try:
            return getattr(home, name)
        except AttributeError:
            pass
        if name == "__all__":  # for `from … import *`
            return [one for one in dir(home) if not one.startswith("_")]
        if name.startswith("__"):
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        raise AttributeError(
            f"{who_asks()} asks for {self.__name__}.{name}, which Safelight does not offer",
            name=name,
            obj=self,
        )

    def __dir__(self) -> list[str]:
        return sorted({*self.__dict__, *dir(self.__dict__["_home"])})


def install(roots: Sequence[Path]) -> None:
    """Make the names that packs expect importable, and code below ``roots`` load from its source alone."""
    if not any(isinstance(one, ShimFinder) for one in sys.meta_path):
        sys.meta_path.insert(0, ShimFinder())
    parent = sys.modules.get(PARENT)
    if not isinstance(parent, types.ModuleType) or getattr(parent, "__path__", None) != []:
        parent = types.ModuleType(PARENT, "Node packs.")
        parent.__path__ = []
        sys.modules[PARENT] = parent
    for root in roots:
        if not any(getattr(hook, "pack_root", None) == str(root) for hook in sys.path_hooks):
            sys.path_hooks.insert(0, _hook(str(root)))
            for entry in [one for one in sys.path_importer_cache if _is_below(one, str(root))]:
                del sys.path_importer_cache[entry]
    _offer_native_names()


def _hook(root: str) -> Callable[[str], Any]:
    """Return a hook for `sys.path_hooks` that takes the folders below ``root``."""
    details = (
        (importlib.machinery.ExtensionFileLoader, importlib.machinery.EXTENSION_SUFFIXES),
        (SourceLoader, importlib.machinery.SOURCE_SUFFIXES),
        (importlib.machinery.SourcelessFileLoader, importlib.machinery.BYTECODE_SUFFIXES),
    )

    def hook(path: str) -> Any:
        if not _is_below(path, root):
            raise ImportError(f"{path} is not below {root}", path=path)
        return importlib.machinery.FileFinder(path, *details)

    hook.pack_root = root  # type: ignore[attr-defined]
    return hook


def _is_below(path: str, root: str) -> bool:
    return path == root or path.startswith(root + "/") or path.startswith(root + "\\")


def _offer_native_names() -> None:
    """Let the package of the built-in nodes answer for the names that packs ask of a module called ``nodes``."""
    package = importlib.import_module("nodes")
    if "__getattr__" in vars(package):
        return

    def missing(name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(f"module 'nodes' has no attribute {name!r}")
        found = getattr(importlib.import_module("engine.compat.shims.native_classes"), name, missing)
        if found is missing:
            raise AttributeError(f"{who_asks()} asks for nodes.{name}, which Safelight does not offer", name=name)
        return found

    vars(package)["__getattr__"] = missing


def import_code(name: str, path: Path) -> types.ModuleType:
    """Import a pack (a folder with ``__init__.py``, or a file) as module ``name``. Raises whatever its code raises."""
    file = path / "__init__.py" if path.is_dir() else path
    spec = importlib.util.spec_from_file_location(
        name,
        file,
        loader=SourceLoader(name, str(file)),
        submodule_search_locations=[str(path)] if path.is_dir() else None,
    )
    if spec is None or spec.loader is None:
        raise ImportError(f"{file.name} is no Python module", name=name, path=str(file))
    forget(name)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    with _dropped_on_failure(name):
        spec.loader.exec_module(module)
    return sys.modules.get(name, module)


@contextlib.contextmanager
def _dropped_on_failure(name: str) -> Iterator[None]:
    try:
        yield
    except BaseException:
        forget(name)
        raise


def forget(name: str) -> None:
    """Drop a module and all below it, so that it is imported anew."""
    for one in [one for one in sys.modules if one == name or one.startswith(f"{name}.")]:
        del sys.modules[one]

"""``folder_paths``: where files are, over `engine.paths`.

`folder_names_and_paths` can be changed by packs, as they expect: what they add counts for this module alone. The
engine's own loaders look where the settings say.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, MutableMapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from engine.compat.host import HOST
from engine.errors import PathError
from engine.paths import WEIGHT_SUFFIXES, Folders, check_name, next_output_names
from engine.paths.folders import ALIASES, OTHER_SUFFIXES

Entry = tuple[list[str], set[str]]

supported_pt_extensions: set[str] = set(WEIGHT_SUFFIXES)
extension_mimetypes_cache: dict[str, str] = {"webp": "image"}


class FolderTable(MutableMapping[str, Entry]):
    """Maps keys to (directories, endings): those of the engine, and what packs added or changed."""

    def __init__(self) -> None:
        self._entries: dict[tuple[str, str], Entry] = {}

    def __getitem__(self, key: str) -> Entry:
        key = ALIASES.get(key, key)
        folders = HOST.folders
        place = (str(folders.base), key)
        if place not in self._entries:
            if key == "custom_nodes":
                self._entries[place] = ([str(root) for root in folders.pack_roots], set())
            elif key in folders.model_keys():
                suffixes = set(OTHER_SUFFIXES.get(key, WEIGHT_SUFFIXES))
                self._entries[place] = ([str(path) for path in folders.directories(key)], suffixes)
            else:
                raise KeyError(key)
        return self._entries[place]

    def __setitem__(self, key: str, value: Sequence[Any]) -> None:
        paths, suffixes = list(value[0]), set(value[1]) if len(value) > 1 else set()
        self._entries[str(HOST.folders.base), ALIASES.get(key, key)] = ([str(path) for path in paths], suffixes)

    def __delitem__(self, key: str) -> None:
        del self._entries[str(HOST.folders.base), ALIASES.get(key, key)]

    def __iter__(self) -> Iterator[str]:
        base = str(HOST.folders.base)
        added = (key for place, key in self._entries if place == base)
        return iter(dict.fromkeys([*HOST.folders.model_keys(), "custom_nodes", *added]))

    def __len__(self) -> int:
        return len(list(iter(self)))


# Packs add their own folders here while they are imported, and expect to find them for as long as the process lives.
folder_names_and_paths = FolderTable()


def __getattr__(name: str) -> Any:
    match name:
        case "base_path":
            return str(HOST.folders.base)
        case "models_dir":
            return str(HOST.folders.base / "models")
        case "output_directory" | "input_directory" | "temp_directory" | "user_directory":
            return _user_folder(name.removesuffix("_directory"))
        case "filename_list_cache":
            return {}
    raise AttributeError(f"module 'folder_paths' has no attribute {name!r}")


def map_legacy(folder_name: str) -> str:
    """Return the present name of a folder key (``unet`` is ``diffusion_models``)."""
    return ALIASES.get(folder_name, folder_name)


def _user_folder(key: str) -> str:
    return str(HOST.folders.directories(key)[0])


def get_output_directory() -> str:
    """Return the folder that pictures are saved in."""
    return _user_folder("output")


def get_input_directory() -> str:
    """Return the folder that pictures are loaded from."""
    return _user_folder("input")


def get_temp_directory() -> str:
    """Return the folder of previews."""
    return _user_folder("temp")


def get_user_directory() -> str:
    """Return the folder of the user's own files."""
    return _user_folder("user")


def get_system_user_directory(name: str = "system") -> str:
    """Return the folder of what the engine keeps for itself; no user's name leads there."""
    return str(Path(_user_folder("user")) / f"__{name}")


def get_public_user_directory(user_id: str) -> str | None:
    """Return the folder of one user's files; None for a name that is kept for the engine."""
    return None if user_id.startswith("__") else str(Path(_user_folder("user")).joinpath(*check_name(user_id)))


def get_input_subfolders() -> list[str]:
    """List the folders below the input folder, with ``/``."""
    root = Path(get_input_directory())
    return sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_dir())


def get_directory_by_type(type_name: str) -> str | None:
    """Return the folder called ``output``, ``temp`` or ``input``, or None."""
    return _user_folder(type_name) if type_name in ("output", "temp", "input") else None


def get_folder_paths(folder_name: str) -> list[str]:
    """Return the directories of a model folder. Raises `KeyError` for one that is not known."""
    return folder_names_and_paths[folder_name][0][:]


def add_model_folder_path(folder_name: str, full_folder_path: str, is_default: bool = False) -> None:
    """Add a directory to a model folder, or a new model folder."""
    folder_name = map_legacy(folder_name)
    if folder_name not in folder_names_and_paths:
        folder_names_and_paths[folder_name] = ([], set())
    paths = folder_names_and_paths[folder_name][0]
    full_folder_path = str(full_folder_path)
    if full_folder_path in paths:
        paths.remove(full_folder_path)
    paths.insert(0 if is_default else len(paths), full_folder_path)


def recursive_search(
    directory: str, excluded_dir_names: Iterable[str] | None = None
) -> tuple[list[str], dict[str, float]]:
    """List the files below a directory, relative to it, and the times its folders changed."""
    excluded = set(excluded_dir_names or ())
    files: list[str] = []
    times: dict[str, float] = {}
    for place, folders, names in os.walk(directory, followlinks=True):
        folders[:] = [one for one in folders if one not in excluded and not one.startswith(".")]
        times[place] = Path(place).stat().st_mtime
        files += [os.path.relpath(os.path.join(place, name), directory) for name in names]  # noqa: PTH118
    return files, times


def filter_files_extensions(files: Iterable[str], extensions: Iterable[str]) -> list[str]:
    """Return the files with one of the endings, sorted; all of them where no ending is given."""
    wanted = {one.lower() for one in extensions}
    return sorted(name for name in files if not wanted or os.path.splitext(name)[1].lower() in wanted)  # noqa: PTH122


def filter_files_content_types(files: Iterable[str], content_types: Iterable[str]) -> list[str]:
    """Return the files whose kind (``image``, ``video``, ``audio``, ``model``) is one of those wanted."""
    import mimetypes

    wanted = set(content_types)

    def kind(name: str) -> str | None:
        ending = name.rsplit(".", 1)[-1].lower()
        if ending in extension_mimetypes_cache:
            return extension_mimetypes_cache[ending]
        if ending in ("gltf", "glb", "obj", "fbx", "stl"):
            return "model"
        guessed = mimetypes.guess_type(name, strict=False)[0]
        return guessed.split("/")[0] if guessed else None

    return [name for name in files if kind(name) in wanted]


def get_filename_list(folder_name: str) -> list[str]:
    """List the files of a model folder, in all its directories."""
    paths, suffixes = folder_names_and_paths[folder_name]
    key = map_legacy(folder_name)
    folders = HOST.folders
    if key in folders.model_keys() and paths == [str(path) for path in folders.directories(key)]:
        return [name.replace("/", os.sep) for name in folders.list_files(key)]
    found: set[str] = set()
    for path in paths:
        found.update(filter_files_extensions(recursive_search(path, [".git"])[0], suffixes))
    return sorted(found)


def get_full_path(folder_name: str, filename: str) -> str | None:
    """Return the path of a file of a model folder, or None. A name that leads outside its folder names nothing."""
    if folder_name not in folder_names_and_paths:
        return None
    try:
        parts = check_name(str(filename).replace("\\", "/"))
    except PathError:
        return None
    for directory in folder_names_and_paths[folder_name][0]:
        path = Path(directory).joinpath(*parts)
        if path.is_file():
            return str(path)
    return None


def get_full_path_or_raise(folder_name: str, filename: str) -> str:
    """Return the path of a file of a model folder. Raises `FileNotFoundError`."""
    path = get_full_path(folder_name, filename)
    if path is None:
        raise FileNotFoundError(f"there is no {filename!r} in the model folder {folder_name!r}")
    return path


def annotated_filepath(name: str) -> tuple[str, str | None]:
    """Split ``a.png [output]`` into the name and the directory it means; None where it says none."""
    for kind in ("output", "input", "temp"):
        if name.endswith(f"[{kind}]"):
            return name[: -len(kind) - 2].rstrip(), _user_folder(kind)
    return name, None


def get_annotated_filepath(name: str, default_dir: str | None = None) -> str:
    """Return the path that ``a.png [output]`` or ``a.png`` means. Raises `PathError` where it leads outside."""
    name, directory = annotated_filepath(name)
    root = Path(directory or default_dir or get_input_directory())
    path = root.joinpath(*check_name(name))
    if not path.resolve().is_relative_to(root.resolve()):
        raise PathError(f"the name {name!r} leads outside its folder", got=repr(name))
    return str(path)


def exists_annotated_filepath(name: str) -> bool:
    """Say whether the file that ``name`` means is there."""
    try:
        return Path(get_annotated_filepath(name)).exists()
    except PathError:
        return False


def get_save_image_path(
    filename_prefix: str, output_dir: str, image_width: int = 0, image_height: int = 0
) -> tuple[str, str, int, str, str]:
    """Return (directory, file name, next number, sub-folder, prefix) for saving, and make the directory.

    Raises `PathError` where the prefix leads outside ``output_dir``.
    """
    root = Path(output_dir)
    folders = Folders(root, MappingProxyType({"output": (root,)}))
    (name,) = next_output_names(
        folders, "output", filename_prefix, 1, suffix="", size=(int(image_width), int(image_height))
    )
    subfolder = name.subfolder.replace("/", os.sep)
    prefix = f"{subfolder}{os.sep}{name.stem}" if subfolder else name.stem
    return str(name.directory), name.stem, name.counter, subfolder, prefix

"""Where files are: the folders, the one resolver of users' names, and writing under new names without half a file."""

from engine.paths.folders import (
    MODEL_FOLDERS,
    SHORT_NAMES,
    USER_FOLDERS,
    WEIGHT_SUFFIXES,
    Folders,
    check_name,
    file_identity,
    make_folders,
    split_annotation,
)
from engine.paths.placing import new_path, path_below, replace_file
from engine.paths.writing import OutputName, next_output_names, output_error, write_new_file

__all__ = [
    "MODEL_FOLDERS",
    "SHORT_NAMES",
    "USER_FOLDERS",
    "WEIGHT_SUFFIXES",
    "Folders",
    "OutputName",
    "check_name",
    "file_identity",
    "make_folders",
    "new_path",
    "next_output_names",
    "output_error",
    "path_below",
    "replace_file",
    "split_annotation",
    "write_new_file",
]

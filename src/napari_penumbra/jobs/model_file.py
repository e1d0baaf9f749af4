"""A model as one file: a zip with ``model.json`` and ``weights.safetensors``, stored, nothing else, no code, no pickle.

What comes from a stranger is believed in nothing: names, sizes and numbers are checked before anything is written.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any

from napari_penumbra.domain.errors import ModelError
from napari_penumbra.domain.model import SUFFIX, ModelCard
from napari_penumbra.imaging.atomic import disk_error, replace_into

CARD, WEIGHTS = "model.json", "weights.safetensors"
MAX_CARD = 4 * 1024**2
"""Bytes; a card has some thousand, one with all case names of a large study some hundred thousand."""
MAX_WEIGHTS = 4 * 1024**3
"""Bytes; the largest preset has 0.2 GB."""
MAX_HEADER = 16 * 1024**2
_BLOCK = 1024**2
_DATE = (2000, 1, 1, 0, 0, 0)
_REMEDY = "Ask whoever sent it to export it again; nothing was taken from it."


def write_model_file(path: Path, card: ModelCard, weights: bytes) -> Path:
    """Write a model file, whole or not at all.

    Raises
    ------
    DiskError
        Disk full or not writable.
    """
    text = json.dumps(card.to_json(), indent=1, allow_nan=False, ensure_ascii=False)
    try:
        with replace_into(path) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as file:
            for name, data in ((CARD, text.encode()), (WEIGHTS, weights)):
                # A fixed time: the same model gives the same file, and nobody reads off it when a machine was on.
                file.writestr(zipfile.ZipInfo(name, _DATE), data)
    except OSError as error:
        raise disk_error(path, error) from error
    return path


@contextmanager
def opened_model_file(path: Path) -> Iterator[tuple[ModelCard, zipfile.ZipFile]]:
    """Open a model file after a look at all that can be wrong with it but the weights' own numbers.

    Raises
    ------
    ModelError
        It is not a whole file of this program and this version; the message says what is wrong.
    """
    with ExitStack() as stack:
        try:
            file = stack.enter_context(zipfile.ZipFile(path))
            _check_entries(file, path.name)
            with file.open(CARD) as stream:
                text = _at_most(stream, MAX_CARD, path.name).decode("utf-8")
        except FileNotFoundError as error:
            raise ModelError(f"There is no file {path.name}.", "Check its folder and its name.") from error
        except (zipfile.BadZipFile, zipfile.LargeZipFile, NotImplementedError, EOFError, RuntimeError) as error:
            raise ModelError(
                f"{path.name} is damaged, or not a model of this program.",
                f"Choose a file that ends in {SUFFIX}.",
                details=str(error),
            ) from error
        except UnicodeDecodeError as error:
            raise ModelError(f"The {CARD} in {path.name} cannot be read.", _REMEDY, repr(error)) from error
        except OSError as error:
            raise ModelError(
                f"{path.name} cannot be read.", "Check the disk and the permissions.", repr(error)
            ) from error
        try:
            data = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise ModelError(f"The {CARD} in {path.name} cannot be read.", _REMEDY, repr(error)) from error
        yield ModelCard.from_json(data, path.name), file


def unpack_weights(file: zipfile.ZipFile, card: ModelCard, target: Path, what: str) -> None:
    """Copy the weights out of a model file after a look at their header, and compare their digest with the card's.

    Raises
    ------
    ModelError
        They are not what the card says, or not safetensors.
    DiskError
        There is no room for them.
    """
    digest = hashlib.sha256()
    _check_header(file, what)
    with file.open(WEIGHTS) as stream, replace_into(target) as temporary:
        try:
            with temporary.open("wb") as out:
                while block := stream.read(_BLOCK):
                    digest.update(block)
                    out.write(block)
        except zipfile.BadZipFile as error:
            raise ModelError(f"The weights in {what} are damaged.", _REMEDY, str(error)) from error
        if digest.hexdigest() != card.digest:
            raise ModelError(f"The weights in {what} are not those that it was exported with.", _REMEDY)


def _check_entries(file: zipfile.ZipFile, what: str) -> None:
    entries = file.infolist()
    names = [entry.filename for entry in entries]
    for name in names:
        if names.count(name) > 1:
            raise ModelError(f"{what} holds {name[:80]} twice.", _REMEDY)
        if name.startswith(("/", "\\")) or ".." in name.replace("\\", "/").split("/") or ":" in name:
            raise ModelError(f"{what} would write outside of the study ({name[:80]}).", _REMEDY)
        if name not in (CARD, WEIGHTS):
            raise ModelError(f"{what} holds {name[:80]}, which does not belong into a model.", _REMEDY)
    for name, most in ((CARD, MAX_CARD), (WEIGHTS, MAX_WEIGHTS)):
        if name not in names:
            raise ModelError(f"{what} lacks its {name}.", _REMEDY)
        entry = file.getinfo(name)
        # Stored only: what cannot be inflated is no bomb.
        if entry.compress_type != zipfile.ZIP_STORED or entry.compress_size != entry.file_size:
            raise ModelError(f"{name} in {what} is compressed, as no model of this program is.", _REMEDY)
        if entry.flag_bits & 0x1:
            raise ModelError(f"{what} is encrypted.", "Ask for it without a password.")
        if entry.file_size > most:
            raise ModelError(f"{name} in {what} is larger than any model ({entry.file_size:,} bytes).", _REMEDY)


def _at_most(stream: IO[bytes], most: int, what: str) -> bytes:
    data = stream.read(most + 1)
    if len(data) > most:
        raise ModelError(f"{CARD} in {what} is larger than it says.", _REMEDY)
    return data


def _check_header(file: zipfile.ZipFile, what: str) -> None:
    """Refuse weights that are no tensors by their first bytes; their numbers are checked by the worker."""
    size = file.getinfo(WEIGHTS).file_size
    with file.open(WEIGHTS) as stream:
        length = int.from_bytes(stream.read(8), "little")
        header = stream.read(length) if 2 <= length <= min(MAX_HEADER, size - 8) else b""
    try:
        tensors = json.loads(header.decode("utf-8"))
        if not isinstance(tensors, dict) or not tensors:
            raise ValueError("no tensors")
    except (ValueError, RecursionError) as error:
        raise ModelError(
            f"The weights in {what} are not safetensors, the only kind that is read: other kinds can run code.", _REMEDY
        ) from error


def own_weights(checkpoint: Path, state: Mapping[str, Any], prefix: str) -> bytes:
    """Read a checkpoint's weights of the model itself; those of its supervised-only twin stay behind.

    Parameters
    ----------
    checkpoint
        Its folder.
    state
        Its plain data.
    prefix
        Under which the model's own tensors stand.

    Raises
    ------
    ModelError
        Damaged, or not what was written.
    """
    # Needed where models are exchanged only; belongs to the training part.
    import safetensors.numpy

    try:
        data = (checkpoint / WEIGHTS).read_bytes()
        if hashlib.sha256(data).hexdigest() != state["digests"][WEIGHTS]:
            raise ValueError("not what was written")
        tensors = safetensors.numpy.load(data)
    except (OSError, ValueError, KeyError, TypeError, safetensors.SafetensorError) as error:
        raise ModelError(
            f"The checkpoint {checkpoint.name} is damaged.", "Use another model.", details=repr(error)
        ) from error
    return bytes(safetensors.numpy.save({name: t for name, t in tensors.items() if name.startswith(prefix)}))

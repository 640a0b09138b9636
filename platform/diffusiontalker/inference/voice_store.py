"""Voices in one folder at a path or URL, `<voice_id>.json` each. Serving has a store of its own, which never blocks."""

import difflib
from collections.abc import Sequence
from pathlib import Path

from pyarrow import fs

from diffusiontalker.config import ArtefactError, publish_file
from diffusiontalker.inference.bundle import Bundle
from diffusiontalker.inference.voices import (
    ID_PATTERN,
    Voice,
    VoiceError,
    check_voice_id,
    read_voice,
    voice_from_json,
    voice_to_json,
)
from diffusiontalker.storage import StorageError, file_names, joined, local_copy, open_filesystem, read_bytes

_SUFFIX = ".json"


class VoiceStore:
    """The voices of one folder, which is made when the first one is saved.

    Raises:
        VoiceError: when the URL cannot be used.
    """

    def __init__(self, uri: Path | str) -> None:
        self.uri = str(uri).rstrip("/")
        try:
            self._filesystem, self._root = open_filesystem(self.uri)
        except StorageError as error:
            raise VoiceError(f"no voices: {error}") from None

    def save(self, voice: Voice, *, overwrite: bool = False) -> str:
        """Writes a voice, whole or not at all, and gives the path or URL of its file.

        Raises:
            ArtefactError: when a voice with this id is stored already (unless `overwrite`) or cannot be written.
        """
        path, address = self._path(voice.voice_id), self._address(voice.voice_id)
        if isinstance(self._filesystem, fs.LocalFileSystem):
            with publish_file(Path(path), overwrite=overwrite) as temporary:
                temporary.write_bytes(voice_to_json(voice))
            return address
        if not overwrite and voice.voice_id in self.ids():
            raise ArtefactError(f"{address} already exists and nothing is overwritten; delete the voice first")
        content = voice_to_json(voice)
        try:
            with self._filesystem.open_output_stream(path) as stream:
                stream.write(content)
        except OSError as error:
            raise ArtefactError(f"{address} cannot be written: {error}; check address and rights") from None
        return address

    def load(self, voice_id: str) -> Voice:
        """The voice with this id.

        Raises:
            VoiceError: for an unknown or unsafe id, or a damaged file.
        """
        path, address = self._path(voice_id), self._address(voice_id)
        try:
            content = read_bytes(self._filesystem, path)
        except FileNotFoundError:
            raise VoiceError(f"{self.uri}: no voice '{voice_id}'{_suggestion(voice_id, self.ids())}") from None
        except OSError as error:
            raise VoiceError(f"{address}: cannot be read as a voice ({error}); check address and rights") from None
        voice = voice_from_json(content, source=address)
        if voice.voice_id != voice_id:
            raise VoiceError(f"{address}: holds the voice '{voice.voice_id}'; rename the file to {voice.voice_id}.json")
        return voice

    def find(self, name_or_id: str) -> Voice:
        """The voice with this id or, if there is none, with this name.

        Raises:
            VoiceError: when none or several voices are meant.
        """
        if name_or_id in self.ids():
            return self.load(name_or_id)
        voices = self.list()
        named = [voice for voice in voices if voice.name.casefold() == name_or_id.casefold()]
        if len(named) > 1:
            ids = ", ".join(voice.voice_id for voice in named)
            raise VoiceError(f"{self.uri}: {len(named)} voices are called '{name_or_id}'; give one of their ids: {ids}")
        if not named:
            known = [word for voice in voices for word in (voice.name, voice.voice_id)]
            raise VoiceError(f"{self.uri}: no voice '{name_or_id}'{_suggestion(name_or_id, known)}")
        return named[0]

    def ids(self) -> list[str]:
        """Ids of all stored voices, sorted.

        Raises:
            VoiceError: when the folder cannot be listed.
        """
        try:
            names = file_names(self._filesystem, self._root)
        except StorageError as error:
            raise VoiceError(f"{self.uri}: {error}") from None
        stems = [name.removesuffix(_SUFFIX) for name in names if name.endswith(_SUFFIX)]
        return sorted(stem for stem in stems if ID_PATTERN.fullmatch(stem))

    def list(self) -> list[Voice]:
        """All stored voices, sorted by id.

        Raises:
            VoiceError: for a damaged file.
        """
        return [self.load(voice_id) for voice_id in self.ids()]

    def delete(self, voice_id: str) -> None:
        """Removes a voice.

        Raises:
            VoiceError: for an unknown or unsafe id.
        """
        try:
            self._filesystem.delete_file(self._path(voice_id))
        except FileNotFoundError:
            raise VoiceError(f"{self.uri}: no voice '{voice_id}'{_suggestion(voice_id, self.ids())}") from None
        except OSError as error:
            raise VoiceError(f"{self._address(voice_id)}: cannot be removed ({error}); check the rights") from None

    def _path(self, voice_id: str) -> str:
        check_voice_id(voice_id)
        return joined(self._root, f"{voice_id}{_SUFFIX}")

    def _address(self, voice_id: str) -> str:
        return f"{self.uri}/{voice_id}{_SUFFIX}"


def find_voice(wanted: str, *, bundle: Bundle, voices: Path | str) -> Voice | str:
    """A voice file if there is one of this name, else a speaker of the bundle, else an enrolled voice.

    Args:
        wanted: path or URL of a voice file, name of a training speaker, or name or id of an enrolled voice.
        bundle: whose speakers count.
        voices: where voices are stored, a folder or URL.

    Raises:
        VoiceError: when none or several are meant, or the file cannot be used.
    """
    if wanted.endswith(_SUFFIX) or Path(wanted).is_file():
        try:
            with local_copy(wanted) as path:
                return read_voice(path)
        except StorageError as error:
            raise VoiceError(str(error)) from None
    if wanted in bundle.talker.speakers:
        return wanted
    try:
        return VoiceStore(voices).find(wanted)
    except VoiceError as error:
        speakers = ", ".join(bundle.talker.speakers)
        raise VoiceError(f"{error}; the talker's own speakers are: {speakers}") from None


def _suggestion(name: str, known: Sequence[str]) -> str:
    if not known:
        return "; no voice is stored there yet, make one with 'diffusiontalker enroll'"
    close = difflib.get_close_matches(name, known, n=1)
    hint = f"; perhaps you meant '{close[0]}'" if close else ""
    return f"{hint} (stored: {', '.join(known)})"

"""Which checkpoint a training goes on from: the one of most steps in its storage that is whole.

Ray Train keeps a record of its checkpoints too, but a record that was cut off (a full disk) or names a folder that is
gone would end the run: what lies in the storage decides, and a record that does not fit it is set aside.
"""

import contextlib
import json
import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import ray
import torch.distributed
from pyarrow import fs

from diffusiontalker.storage import NothingThereError, file_names, joined, local_copy, open_filesystem, read_bytes
from diffusiontalker.training import SUM_NAME, CheckpointError, Ranks, UnfinishedCheckpointError, require_whole

logger = logging.getLogger(__name__)

_FOLDER = "checkpoint_"
_RECORD = "checkpoint_manager_snapshot.json"


@contextlib.contextmanager
def newest_whole_checkpoint(run_uri: str, ranks: Ranks, *, say: Callable[[str], None]) -> Iterator[Path | None]:
    """The local folder of the checkpoint to go on from, the same on every rank; None when there is none yet.

    Call on every rank.

    Args:
        run_uri: path or URL of the run's folder in the storage.
        ranks: the main one chooses.
        say: told which damaged checkpoints are passed over.

    Raises:
        CheckpointError: when no checkpoint is whole, and not for want of time: some are damaged.
        StorageError: when the storage cannot be read.
    """
    choice = [_newest_whole(run_uri, say=say)] if ranks.is_main else [None]
    if ranks.world_size > 1:
        torch.distributed.broadcast_object_list(choice)
    if choice[0] is None:
        yield None
        return
    with local_copy(choice[0]) as folder:
        yield folder


def newest_step(run_uri: str) -> int:
    """Steps of the newest checkpoint as its own record says, whole or not; -1 without any."""
    return max((step for step, _ in _checkpoints(run_uri)), default=-1)


def set_unusable_record_aside(run_uri: str) -> None:
    """Renames Ray Train's record of checkpoints if Ray could not start with it; nothing is deleted."""
    filesystem, root = open_filesystem(run_uri)
    path = joined(root, _RECORD)
    reason = _fault(filesystem, root, path)
    if reason:
        logger.warning("%s/%s is set aside (%s); checkpoints are taken as they lie there", run_uri, _RECORD, reason)
        filesystem.move(path, f"{path}.unusable")


def _fault(filesystem: fs.FileSystem, root: str, path: str) -> str | None:
    try:
        record = json.loads(read_bytes(filesystem, path))
        named = {result["checkpoint_dir_name"] for result in record["checkpoint_results"]}
        version = record["ray_version"]
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        return f"it is damaged: {error!r}"
    missing = named - set(file_names(filesystem, root))
    if missing:
        return f"it names {min(missing)}, which is gone"
    return f"it was written by Ray {version}" if version != ray.__version__ else None


def _newest_whole(run_uri: str, *, say: Callable[[str], None]) -> str | None:
    num_damaged = 0
    for _, name in sorted(_checkpoints(run_uri), reverse=True):
        uri = f"{run_uri}/{name}"
        try:
            with local_copy(uri) as folder:
                require_whole(folder)
        except (UnfinishedCheckpointError, NothingThereError) as error:
            say(f"{name} is passed over, it was not finished: {error}")
        except CheckpointError as error:
            say(f"{name} is passed over: {error}")
            num_damaged += 1
        else:
            return uri
    if num_damaged:
        raise CheckpointError(
            f"no checkpoint in {run_uri} is whole, {num_damaged} are damaged; start again under another name or storage"
        )
    return None


def _checkpoints(run_uri: str) -> list[tuple[int, str]]:
    """(step, name) of every checkpoint that lies there, whole or not."""
    filesystem, root = open_filesystem(run_uri)
    names = [name for name in file_names(filesystem, root) if name.startswith(_FOLDER) and not name.startswith(_RECORD)]
    return [(_step(filesystem, joined(root, name)), name) for name in names]


def _step(filesystem: fs.FileSystem, checkpoint: str) -> int:
    """Steps of a checkpoint as its own record says; -1 for one that cannot be read."""
    try:
        return int(json.loads(read_bytes(filesystem, joined(checkpoint, SUM_NAME)))["step"])
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return -1

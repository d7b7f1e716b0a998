"""Exports on the Hugging Face Hub: the files that were checked, and nothing else.

timm's ``push_to_hf_hub`` would write the weights anew, where nothing has checked them,
and leave an earlier card as it is.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import (
    CommitOperationAdd,
    CommitOperationDelete,
    HfApi,
    ModelInfo,
    get_token,
)
from huggingface_hub.errors import (
    HfHubHTTPError,
    HFValidationError,
    RepositoryNotFoundError,
)
from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]

from clothing_lightning.compression.formats import FORMATS
from clothing_lightning.errors import ConfigError, StorageError
from clothing_lightning.reports.model_card import TAG
from clothing_lightning.tracking.store import first_line

CARD = "README.md"
_MADE_BY_THE_HUB = ".gitattributes"
_FLAG = "--push-to-hub"
_LOG_IN = "Set HF_TOKEN to one that may write, or log in: hf auth login"


@dataclass(frozen=True)
class HubRepository:
    """A repository of models on the hub.

    Attributes:
        name: User or organisation, and name, such as ``anna/clothes``.
        private: Whether only its owner is to see it.
    """

    name: str
    private: bool = False

    def __post_init__(self) -> None:
        """Check the name.

        Raises:
            ConfigError: If no repository can have it.
        """
        try:
            validate_repo_id(self.name)
            named = self.name.count("/") == 1
        except HFValidationError:
            named = False
        if not named:
            raise ConfigError(
                f"{_FLAG}: '{self.name}' is not the name of a repository. Write "
                "USER/NAME, such as anna/clothes, in letters, digits, '-', '_' and '.'."
            )

    def require(self) -> None:
        """Refuse what could not be pushed, before the work is done.

        Raises:
            ConfigError: If there is no token, it is refused, or the repository is there
                and is no export, or is public where it is to be private.
            StorageError: If the hub does not answer.
        """
        if get_token() is None:
            raise ConfigError(f"{_FLAG}: there is no token. {_LOG_IN}")
        with self._asking() as hub:
            hub.whoami()
            try:
                found = hub.model_info(self.name)
            except RepositoryNotFoundError:
                return
        if _files_of(found) and TAG not in (found.tags or []):
            raise ConfigError(
                f"{_FLAG}: '{self.name}' is there, and holds no export. Name a new "
                "repository."
            )
        if self.private and not found.private:
            raise ConfigError(
                f"--private: '{self.name}' is there, and everybody sees it. Make it "
                "private on its page, or name a new repository."
            )

    def push(self, files: Sequence[Path], message: str) -> str:
        """Upload files in one commit, in the place of an earlier export.

        The repository is made if it is not there; files of others stay.

        Args:
            files: The files, which get their own names.
            message: Title of the commit.

        Returns:
            Address of the repository.

        Raises:
            ConfigError: If the token may not write there.
            StorageError: If the hub does not answer.
        """
        added = {file.name: CommitOperationAdd(file.name, file) for file in files}
        written = {name for each in FORMATS.values() for name in each.names}
        with self._asking() as hub:
            made = hub.create_repo(self.name, private=self.private, exist_ok=True)
            there = _files_of(hub.model_info(self.name))
            earlier = sorted(written & there - added.keys())
            removed = [CommitOperationDelete(name) for name in earlier]
            operations: list[CommitOperationAdd | CommitOperationDelete]
            operations = [*added.values(), *removed]
            hub.create_commit(self.name, operations, commit_message=message)
            return made.url

    @contextmanager
    def _asking(self) -> Iterator[HfApi]:
        """Explain what the hub refuses."""
        hub = HfApi(library_name=TAG)
        try:
            yield hub
        except HfHubHTTPError as err:
            status = err.response.status_code
            if status == 401:
                raise ConfigError(f"{_FLAG}: the token is refused. {_LOG_IN}") from err
            if status == 403:
                raise ConfigError(
                    f"{_FLAG}: this token may not write to '{self.name}'. {_LOG_IN}"
                ) from err
            raise self._unanswered(hub, err) from err
        except Exception as err:  # whatever its client and its transports raise
            raise self._unanswered(hub, err) from err

    def _unanswered(self, hub: HfApi, err: Exception) -> StorageError:
        return StorageError(
            f"{_FLAG}: '{self.name}' cannot be written at {hub.endpoint} "
            f"({first_line(err)}). Push again later."
        )


def _files_of(found: ModelInfo) -> set[str]:
    return {each.rfilename for each in found.siblings or []} - {_MADE_BY_THE_HUB}

"""Who asks the archive: credentials from the environment or from files, never from the command line."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

__all__ = ["PASSWORD_VARIABLE", "TOKEN_VARIABLE", "USER_VARIABLE", "Credentials", "read_credentials"]

USER_VARIABLE: Final = "CHEXMASK_U_DICOMWEB_USER"
PASSWORD_VARIABLE: Final = "CHEXMASK_U_DICOMWEB_PASSWORD"
TOKEN_VARIABLE: Final = "CHEXMASK_U_DICOMWEB_TOKEN"

# RFC 6750 allows less; anything else would break the header line that it goes into.
_TOKEN: Final = re.compile(r"[\x21-\x7e]+")


@dataclass(frozen=True)
class Credentials:
    """A user with a password, or a bearer token, or nothing. Shown nowhere.

    Raises:
        ValueError: if they are incomplete, contradict each other or cannot be sent; the message repeats none of them.
    """

    user: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    token: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        """Check that there is one way to ask, or none."""
        if self.token and (self.user or self.password):
            raise ValueError(
                "there are both a token and a user or password for the archive; "
                f"keep one of {TOKEN_VARIABLE} and {USER_VARIABLE} with {PASSWORD_VARIABLE}"
            )
        if bool(self.user) != bool(self.password):
            missing = f"password; set {PASSWORD_VARIABLE} or name a file with --password-file"
            if self.password:
                missing = f"user; set {USER_VARIABLE}"
            raise ValueError(f"the credentials for the archive lack the {missing}")
        if ":" in self.user:
            raise ValueError("the user name for the archive holds a colon, which basic authentication cannot send")
        if self.token and not _TOKEN.fullmatch(self.token):
            raise ValueError("the token for the archive holds spaces or other characters that no token has")

    def __bool__(self) -> bool:
        """Tell whether there are any."""
        return bool(self.token or self.user)


def read_credentials(
    environment: Mapping[str, str], *, password_file: Path | None = None, token_file: Path | None = None
) -> Credentials:
    """Return the credentials for a DICOMweb archive.

    Args:
        environment: such as ``os.environ``; variables that are empty count as not set.
        password_file: holds the password, instead of its variable, as container secrets do.
        token_file: holds the token, instead of its variable.

    Raises:
        ValueError: if a file cannot be read or is empty, or the credentials do not fit together.

    Example:
        >>> read_credentials({"CHEXMASK_U_DICOMWEB_TOKEN": "secret"})
        Credentials()
        >>> bool(read_credentials({}))
        False
    """
    return Credentials(
        user=environment.get(USER_VARIABLE, ""),
        password=_secret(environment, PASSWORD_VARIABLE, password_file),
        token=_secret(environment, TOKEN_VARIABLE, token_file),
    )


def _secret(environment: Mapping[str, str], variable: str, path: Path | None) -> str:
    if path is None:
        return environment.get(variable, "")
    try:
        secret = path.read_text(encoding="utf-8").rstrip("\r\n")  # editors end the last line
    except (OSError, UnicodeDecodeError) as error:
        cause = (error.strerror if isinstance(error, OSError) else None) or "it is no UTF-8 text"
        raise ValueError(f"{path}: this secret cannot be read ({cause}); check the file and its rights") from None
    if not secret:
        raise ValueError(f"{path}: this file should hold a secret and is empty")
    return secret

"""Files inside installed packages, found and checked without importing the package.

Two packages carry Moonshine tiny: `moonshine-voice` the weights, `useful-moonshine-onnx` the
tokenizer. Both load native libraries at import.
"""

from __future__ import annotations

import base64
import hashlib
import importlib.metadata
from dataclasses import dataclass
from pathlib import Path

from moontune.errors import UserError

MODEL_PACKAGE = "moonshine-voice"
# 0.0.44 to 0.1.0 hold int8 convolutions, later ones no model at all.
BUNDLED_VERSION = "0.0.4"
TOKENIZER_PACKAGE = "useful-moonshine-onnx"
INSTALL = 'install them with: pip install "moontune[bundled]"'


@dataclass(frozen=True)
class PackageFile:
    """One file of an installed package, with the digest its package says it has."""

    path: Path
    sha256: str
    package: str

    def read(self) -> bytes:
        """Its content. Raises UserError if it is damaged."""
        content = self.path.read_bytes()
        if hashlib.sha256(content).hexdigest() != self.sha256:
            raise UserError(
                f"{self.path} is damaged: it is not the file {self.package} was installed with",
                remedy=f"reinstall {self.package}",
            )
        return content


def installed(name: str, version: str | None = None) -> importlib.metadata.Distribution:
    """An installed package. Raises UserError if it, or this version of it, is not there."""
    try:
        package = importlib.metadata.distribution(name)
    except importlib.metadata.PackageNotFoundError:
        problem = f"the bundled model needs the package {name}"
        raise UserError(problem, remedy=INSTALL) from None
    if version is not None and package.version != version:
        raise UserError(
            f"the bundled model needs {name} {version}, found {package.version}, which does not "
            "hold the same model",
            remedy=INSTALL,
        )
    return package


def package_file(package: importlib.metadata.Distribution, name: str, file: str) -> PackageFile:
    """A file of a package with the digest it was installed with. Raises UserError."""
    path = Path(str(package.locate_file(file)))
    if not path.is_file():
        raise UserError(f"{name} is installed without {file}", remedy=f"reinstall {name}")
    # The RECORD of the wheel holds the digest, which spares hashing 71 MB at every start.
    recorded = next((entry.hash for entry in package.files or () if str(entry) == file), None)
    if recorded is not None and recorded.mode == "sha256":
        return PackageFile(path, base64.urlsafe_b64decode(recorded.value + "=").hex(), name)
    with path.open("rb") as stream:
        return PackageFile(path, hashlib.file_digest(stream, "sha256").hexdigest(), name)

"""Tables in Parquet, which keeps the datatypes of columns."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from finitewidth.core.files import replacing
from finitewidth.provenance.digests import sealed
from finitewidth.provenance.stamps import open_stamp

if TYPE_CHECKING:
    import pandas as pd


class _Kept(io.BytesIO):
    """A file in memory that can be read after it was closed."""

    def close(self) -> None:
        """Do nothing."""


def write_parquet(rows: pd.DataFrame, path: str | Path, stamp: Mapping) -> None:
    """Write a table in Parquet with its stamp: the file's own metadata, under ``provenance``."""
    import fastparquet

    content = _Kept()
    # Without statistics: they would say texts of the table once more, in the footer.
    fastparquet.write(
        "table", rows, compression="ZSTD", stats=False, write_index=False,
        open_with=lambda *_: content, custom_metadata={"provenance": open_stamp(stamp)},
    )  # fmt: skip
    with replacing(path) as temporary:
        temporary.write_bytes(sealed(content.getvalue()))

"""Tables as the rule that compares writes them, with a stamp of one's own."""

from finitewidth.comparison.columns import schema
from finitewidth.comparison.tables import to_csv, typed
from finitewidth.provenance.artifacts import make_stamp, write_table
from finitewidth.provenance.code import used
from finitewidth.provenance.parquet_files import write_parquet


def write_csv(text, path, stamp):
    """A table of any text, of whose columns nothing is said."""
    write_table(text, path, stamp, title="a table", columns=[])


def write_rows(rows, path):
    """A table of rows: CSV with its columns beside it, or Parquet."""
    stamp = make_stamp(rule="compare", wildcards={}, config={}, inputs=[], used=used())
    if path.suffix == ".parquet":
        write_parquet(typed(rows), path, stamp)
        return
    write_table(to_csv(rows), path, stamp, title="a table", columns=schema(rows))

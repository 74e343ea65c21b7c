"""Rule download: fetch an archive, resuming where an earlier try was cut off, and check it."""

from pathlib import Path

from finitewidth.runtime.job import log, progress, run
from finitewidth.data.download import download


def main(job):
    log.info("%s", job.params.url)
    path = Path(job.output[0])
    download(job.params.url, path, job.params.sha256, on_bytes=progress("bytes"))


run(main, snakemake)

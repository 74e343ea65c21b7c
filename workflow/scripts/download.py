"""Rule download: fetch an archive, resuming where an earlier try was cut off, and check it."""

from pathlib import Path

from finitewidth.runtime.job import log, place, progress, run
from finitewidth.core.places import downloads
from finitewidth.data.download import copied, download


def main(job):
    log.info("%s", job.params.url)
    path = Path(job.output[0])
    # What another run of this folder has is not fetched again.
    if copied(downloads(place(job)), path, job.params.sha256):
        log.info("copied from another run")
        return
    download(job.params.url, path, job.params.sha256, on_bytes=progress("bytes"))


run(main, snakemake)

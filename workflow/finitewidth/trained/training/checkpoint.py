"""The state of training on disk, so that a killed job goes on where it was."""

from __future__ import annotations

import logging
from pathlib import Path

import torch

from finitewidth.core.files import replacing
from finitewidth.trained.training.epochs import State

log = logging.getLogger("finitewidth")


def save(state: State, path: Path, fingerprint: str) -> None:
    """Write the state, atomically, with the fingerprint of the run that it belongs to."""
    with replacing(path) as temporary:
        torch.save({"fingerprint": fingerprint, **vars(state)}, temporary)


def load(path: Path, fingerprint: str, device: torch.device | str) -> State | None:
    """The state of the run with this fingerprint, or None.

    A file of another run, or one that cannot be read, counts for nothing: training then starts
    anew. Only tensors and plain data are read (``weights_only``), never code.
    """
    if not path.is_file():
        return None
    try:
        content = torch.load(path, map_location=device, weights_only=True)
        if content.pop("fingerprint") != fingerprint:
            log.info("%s belongs to another run: training starts anew", path)
            return None
        curves = content.pop("curves")
        content["curves"] = {k: [v.cpu() for v in values] for k, values in curves.items()}
        log.info("goes on after epoch %d, from %s", content["epoch"], path)
        return State(**content)
    except Exception as error:  # whatever a damaged file makes of the reader
        log.warning("%s cannot be read (%s): training starts anew", path, error)
        return None

"""A member of a config: all that any stage uses of it, its files, and its division into shards."""

from __future__ import annotations

from dataclasses import dataclass

from finitewidth.core.blocks import block_size, block_width
from finitewidth.members.stages import (
    Beside,
    Described,
    Drawn,
    EstimatedLadder,
    EstimatedNetworks,
    EstimatedTraining,
    Estimating,
    NormalityTests,
    PredictedLadder,
    PredictedNetworks,
    PredictedTraining,
    SampledLadder,
    SampledNetworks,
    SampledTraining,
    TabulatedLadder,
    TabulatedNetworks,
    TabulatedTraining,
)
from finitewidth.models.block_maps import map_sizes
from finitewidth.models.own_network import OwnShape
from finitewidth.models.perceptron_shape import PerceptronShape


@dataclass(frozen=True, kw_only=True)
class Planned(Described, Drawn, Beside, Estimating, PerceptronShape):
    """One point of an ensemble's sweep: :class:`Networks`, a :class:`Ladder` or :class:`Training`.

    Attributes
    ----------
    normality : NormalityTests
    shards : int
        Files of samples that are asked for.
    """

    precision: str
    normality: NormalityTests
    shards: int

    @property
    def block(self) -> int:
        """Networks that share one random stream."""
        return block_size(self.sampler, self.block_width)

    @property
    def block_width(self) -> int:
        """What the size of a block follows from: neurons of the widest layer."""
        return max(self.width, self.outputs)

    @property
    def blocks(self) -> int:
        """Number of blocks that the member's networks make (the last may be short)."""
        return -(-self.networks // self.block)

    def shard_bounds(self, shard: int) -> tuple[int, int]:
        """First block and one past the last of a shard: whole blocks, as even as they come."""
        shards = self.shard_count
        return self.blocks * shard // shards, self.blocks * (shard + 1) // shards

    @property
    def shard_count(self) -> int:
        """Files of samples: as the config asks, but never fewer than one block and island each."""
        islands = self.population.islands if self.population else self.shards
        return min(self.shards, self.blocks, islands)

    def island_bounds(self, shard: int) -> tuple[int, int] | None:
        """The same of the islands of its populations: an island is never divided."""
        if self.population is None:
            return None
        islands, shards = self.population.islands, self.shard_count
        return islands * shard // shards, islands * (shard + 1) // shards

    @property
    def task(self) -> str | None:
        """What a GPU would be had for: sampling, with tangent kernels or without, but for what is
        computed on the CPU anyhow."""
        if self.sampler == "scalar" or "ntk_methods" in self.measure:
            return None
        return "sample" if self.ntk is None else "ntk"

    @property
    def folder(self) -> str:
        """Where its files stand."""
        return f"results/ensembles/{self.ensemble}/{self.name}"

    @property
    def samples(self) -> list[str]:
        """Its files of samples, shard by shard."""
        return [f"{self.folder}/samples/{shard}.nc" for shard in range(self.shard_count)]

    @property
    def seconds(self) -> list[str]:
        """How long each way of computing a tangent kernel took: no two runs agree on that."""
        return [f"{self.folder}/seconds.nc"] if "ntk_methods" in self.measure else []

    @property
    def families(self) -> tuple[str, ...]:
        """Names of the families that are estimated of it."""
        return self.estimate

    @property
    def results(self) -> list[str]:
        """What stands in its folder besides samples."""
        tests = ["normality.nc"] if "normality" in self.estimate else []
        return [f"{self.folder}/{file}" for file in ["estimates.nc", "theory.nc", *tests]]


@dataclass(frozen=True, kw_only=True)
class Networks(Planned, SampledNetworks, EstimatedNetworks, PredictedNetworks, TabulatedNetworks):
    """Networks of one width, with all that any stage uses."""

    @property
    def block_width(self) -> int:
        """See :attr:`Planned.block_width`; of a network made of blocks, that of its maps."""
        if isinstance(self.network, OwnShape):
            return max(self.network.sizes)
        if self.network is not None:
            sizes = [size for size, _ in map_sizes(self.network, self.outputs)]
            return block_width(self.sampler, sizes)
        return max(self.width, self.outputs)


@dataclass(frozen=True, kw_only=True)
class Ladder(Planned, SampledLadder, EstimatedLadder, PredictedLadder, TabulatedLadder):
    """Networks at several widths on common random numbers, with all that any stage uses."""


@dataclass(frozen=True, kw_only=True)
class Training(Planned, SampledTraining, EstimatedTraining, PredictedTraining, TabulatedTraining):
    """Networks of one width that are trained, with all that any stage uses.

    ``training_inputs`` is how many vectors they learn.
    """

    training_inputs: int = 1


Member = Networks | Ladder | Training

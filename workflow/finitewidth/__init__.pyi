# What `__init__.py` imports when it is asked for, for type checkers and editors.
from finitewidth.core.errors import ConfigError as ConfigError
from finitewidth.face.kernels import infinite_width as infinite_width
from finitewidth.face.linearized import linearize as linearize
from finitewidth.face.networks import inputs as inputs
from finitewidth.face.networks import network as network
from finitewidth.face.networks import perceptron as perceptron
from finitewidth.face.one_ensemble import estimate as estimate
from finitewidth.face.one_ensemble import predict as predict
from finitewidth.face.one_ensemble import sample as sample
from finitewidth.face.results import compare as compare
from finitewidth.face.results import draw as draw
from finitewidth.face.results import read_study as read_study
from finitewidth.face.study_file import load_study as load_study
from finitewidth.face.together import open_ensemble as open_ensemble
from finitewidth.face.together import with_swept as with_swept
from finitewidth.ntk.network import tangent_kernel as tangent_kernel
from finitewidth.provenance.artifacts import ArtifactError as ArtifactError
from finitewidth.theory.training.gaussian_process import gaussian_process as gaussian_process
from finitewidth.theory.training.gradient_descent import (
    gradient_descent_mse as gradient_descent_mse,
)
from finitewidth.theory.training.gradient_descent import max_learning_rate as max_learning_rate

__version__: str

def __dir__() -> list[str]: ...

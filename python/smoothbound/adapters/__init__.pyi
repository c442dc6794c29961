from ._base import BaseClassifier as BaseClassifier
from ._base import adapt as adapt
from ._base import exported as exported
from ._base import jax as jax
from ._base import numpy as numpy
from ._base import onnx as onnx
from ._base import sklearn as sklearn

from ._base import BaseClassifier as BaseClassifier
from ._exported import exported as exported
from ._functions import jax as jax
from ._functions import numpy as numpy
from ._onnx import onnx as onnx
from ._recognise import adapt as adapt
from ._sklearn import sklearn as sklearn

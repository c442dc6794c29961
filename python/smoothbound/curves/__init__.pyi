from ._ablation import Ablation as Ablation
from ._curve import Curve as Curve
from ._gaussian import Gaussian as Gaussian
from ._l1 import L1Laplace as L1Laplace
from ._l1 import L1Uniform as L1Uniform
from ._named import NAMES as NAMES
from ._named import curve as curve
from ._tabulated import Tabulated as Tabulated

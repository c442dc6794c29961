from ._bincp import BinCP as BinCP
from ._cas import CAS as CAS
from ._classifier import ConformalClassifier as ConformalClassifier
from ._guarantee.levels import Threshold as Threshold
from ._rcp1 import RCP1 as RCP1
from ._sets import coverage as coverage
from ._sets import mean_set_size as mean_set_size

from . import gaussian as gaussian
from . import reference as reference
from . import reference_anytime as reference_anytime
from . import reference_joint as reference_joint
from ._names import BACKENDS as BACKENDS
from ._select import build_info as build_info

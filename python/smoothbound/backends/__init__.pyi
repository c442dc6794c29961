from . import gaussian as gaussian
from . import reference as reference
from ._names import BACKENDS as BACKENDS
from ._select import build_info as build_info

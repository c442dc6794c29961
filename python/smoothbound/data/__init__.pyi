from ._dataset import Dataset as Dataset
from ._dataset import Images as Images
from ._dataset import unit_scale as unit_scale
from ._loading import SPLITS as SPLITS
from ._loading import load as load
from ._specs import SPECS as SPECS

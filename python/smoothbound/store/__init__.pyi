from ._results import Results as Results
from ._results import load as load
from ._schema import Status as Status
from ._settings import RunSettings as RunSettings
from ._writer import Writer as Writer

from ._results import Results as Results
from ._results import Writer as Writer
from ._results import load as load
from ._settings import RunSettings as RunSettings

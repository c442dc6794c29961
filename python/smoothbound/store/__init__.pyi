from ._results import Results as Results
from ._settings import RunSettings as RunSettings
from ._stored import StoredResults as StoredResults
from ._stored import load as load
from ._stored import open_folder as open_folder
from ._table.schema import Status as Status
from ._writer import Writer as Writer

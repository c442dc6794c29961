from ._write import FORMATS as FORMATS
from ._write import write_export as write_export

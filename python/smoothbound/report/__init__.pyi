from ._write import DEFINITION as DEFINITION
from ._write import read as read
from ._write import write_report as write_report

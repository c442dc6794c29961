from ._sampler import Input as Input
from ._sampler import Sampler as Sampler
from ._schedule import Draws as Draws
from ._schedule import Failure as Failure
from ._schedule import FixedJob as FixedJob
from ._schedule import Job as Job

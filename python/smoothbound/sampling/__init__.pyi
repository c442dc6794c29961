from ._jobs import Draws as Draws
from ._jobs import Failure as Failure
from ._jobs import FixedJob as FixedJob
from ._jobs import Input as Input
from ._jobs import Job as Job
from ._jobs import OpenEndedJob as OpenEndedJob
from ._sampler import Sampler as Sampler

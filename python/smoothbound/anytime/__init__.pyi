from ._anytime_test import AnytimeTest as AnytimeTest
from ._chain import Answer as Answer
from ._questions import Decide as Decide
from ._questions import FindConfidence as FindConfidence
from ._questions import FindRadius as FindRadius

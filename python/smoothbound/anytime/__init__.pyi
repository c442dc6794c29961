from ._anytime_test import AnytimeTest as AnytimeTest
from ._chain import Answer as Answer
from ._questions import Decide as Decide
from ._questions import FindConfidence as FindConfidence
from ._questions import FindRadius as FindRadius
from ._rows import ScoreAnswers as ScoreAnswers
from ._rows import answer_scores as answer_scores
from ._sample_size import required_draws as required_draws

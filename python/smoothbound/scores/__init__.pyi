from ._arrays import as_scores as as_scores
from ._files import open_scores as open_scores
from ._score_file import ScoreFile as ScoreFile

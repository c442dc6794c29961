from ._certify import SketchCertificate as SketchCertificate
from ._levels import SketchLevelCertificate as SketchLevelCertificate
from ._score_sketch import ScoreSketch as ScoreSketch

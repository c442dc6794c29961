from ._certify import SketchCertificate as SketchCertificate
from ._score_sketch import ScoreSketch as ScoreSketch

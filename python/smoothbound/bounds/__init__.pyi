from ._band import local_level as local_level
from ._certificate import Certificate as Certificate
from ._certify import certify_scores as certify_scores
from ._levels.certificate import LevelCertificate as LevelCertificate
from ._method import Method as Method
from ._request import Request as Request
from ._request import Settings as Settings
from ._sample_size import required_draws as required_draws

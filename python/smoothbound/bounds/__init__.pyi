from ._band import local_level as local_level
from ._certificate import Certificate as Certificate
from ._certificate import Settings as Settings
from ._certify import certify_scores as certify_scores
from ._certify import required_draws as required_draws
from ._method import Method as Method

from ._forecast import forecast as forecast
from ._pilots import Pilot as Pilot
from ._recommendation import Recommendation as Recommendation
from ._recommendation import recommend as recommend

from ._adaptive import AdaptiveForecast as AdaptiveForecast
from ._adaptive import AdaptiveRecommendation as AdaptiveRecommendation
from ._adaptive import recommend_adaptive as recommend_adaptive
from ._forecast import forecast as forecast
from ._pilots import Pilot as Pilot
from ._recommendation import Recommendation as Recommendation
from ._recommendation import recommend as recommend
from ._statistics import Estimate as Estimate

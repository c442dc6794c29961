from ._certificate import SmoothedCertificate as SmoothedCertificate
from ._class_radius import anytime_class_radius as anytime_class_radius
from ._class_radius import class_radius as class_radius
from ._class_radius import clopper_pearson_lower as clopper_pearson_lower
from ._class_radius import majority_class as majority_class
from ._classifier import SmoothedClassifier as SmoothedClassifier
from ._run import PreparedRun as PreparedRun
from ._run import run as run

from ._art import PyTorchCertifiedSmoothing as PyTorchCertifiedSmoothing
from ._ray import PreparedRun as PreparedRun
from ._ray import certify_on_ray as certify_on_ray
from ._sklearn import SmoothedEstimator as SmoothedEstimator
from ._torchmetrics import CertifiedAccuracy as CertifiedAccuracy
from ._torchmetrics import CertifiedConfidence as CertifiedConfidence
from ._torchmetrics import CertifiedRadius as CertifiedRadius

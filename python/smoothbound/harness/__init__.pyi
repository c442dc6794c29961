from ._art import PyTorchCertifiedSmoothing as PyTorchCertifiedSmoothing
from ._inspect import certified_mean as certified_mean
from ._ray import PreparedRun as PreparedRun
from ._ray import certify_on_ray as certify_on_ray
from ._sklearn import SmoothedEstimator as SmoothedEstimator
from ._torchmetrics._certified import CertifiedAccuracy as CertifiedAccuracy
from ._torchmetrics._certified import CertifiedConfidence as CertifiedConfidence
from ._torchmetrics._certified import CertifiedRadius as CertifiedRadius

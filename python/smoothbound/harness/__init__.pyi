from ._art import PyTorchCertifiedSmoothing as PyTorchCertifiedSmoothing
from ._sklearn import SmoothedEstimator as SmoothedEstimator
from ._torchmetrics import CertifiedAccuracy as CertifiedAccuracy
from ._torchmetrics import CertifiedConfidence as CertifiedConfidence
from ._torchmetrics import CertifiedRadius as CertifiedRadius

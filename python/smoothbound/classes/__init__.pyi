from ._certify import ClassCertificate as ClassCertificate
from ._certify import ClassSettings as ClassSettings
from ._class_sketch import ClassSketch as ClassSketch

from ._loop import RECIPES as RECIPES
from ._loop import Epoch as Epoch
from ._loop import Recipe as Recipe
from ._loop import accuracy_under_noise as accuracy_under_noise
from ._loop import best_device as best_device
from ._loop import best_precision as best_precision
from ._loop import train as train

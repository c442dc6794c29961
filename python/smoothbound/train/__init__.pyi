from ._accuracy import accuracy_under_noise as accuracy_under_noise
from ._loop import Epoch as Epoch
from ._loop import train as train
from ._recipes import RECIPES as RECIPES
from ._recipes import Recipe as Recipe
from ._recipes import best_device as best_device
from ._recipes import best_precision as best_precision

"""Figures of certificates, each drawn on a Matplotlib Axes that you pass.

The functions do not use pyplot or its global state. Artists have labels; call ``ax.legend()`` to
draw a legend. `STYLE` holds the settings of the report; to use them, draw inside ``with
matplotlib.rc_context(STYLE): ...``. The colours are those of Okabe and Ito, which colour-blind
readers can distinguish. Each method also has its own line and marker.

No curve shows more than is certified. Between two radii R_i-1 < R_i at which a bound is known, a
curve has the value at R_i, the larger one, because the bound at R_i holds everywhere within R_i.
"""

from smoothbound._utils.faces import face

__getattr__, __dir__, __all__ = face(__name__, __file__)

"""Figures of certificates, each drawn on a Matplotlib Axes that you give.

Nothing here touches pyplot or its global state. Artists carry labels; call ``ax.legend()`` where
you want a legend. `STYLE` holds the settings of the report; to use them, draw inside
``with matplotlib.rc_context(STYLE): ...``. The colours are those of Okabe and Ito, which
colour-blind readers can tell apart. Each method also has its own line and marker.

No curve shows more than is certified. Between two radii R_i-1 < R_i at which a bound is known, it
is drawn at the value of R_i, the larger one, because the bound of R_i holds everywhere within R_i.
"""

from smoothbound._utils.faces import face

__getattr__, __dir__, __all__ = face(__name__, __file__)

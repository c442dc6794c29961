"""Settings shared by all tests."""

import os

# Before torch is imported: small networks gain nothing from threads, and lose on a busy machine.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
from hypothesis import HealthCheck, settings

from smoothbound import build_info

# No deadline: a busy machine must not fail a test. Derandomised: a failure repeats itself.
settings.register_profile(
    "default", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("default")


@pytest.fixture(scope="session", params=["cpp", "numba"])
def backend(request):
    """Each backend in turn; a build without the C++ core has numba alone."""
    if request.param == "cpp" and not build_info()["extension"]:
        pytest.skip(f"no C++ core: {build_info()['extension_error']}")
    return request.param

from ._recertify import recertify_results as recertify_results
from ._verification import Finding as Finding
from ._verification import Tally as Tally
from ._verification import Verification as Verification
from ._verify import verify_results as verify_results

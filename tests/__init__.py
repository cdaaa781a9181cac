"""Everything that shows the project true: units, conformance, journeys.

What Python compiles is kept, for all processes that the tests start, also where the environment says otherwise, as that
of many containers does: each worker would rewrite all asserts for itself, and each server compile all of its modules.
"""

import os
import sys

os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

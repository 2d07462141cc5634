"""Set before torch is imported: threads that wait sleep, so that other processes on the machine cost little."""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

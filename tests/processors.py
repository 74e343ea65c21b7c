"""Another processor than the one at hand: an emulator, and code compiled for what it emulates."""

import shutil

EMULATOR = shutil.which("qemu-x86_64")
#: Has numba compile for a Haswell processor, which an emulator then finds: it would take minutes.
HASWELL = {"NUMBA_CPU_NAME": "haswell", "NUMBA_CPU_FEATURES": "+avx2,+fma,+bmi,+bmi2"}

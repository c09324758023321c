"""The small process that waits for a program: started by its path, as `python -I -S waiter.py …`.

    waiter.py <child spec> <done record> <argv to exec afterwards, as JSON>

Only the door: a program started by its path is compiled anew each time, and what the compiler leaves behind
would stay in memory for hours.
"""

from __future__ import annotations

import sys

if __name__ == "__main__":
    # Isolated and without site: our own root goes to the end, behind the standard library.
    sys.path.append(__file__.rsplit("/", 3)[0])
    from gluerun.adapters import waiting

    sys.exit(waiting.main(sys.argv[1:]))

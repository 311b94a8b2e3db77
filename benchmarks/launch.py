"""Run the command given and print, as a last line of JSON, the seconds it took and the most memory it held, in bytes.

A process of its own: the peak that the system reports for a new process begins at that of the one it comes from.
"""

import json
import os
import subprocess
import sys
import time

began = time.perf_counter()
child = subprocess.Popen(sys.argv[1:])
_, status, used = os.wait4(child.pid, 0)
seconds = time.perf_counter() - began
unit = 1 if sys.platform == "darwin" else 1024
print(json.dumps({"seconds": seconds, "bytes": used.ru_maxrss * unit}), flush=True)
sys.exit(os.waitstatus_to_exitcode(status))

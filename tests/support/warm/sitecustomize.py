"""Hand `python -m stages.NAME` and `python -m dvc` over to the server of support/warm_server.py, where a test asks so.

Python imports this module at its start where its folder is in PYTHONPATH. Nothing heavy may be imported here.
"""

import os
import sys


def _hand_over(address: str, module: str, words: list[str]) -> None:
    """Let the server run the module in a process with the libraries loaded, and end as that process ends."""
    import json
    import socket

    with socket.socket(socket.AF_UNIX) as line:
        line.connect(address)
        mask = os.umask(0)
        os.umask(mask)
        asked = {"module": module, "words": words, "cwd": os.getcwd(), "environment": dict(os.environ), "umask": mask}  # noqa: PTH109
        socket.send_fds(line, [b"!"], [0, 1, 2])
        line.sendall(json.dumps(asked).encode())
        line.shutdown(socket.SHUT_WR)
        said = line.recv(16)
    os._exit(int(said) if said else 70)


_words = sys.orig_argv
if "CORDRIFT_WARM" in os.environ and _words[1:2] == ["-m"] and _words[2].partition(".")[0] in {"dvc", "stages"}:
    _hand_over(os.environ["CORDRIFT_WARM"], _words[2], _words[3:])

"""A process that is an agent of its own: for each line of standard input, an audience, it prints a JWT-SVID.

The one argument is the socket's path. It lives until its standard input ends.
"""

import sys

from spiffe import WorkloadApiClient

with WorkloadApiClient(socket_path=f"unix:{sys.argv[1]}", default_timeout=15) as client:
    for line in sys.stdin:
        print(client.fetch_jwt_svid(audience={line.strip()}).token, flush=True)

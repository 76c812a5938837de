"""wstest, listening on loopback only: left to itself its fuzzing server listens on every address.

Python 2, in target/autobahn-python: `python loopback.py`, and then wstest's own options.
"""

from autobahntestsuite import fuzzing, wstest

listen = fuzzing.listenWS
fuzzing.listenWS = lambda factory, context=None: listen(factory, context, interface="127.0.0.1")
wstest.run()

"""Each limit, made small: what is at it passes, what is beyond it is refused in its own way, is told in
`hello` where a client should know it, and is counted."""

import harness
from harness import HOST, PATIENCE, Raw


class TestConnections:
    def test_an_address_opens_so_many_in_a_minute(self, servers):
        server = servers.parlor(set={"limits.connections_per_address_minute": 4})
        # One was the look whether it is there.
        for _ in range(3):
            Raw(server, path="/ws?user=ada").end()
        with Raw(server, open=False) as beyond:
            # It is told so before it has sent anything.
            answer = beyond.read_answer()
        assert (answer.status, answer.error["code"]) == (429, "rate_limited")
        # A minute to its end, and a quarter of the next one.
        assert 60 < int(answer.fields["retry-after"]) <= 75
        with harness.socket.socket() as other:
            other.settimeout(PATIENCE)
            other.bind(("127.0.0.2", 0))
            other.connect((HOST, server.port))
            other.sendall(harness.request_head("/metrics", (("Host", HOST),)))
            head = other.recv(1 << 16)
            assert head.startswith(b"HTTP/1.1 200 ")
            text = head
            while b"# EOF" not in text:
                text += other.recv(1 << 16)
        line = 'parlor_connections_refused_total{reason="address_minute_limit"} 1'
        assert line in text.decode().splitlines()

"""Makes parlor/wire.py, the types of requests' payloads, of docs/wire.schema.json.

    python3 clients/python/from_schema.py           # writes it
    python3 clients/python/from_schema.py --check    # whether it is as it would be written
"""

import json
import sys

from from_openapi import HERE, Types

SOURCE = HERE.parents[1] / "docs/wire.schema.json"
TARGET = HERE / "parlor/wire.py"

HEAD = '''"""What each request may have (`docs/protocol.md`), for `Connection.request` and `Admin.call`: `ChatSend` is of `chat:send`.

It was made of docs/wire.schema.json by from_schema.py: change what the server parses.
"""

from __future__ import annotations

from typing import Any, Literal, TypedDict, Union
'''


class Payloads(Types):
    """Types of payloads: a request that can be said in several ways has a class for each."""

    def of(self, schema, name):
        if "anyOf" in schema:
            return self.of(schema["anyOf"][0], name)
        values = schema.get("additionalProperties")
        if isinstance(values, dict):
            return f"dict[str, {self.of(values, name)}]"
        return super().of(schema, name)

    def payload(self, kind, schema):
        name = "".join(part.title() for part in kind.split(":"))
        ways = schema.get("oneOf", [schema])
        if len(ways) == 1:
            return self.make(name, {"properties": {}, **schema, "description": f"Of `{kind}`."})
        classes = []
        for way in ways:
            others = [set(other["required"]) for other in ways if other is not way]
            (own,) = [member for member in way["required"] if any(member not in other for other in others)][:1] or [""]
            own = next((member for member in way["required"] if not any(member in other for other in others)), own)
            classes.append(f"{name}By{own.title()}")
            self.make(classes[-1], {**way, "description": f"Of `{kind}`, with `{own}`."})
        self.classes.append(f"#: Of `{kind}`.\n{name} = Union[{', '.join(classes)}]")
        return None


def made():
    document = json.loads(SOURCE.read_text())
    types = Payloads(document["$defs"])
    for kind, schema in document["requests"].items():
        types.payload(kind, schema)
    return HEAD + "".join(f"\n\n{one}\n" for one in types.classes)


if __name__ == "__main__":
    if sys.argv[1:] == ["--check"]:
        sys.exit(0 if TARGET.read_text() == made() else f"{TARGET} is not what {SOURCE} says: python3 {__file__}")
    TARGET.write_text(made())

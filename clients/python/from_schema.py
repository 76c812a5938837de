"""Makes parlor/wire.py, the types of what goes over the wire, of docs/wire.schema.json.

    python3 clients/python/from_schema.py           # writes it
    python3 clients/python/from_schema.py --check    # whether it is as it would be written
"""

import json
import keyword
import sys

from from_openapi import HERE, Types

SOURCE = HERE.parents[1] / "docs/wire.schema.json"
TARGET = HERE / "parlor/wire.py"

HEAD = '''"""What goes over the wire (`docs/protocol.md`), for `Connection.request` and `Admin.call`: `ChatSend` is what the request
`chat:send` may have, `ChatSendReply` what its reply has, `ChatMessagePush` what the push `chat:message` has.

It was made of docs/wire.schema.json by from_schema.py: change what the server parses and writes.
"""

from __future__ import annotations

from typing import Any, Literal, TypedDict, Union
'''


class Payloads(Types):
    """Types of payloads: a request that can be said in several ways has a class for each."""

    def of(self, schema, name):
        if "anyOf" in schema:
            kinds = [self.of(one, name) for one in schema["anyOf"]]
            return kinds[0] if len(set(kinds)) == 1 else f"Union[{', '.join(kinds)}]"
        values = schema.get("additionalProperties")
        if isinstance(values, dict):
            return f"dict[str, {self.of(values, name)}]"
        return super().of(schema, name)

    def name(self, whole, member):
        """Members of several messages have one name, and are not the same."""
        return f"{whole}{member.title().replace('_', '')}"

    def make(self, name, schema):
        words = [member for member in schema["properties"] if keyword.iskeyword(member)]
        if words:
            # A class cannot have such a member, but can be made with it.
            own = {member: schema["properties"][member] for member in words}
            kinds = ", ".join(f'"{member}": {self.of(of, self.name(name, member))}' for member, of in own.items())
            others = {member: of for member, of in schema["properties"].items() if member not in own}
            assert set(words) <= set(schema["required"])
            self.classes.append(f'_{name}Words = TypedDict("_{name}Words", {{{kinds}}})')
            at = len(self.classes)
            super().make(name, {**schema, "properties": others})
            made = self.classes[at:]
            of_last = made[-1].replace("(TypedDict", f"(_{name}Words", 1)
            self.classes[at:] = [*made[:-1], of_last]
            return
        super().make(name, schema)

    def told(self, kind, schema, suffix, what):
        """Of a reply or a push; of one of several shapes there is a class for each."""
        name, about = f"{titled(kind)}{suffix}", f"{what} `{kind}`."
        if "$ref" in schema:
            self.classes.append(f"#: {about}\n{name} = {self.of(schema, name)}")
            return
        ways = schema.get("oneOf", [schema])
        names = [name] if len(ways) == 1 else [f"{name}{at}" for at in range(1, len(ways) + 1)]
        for one, way in zip(names, ways, strict=True):
            self.make(one, {**way, "description": about})
        if len(ways) > 1:
            self.classes.append(f"#: {about}\n{name} = Union[{', '.join(names)}]")

    def payload(self, kind, schema):
        name = titled(kind)
        # A class has nothing beside its members anyway.
        ways = [
            {**way, "properties": {member: of for member, of in way.get("properties", {}).items() if of is not False}}
            for way in schema.get("oneOf", [schema])
        ]
        if len(ways) == 1:
            return self.make(name, {**ways[0], "description": f"Of `{kind}`."})
        classes = []
        for way in ways:
            others = [set(other["required"]) for other in ways if other is not way]
            (own,) = [member for member in way["required"] if any(member not in other for other in others)][:1] or [""]
            own = next((member for member in way["required"] if not any(member in other for other in others)), own)
            classes.append(f"{name}By{own.title()}")
            self.make(classes[-1], {**way, "description": f"Of `{kind}`, with `{own}`."})
        self.classes.append(f"#: Of `{kind}`.\n{name} = Union[{', '.join(classes)}]")
        return None


def titled(kind):
    return "".join(part.title() for part in kind.split(":"))


def made():
    document = json.loads(SOURCE.read_text())
    types = Payloads(document["$defs"])
    for name in filter(types.is_class, types.schemas):
        types.make(name, types.schemas[name])
    for kind, schema in document["requests"].items():
        types.payload(kind, schema)
    for kind, schema in document["replies"].items():
        types.told(kind, schema, "Reply", "The reply to")
    for kind, schema in document["pushes"].items():
        types.told(kind, schema, "Push", "The push")
    return HEAD + "".join(f"\n\n{one}\n" for one in types.classes)


if __name__ == "__main__":
    if sys.argv[1:] == ["--check"]:
        sys.exit(0 if TARGET.read_text() == made() else f"{TARGET} is not what {SOURCE} says: python3 {__file__}")
    TARGET.write_text(made())

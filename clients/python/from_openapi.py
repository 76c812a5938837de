"""Makes parlor/api.py, the types of what the server's HTTP calls answer, of docs/openapi.json.

    python3 clients/python/from_openapi.py           # writes it
    python3 clients/python/from_openapi.py --check    # whether it is as it would be written
"""

import json
import keyword
import sys
import textwrap
from pathlib import Path

HERE = Path(__file__).parent
SOURCE = HERE.parents[1] / "docs/openapi.json"
TARGET = HERE / "parlor/api.py"

HEAD = '''"""What the server's HTTP calls answer, and are given (`docs/http.md`).

It was made of docs/openapi.json by from_openapi.py: change that. Times are in milliseconds since 1970, UTC.
"""

from __future__ import annotations

from typing import Any, Literal, TypedDict, Union
'''


class Types:
    """The classes that were made, and how a schema is written as a type."""

    def __init__(self, schemas):
        self.schemas = schemas
        self.classes = []

    def of(self, schema, name):
        """The type of a schema; `name` is for a class, if it needs one."""
        if "$ref" in schema:
            target = schema["$ref"].rsplit("/", 1)[-1]
            is_named = self.is_class(target) or self.schemas[target].get("type") == "array"
            return target if is_named else self.of(self.schemas[target], target)
        if "const" in schema:
            return f"Literal[{schema['const']!r}]"
        if "enum" in schema:
            return f"Literal[{', '.join(map(repr, schema['enum']))}]"
        if "oneOf" in schema:
            return f"Union[{', '.join(self.of(one, name) for one in schema['oneOf'])}]"
        kinds = schema.get("type", "any")
        if isinstance(kinds, list):
            parts = [self.of({**schema, "type": kind}, name) for kind in kinds if kind != "null"]
            return f"Union[{', '.join([*parts, 'None'])}]"
        if kinds == "array":
            return f"list[{self.of(schema['items'], name.removesuffix('s'))}]"
        if kinds == "object":
            if "properties" not in schema:
                return "dict[str, Any]"
            self.make(name, schema)
            return name
        return {"string": "str", "integer": "int", "number": "float", "boolean": "bool", "any": "Any"}[kinds]

    def name(self, whole, member):
        """That of the class of a member: its own, unless another schema has that."""
        own = member.title().replace("_", "")
        return f"{whole}{own}" if own.removesuffix("s") in self.schemas else own

    def is_class(self, name):
        return self.schemas[name].get("type") == "object" and "properties" in self.schemas[name]

    def make(self, name, schema):
        needed = set(schema.get("required", []))
        members = {"needed": [], "others": []}
        for member, of in schema["properties"].items():
            if keyword.iskeyword(member):
                raise SystemExit(f"{name}.{member} cannot be a member of a class")
            kind = self.of(of, self.name(name, member))
            about = " ".join(of.get("description", "").split())
            members["needed" if member in needed else "others"].append((member, kind, about))
        doc = schema.get("description", "")
        lines = []
        if members["needed"] and members["others"]:
            lines += [f"class _{name}(TypedDict):", *body(members["needed"]), "", "", f"class {name}(_{name}, total=False):", *told(doc), *body(members["others"])]
        else:
            total = "" if members["needed"] else ", total=False"
            lines += [f"class {name}(TypedDict{total}):", *told(doc), *body(members["needed"] or members["others"])]
        self.classes.append("\n".join(lines))


def told(doc):
    lines = textwrap.wrap(doc, 110)
    if not lines:
        return []
    return [f'    """{lines[0]}"""', ""] if len(lines) == 1 else ['    """' + lines[0], *(f"    {line}" for line in lines[1:]), '    """', ""]


def body(members):
    lines = []
    for member, kind, about in members:
        lines += [f"    #: {line}" for line in textwrap.wrap(about, 110)]
        lines.append(f"    {member}: {kind}")
    return lines


def made():
    document = json.loads(SOURCE.read_text())
    types = Types(document["components"]["schemas"])
    for name in types.schemas:
        if types.is_class(name):
            types.make(name, types.schemas[name])
        elif types.schemas[name].get("type") == "array":
            types.classes.append(f"#: {types.schemas[name].get('description', name)}\n{name} = {types.of(types.schemas[name], name)}")
    for path, methods in document["paths"].items():
        for operation in methods.values():
            content = operation.get("responses", {}).get("200", {}).get("content", {}) if isinstance(operation, dict) else {}
            schema = content.get("application/json", {}).get("schema", {})
            if "properties" in schema:
                name = operation["operationId"][0].upper() + operation["operationId"][1:]
                types.make(name, {"description": f"The answer of `{path}`.", **schema})
    return HEAD + "".join(f"\n\n{one}\n" for one in types.classes)


if __name__ == "__main__":
    if sys.argv[1:] == ["--check"]:
        sys.exit(0 if TARGET.read_text() == made() else f"{TARGET} is not what {SOURCE} says: python3 {__file__}")
    TARGET.write_text(made())

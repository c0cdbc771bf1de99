"""Write `web/src/client/routes.ts` from the server's own description of its API: `npm run types`."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
TARGET = ROOT / "web" / "src" / "client" / "routes.ts"
HEADER = "/* Made by `npm run types` from the server's description of its API. Not to be changed by hand. */\n"
PLAIN = {"string": "string", "number": "number", "integer": "number", "boolean": "boolean", "null": "null"}


def type_of(schema: Mapping[str, Any]) -> str:
    """Return the TypeScript type of a JSON schema; what is not described is `unknown`."""
    if "const" in schema or "enum" in schema:
        return " | ".join(json.dumps(one) for one in schema.get("enum", [schema.get("const")]))
    if "anyOf" in schema or "oneOf" in schema:
        return " | ".join(type_of(one) for one in schema.get("anyOf", schema.get("oneOf")))
    kind = schema.get("type")
    if isinstance(kind, list):
        return " | ".join(type_of({**schema, "type": one}) for one in kind)
    if kind == "array":
        return f"readonly ({type_of(schema.get('items', {}))})[]"
    if kind != "object":
        return PLAIN.get(str(kind), "unknown")
    required = set(schema.get("required", ()))
    fields = [
        f"readonly {name if re.fullmatch('[A-Za-z_]+', name) else json.dumps(name)}"
        f"{'' if name in required else '?'}: {type_of(one)}"
        for name, one in schema.get("properties", {}).items()
    ]
    if not fields:
        more = schema.get("additionalProperties")
        return f"Readonly<Record<string, {type_of(more) if isinstance(more, Mapping) else 'unknown'}>>"
    return "{ " + "; ".join(fields) + " }"


def routes(description: Mapping[str, Any]) -> Iterator[str]:
    """Write one entry of the interface `Routes` for each route that is not part of the older interface."""
    for path, operations in sorted(description["paths"].items()):
        if path.startswith("/sdapi/"):
            continue
        for method, operation in sorted(operations.items()):
            query = [one["name"] for one in operation.get("parameters", ()) if one["in"] == "query"]
            asked = "never" if not query else " | ".join(json.dumps(name) for name in sorted(query))
            content = operation.get("requestBody", {}).get("content", {})
            json_body = content.get("application/json")
            body = type_of(json_body["schema"]) if json_body else ("FormData" if content else "undefined")
            yield (
                f"  /** {operation['summary']} */\n"
                f'  "{method.upper()} {path}": {{ readonly query: {asked}; readonly body: {body} }};\n'
            )


def text_of(description: Mapping[str, Any]) -> str:
    """Return the whole file."""
    return f"{HEADER}export interface Routes {{\n{''.join(routes(description))}}}\n"


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    from engine.server.app import all_routes
    from engine.server.openapi import describe_api

    TARGET.write_text(text_of(describe_api(all_routes(), "0")), encoding="utf-8")

"""How many tokens a prompt is, counted by the tokenizer that encodes it."""

from __future__ import annotations

import functools
import itertools
import json
import math
from pathlib import Path
from typing import Any, Final

from aiohttp import web

from engine.errors import PathError, SafelightError
from engine.graph.mentions import EMBEDDINGS, named_files
from engine.server.state import Route, answer_error, answer_json, answer_problem, read_object, state_of

MAX_TEXT: Final = 200_000
"""Characters of a prompt that are looked at."""
MAX_HEADER: Final = 1 << 20
CHUNK: Final = 77
BODY: Final = {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]}


async def post_tokens(request: web.Request) -> web.StreamResponse:
    """Count a prompt's tokens, weights taken out, and the windows of 77 that it is encoded in.

    ``exact`` is false where the prompt names an embedding that is not there or whose length only running it tells.
    """
    text = (await read_object(request)).get("text")
    if not isinstance(text, str) or len(text) > MAX_TEXT:
        return answer_error(400, "invalid_request", "Nothing to count", f"text: at most {MAX_TEXT} characters")
    state = state_of(request)
    try:
        return answer_json(await state.catalogue.ask(count_tokens, text, state.folders))
    except SafelightError as error:
        return answer_problem(error, 500)


def count_tokens(text: str, folders: Any) -> dict[str, Any]:
    """Return ``{tokens, chunks, exact}`` of a prompt."""
    from engine.families.tokenizer import clip_tokenizer, tokenize_prompt

    tokenizer = clip_tokenizer()
    counts = {name: _vectors(folders, name) for name in named_files(text)}
    new_ids = itertools.count(len(tokenizer.vocabulary))
    inserted = {name: list(itertools.islice(new_ids, count or 0)) for name, count in counts.items()}
    filler = -1  # no token of any prompt
    chunks = tokenize_prompt(tokenizer, text, CHUNK, filler, inserted)
    marks = 2  # each chunk has its start and its end
    tokens = sum(len([one for one in chunk if one.id != filler]) - marks for chunk in chunks)
    return {"tokens": tokens, "chunks": len(chunks), "exact": None not in counts.values()}


def _vectors(folders: Any, name: str) -> int | None:
    """Return how many vectors stand for an embedding, from its file's header alone; None where that does not say."""
    try:
        path = folders.resolve(EMBEDDINGS, name)
        changed = path.stat().st_mtime_ns
        return _rows(path, changed) if path.suffix.lower() == ".safetensors" else None
    except (PathError, OSError, ValueError):
        return None


@functools.lru_cache(maxsize=1024)
def _rows(path: Path, _changed: int) -> int | None:
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length)) if length <= MAX_HEADER else None
    if not isinstance(header, dict):
        return None
    shapes = [entry.get("shape") for key, entry in header.items() if key != "__metadata__" and isinstance(entry, dict)]
    rows = {math.prod(shape[:-1]) for shape in shapes if isinstance(shape, list) and 0 < len(shape) <= 2}
    return rows.pop() if len(rows) == 1 else None


ROUTES: Final = (
    Route("POST", "/tokens", post_tokens, "How many tokens a prompt is", body=BODY, answers={400: "no text"}),
)

"""Counts of tokens against the tokenizer of transformers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from server_client import Caller

from engine.families.tokenizer import clip_tokenizer

PLAIN = ["", "a red apple", "It's 2024: naïve café — 漢字 🙂!", "word " * 200]


def test_plain_prompts_have_as_many_tokens_as_the_tokenizer_says(serve: Any) -> None:
    async def journey(caller: Caller) -> None:
        for text in PLAIN:
            counted = await caller.post("/tokens", {"text": text})
            assert counted["tokens"] == len(clip_tokenizer().encode(text)), text
            assert counted["exact"] and counted["chunks"] == max(1, -(-counted["tokens"] // 75))
        await caller.post("/tokens", {"text": 5}, 400)
        await caller.post("/tokens", {"text": "x" * 200_001}, 400)

    serve(journey)


def test_weights_count_nothing_and_embeddings_as_many_as_they_have_vectors(serve: Any, base: Path) -> None:
    async def journey(caller: Caller) -> None:
        folder = base / "models" / "embeddings"
        folder.mkdir(parents=True)
        header = json.dumps({"emb_params": {"dtype": "F32", "shape": [3, 2], "data_offsets": [0, 24]}}).encode()
        (folder / "style.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + bytes(24))
        plain = await caller.post("/tokens", {"text": "a red apple"})
        assert (await caller.post("/tokens", {"text": "a (red:1.3) ((apple))"}))["tokens"] == plain["tokens"]
        with_style = await caller.post("/tokens", {"text": "a red apple, embedding:style"})
        comma = 1
        assert with_style == {"tokens": plain["tokens"] + comma + 3, "chunks": 1, "exact": True}
        assert (await caller.post("/tokens", {"text": "embedding:gone"})) == {"tokens": 0, "chunks": 1, "exact": False}

    serve(journey)

"""From prompt texts to weighted tokens."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from engine.families.prompt_weights import WeightedText, parse_weights
from engine.families.tokenizer import ClipTokenizer, clip_tokenizer, find_vocabulary, tokenize_prompt


@pytest.fixture(scope="module")
def tokenizer() -> ClipTokenizer:
    return clip_tokenizer()


def test_reference_tokens(tokenizer: ClipTokenizer, reference: Path) -> None:
    cases = json.loads((reference / "clip_l_tokens.json").read_text(encoding="utf-8"))
    assert len(cases) > 15
    for case in cases:
        got = [[[token.id, token.weight] for token in chunk] for chunk in tokenize_prompt(tokenizer, case["text"])]
        assert got == case["batches"], case["text"]


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ("plain", [("plain", 1.0)]),
        ("", []),
        ("()", []),
        ("a (b) c", [("a ", 1.0), ("b", 1.1), (" c", 1.0)]),
        ("(a:1.5)", [("a", 1.5)]),
        ("((a:1.5) b:2)", [("a", 1.5), (" b", 2.0)]),
        ("((a) b:2)", [("a", 2.2), (" b", 2.0)]),
        ("(a:-0.5)", [("a", -0.5)]),
        ("(a: 1.5 )", [("a", 1.5)]),
        ("(a:b)", [("a:b", 1.1)]),
        ("(a:b:1.2)", [("a:b", 1.2)]),
        ("(:1.2)", [(":1.2", 1.1)]),
        ("(a:nan)", [("a:nan", 1.1)]),
        ("(a:inf)", [("a:inf", 1.1)]),
        (r"\(a\) (b\))", [("(a) ", 1.0), ("b)", 1.1)]),
        ("(a", [("(a", 1.0)]),
        ("((a)", [("(a", 1.1)]),
        ("a) (b)", [("a) (b)", 1.0)]),
        ("a) ((b))", [("a) (", 1.0), ("b", 1.1), (")", 1.0)]),
    ],
)
def test_weights_grammar(prompt: str, expected: list[tuple[str, float]]) -> None:
    got = parse_weights(prompt)
    assert [piece.text for piece in got] == [text for text, _ in expected]
    assert [piece.weight for piece in got] == pytest.approx([weight for _, weight in expected])


def test_deep_nesting_takes_no_time_and_no_stack() -> None:
    depth = 20_000
    start = time.perf_counter()
    assert parse_weights("(" * depth + "a" + ":0.5)" * depth) == (WeightedText("a", 0.5),)
    parse_weights("(" * depth + "a" + ")" * (depth - 1))
    parse_weights(")(" * depth)
    assert time.perf_counter() - start < 5


def test_small_pieces_move_to_the_next_chunk_and_large_ones_are_cut(tokenizer: ClipTokenizer) -> None:
    filler = "cat " * 73
    moved = tokenize_prompt(tokenizer, filler + "(one two three:1.2)")
    assert [sum(token.weight != 1.0 for token in chunk) for chunk in moved] == [0, 3]
    cut = tokenize_prompt(tokenizer, filler + "(a a a a a a a a a:1.2)")
    assert [sum(token.weight != 1.0 for token in chunk) for chunk in cut] == [2, 7]
    exact = tokenize_prompt(tokenizer, "cat " * 75)
    assert len(exact) == 1 and exact[0][-1].id == tokenizer.end


def test_chunks_have_their_length_whatever_the_prompt(tokenizer: ClipTokenizer) -> None:
    for count in (0, 1, 74, 75, 76, 150, 151):
        for chunk in tokenize_prompt(tokenizer, "cat " * count):
            assert len(chunk) == 77
            assert chunk[0].id == tokenizer.start and chunk[-1].id == tokenizer.end


TEXTS = (
    "it's we'll I'VE they'd 'tis rock'n'roll",
    "naïve Ünïcode ﬁ ½ ² ٣ Ⅷ ß İ ſ",
    "漢字 かな 한글 русский عربى",
    "a.b,c;d!e?f  --  ...!!!  ((( x_y-z ~`@#$%^&*",
    "👩‍👩‍👧 🏳️‍🌈 ☃",
    "tabs\tand\nnewlines\r\n\u00a0\u3000",
    "e\u0301 composed",
    "1234567890 3.14 10k 2nd",
    "supercalifragilisticexpialidocious antidisestablishmentarianism",
    "<|startoftext|> in the <|endoftext|> text",
)


def test_words_agree_with_the_original_pattern(tokenizer: ClipTokenizer) -> None:
    """CLIP splits with a regular expression; ours reads characters. They must agree."""
    regex = pytest.importorskip("regex")
    pattern = regex.compile(
        r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+", regex.IGNORECASE
    )
    from engine.families.tokenizer import _words

    for text in TEXTS:
        assert list(_words(text.lower())) == pattern.findall(text.lower()), text


def test_ids_agree_with_transformers(tokenizer: ClipTokenizer) -> None:
    transformers = pytest.importorskip("transformers")
    import gzip

    lines = gzip.decompress(find_vocabulary().read_bytes()).decode("utf-8").split("\n")[1 : 49152 - 256 - 1]
    merges = [tuple(line.split()) for line in lines]
    end = "<|endoftext|>"
    theirs = transformers.CLIPTokenizer(
        vocab=tokenizer.vocabulary, merges=merges, unk_token=end, pad_token=end, bos_token="<|startoftext|>"
    )
    for text in TEXTS[:-1]:  # special tokens in the text are cut out before transformers tokenizes
        assert tokenizer.encode(text) == theirs(text)["input_ids"][1:-1], text


def test_any_text_can_be_read(tokenizer: ClipTokenizer) -> None:
    for text in ("\x00", "\ud800", "\u200b", "a" * 5000, "xqzjv" * 400, chr(0x10FFFF)):
        ids = tokenizer.encode(text)
        assert all(0 <= token < 49406 for token in ids)


def test_the_vocabulary_is_found_without_importing_its_package(root: Path) -> None:
    code = (
        "import sys; from engine.families.tokenizer import clip_tokenizer; clip_tokenizer().encode('a cat');"
        "assert not {'clip', 'transformers', 'ftfy', 'torch'} & set(sys.modules), sorted(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], cwd=root, check=True)

"""Documents: texts in NFC, from files, and their token ids.

Characters are code points of the text in NFC, bytes those of its UTF-8; line ends stay as they are, so CRLF is two
characters. Models with different tokenizers are thus compared over the same count. Names of special tokens in a text are
text. Documents are never joined unless the user asks for it.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from stages.lib.core import row_files
from stages.lib.core.errors import UserError

ROW_SUFFIXES = (".jsonl", ".json", ".parquet")
DEFAULT_FIELDS = (("text",), ("question", "answer"))  # of a row: the first of these that it has


class Corpus(NamedTuple):
    """texts: of the documents, in NFC, none empty."""

    name: str
    texts: list[str]

    @property
    def sha256(self) -> str:
        """Over the UTF-8 of every document, each behind its length, so that the borders count."""
        digest = hashlib.sha256()
        for text in self.texts:
            data = text.encode()
            digest.update(len(data).to_bytes(8, "little") + data)
        return digest.hexdigest()


class Encoded(NamedTuple):
    """A document as the model reads it. ids: with the begin token, if there is one. first: how many tokens at the start
    are only read. skipped: the text that these stand for, whose characters do not count."""

    ids: list[int]
    first: int
    skipped: str


def make_corpus(name: str, texts: Iterable[str]) -> Corpus:
    """Raises UserError where there is no text, or one that is no valid Unicode (a lone surrogate)."""
    kept = [unicodedata.normalize("NFC", text) for text in texts if text]
    if not kept:
        raise UserError(f"{name}: holds no text; name one that does")
    for number, text in enumerate(kept, 1):
        try:
            text.encode()
        except UnicodeEncodeError:
            raise UserError(f"{name}: document {number} has a lone surrogate, which no UTF-8 stands for") from None
    return Corpus(name, kept)


def join(corpus: Corpus) -> Corpus:
    """All documents as one, a blank line between them, as the paper's code reads them."""
    return make_corpus(corpus.name, ["\n\n".join(corpus.texts)])


def read_corpus(path: Path, fields: Sequence[str] = (), name: str = "") -> Corpus:
    """The documents of a file: one of a text file, one a row of JSONL, a JSON list or Parquet.

    fields: of a row, joined by line breaks; by default `text`, or `question` and `answer`. name: by default the file's.
    Raises UserError for a file that cannot be read, is no UTF-8 or holds no text, and for a row without its fields.
    """
    label = name or path.name
    if path.suffix in ROW_SUFFIXES:
        return make_corpus(label, [_join_fields(path, place, row, fields) for place, row in row_files.iter_rows(path)])
    if fields:
        raise UserError(
            f"{path}: a text file has no fields; leave --field out, or name a .jsonl, .json or .parquet file"
        )
    try:
        return make_corpus(label, [path.read_bytes().decode("utf-8-sig")])
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: is no UTF-8 at byte {error.start}; convert it first") from None


def _join_fields(path: Path, place: int, row: Any, fields: Sequence[str]) -> str:
    if not isinstance(row, Mapping):
        raise UserError(f"{path}:{place}: must be a mapping of fields, got {type(row).__name__}")
    chosen = fields or next((names for names in DEFAULT_FIELDS if all(name in row for name in names)), ())
    if not chosen:
        raise UserError(f"{path}:{place}: has {', '.join(map(str, row)) or 'no field'}; name what to read by --field")
    for name in chosen:
        if not isinstance(row.get(name), str):
            raise UserError(f"{path}:{place}: {name} must be text, got {row.get(name)!r:.40}; name another --field")
    return "\n".join(row[name] for name in chosen)


def encode(tokenizer: Any, text: str) -> Encoded:
    """One document behind the tokenizer's begin token. Without one, the first token has nothing to be predicted from: it
    is only read, with the other tokens of its character where that is cut into bytes.

    Raises UserError for a tokenizer that has neither a begin token nor places of its tokens in the text, and for one that
    drops or does not know a part of the text: its bits would be spread over characters that they say nothing of.
    """
    options = {"add_special_tokens": False, "split_special_tokens": True}
    encoded = tokenizer(text, **options, return_offsets_mapping=tokenizer.is_fast)
    ids, places = encoded["input_ids"], encoded.get("offset_mapping")
    if lost := find_lost_text(text, ids, places, tokenizer.unk_token_id):
        raise UserError(f"the tokenizer drops or does not know {lost!r}, so bits per character would be too low")
    if tokenizer.bos_token_id is not None:
        return Encoded([tokenizer.bos_token_id, *ids], 1, "")
    if places is None:
        raise UserError(
            "the tokenizer has no begin token and does not say where its tokens lie; convert it to a fast one"
        )
    if not ids:
        return Encoded([], 1, text)
    end, first = places[0][1], 1
    while first < len(ids) and places[first][0] < end:
        end, first = max(end, places[first][1]), first + 1
    return Encoded(ids, first, text[: end if first < len(ids) else len(text)])


def find_lost_text(
    text: str, ids: Sequence[int], places: Sequence[tuple[int, int]] | None, unknown: int | None
) -> str | None:
    """The first part of a text that no token stands for, or only the unknown one; None: there is none.

    places: where each token lies; None: not known, then all is lost where a token is unknown. Spaces may lie outside all
    places, as some tokenizers count them to no token."""
    if places is None:
        return text[:20] if unknown in ids else None
    is_kept = bytearray(len(text))
    for token, (start, end) in zip(ids, places, strict=True):
        if token != unknown:
            is_kept[start:end] = b"\1" * (end - start)
    words = "".join(" " if kept else letter for kept, letter in zip(is_kept, text, strict=True)).split()
    return words[0][:20] if words else None

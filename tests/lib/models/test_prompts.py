"""One prompt for all stages: plain, with examples, or in a chat template; what ends a solution; what a step is."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors

from stages.generators import generator
from stages.generators.base.tokenizer import build_tokenizer
from stages.lib.core.errors import UserError
from stages.lib.core.records import Step
from stages.lib.grading import answers
from stages.lib.inference import multiple_choice
from stages.lib.inference.native_engine import NativeEngine
from stages.lib.inference.sampling import GREEDY, Distribution, sample
from stages.lib.models.encoding import Encoder
from stages.lib.models.loading import load_tokenizer, save
from stages.lib.models.prompts import (
    NEXT_QUESTION,
    PLAIN_TEMPLATE,
    Prompt,
    PromptParams,
    build_instruction,
    format_answer,
)
from stages.lib.models.stops import StopCriteria
from stages.lib.training import sft
from tests.helpers import tiny_models
from tests.lib.verifiers.test_published_models import sentencepiece

CHATML = (
    "{% for m in messages %}{% if loop.first and m['role'] != 'system' %}"
    "<|im_start|>system\nYou help.<|im_end|>\n{% endif %}"
    "<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
LLAMA = (
    "{{ bos_token }}{% for m in messages %}<|start_header_id|>{{ m['role'] }}<|end_header_id|>\n\n{{ m['content'] | trim }}"
    "<|eot_id|>{% endfor %}{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>\n\n{% endif %}"
)
GEMMA = (
    "{{ bos_token }}{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
    "{% for m in messages %}<start_of_turn>{{ 'model' if m['role'] == 'assistant' else m['role'] }}\n"
    "{{ m['content'] | trim }}<end_of_turn>\n{% endfor %}{% if add_generation_prompt %}<start_of_turn>model\n{% endif %}"
)
LLAMA_TOKENS = ["<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"]
# family: (architecture, template, begin, end of text, other special tokens, end of a turn)
FAMILIES = {
    "smollm2": ("llama", CHATML, "<|im_start|>", "<|im_end|>", ["<|endoftext|>"], "<|im_end|>"),
    "qwen2": ("qwen2", CHATML, None, "<|im_end|>", ["<|im_start|>", "<|endoftext|>"], "<|im_end|>"),
    "llama3": ("llama", LLAMA, "<|begin_of_text|>", "<|end_of_text|>", LLAMA_TOKENS, "<|eot_id|>"),
    "gemma": ("gemma2", GEMMA, "<bos>", "<eos>", ["<start_of_turn>", "<end_of_turn>"], "<end_of_turn>"),
}


def chat_tokenizer(family):
    """Bytes as tokens, with the special tokens, template and opening token of a family of instruct models."""
    from transformers import PreTrainedTokenizerFast

    _, template, begin, end, others, _ = FAMILIES[family]
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    backend = Tokenizer(models.BPE(vocab={"<pad>": 0, **{c: i + 1 for i, c in enumerate(letters)}}, merges=[]))
    backend.pre_tokenizer, backend.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    names = {"bos_token": begin} if begin else {}
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend,
        eos_token=end,
        pad_token="<pad>",
        **names,
        chat_template=template,
        clean_up_tokenization_spaces=False,
    )
    # As published: special, but not among `all_special_tokens`.
    tokenizer.add_tokens([AddedToken(name, special=True, normalized=False) for name in others])
    if begin and family != "smollm2":  # these open whatever they encode; a template that also opens it must not double
        opening = tokenizer.convert_tokens_to_ids(begin)
        tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
            single=f"{begin} $A", special_tokens=[(begin, opening)]
        )
    return tokenizer


def saved(family, root):
    """A folder as the family publishes it: the generation config names every token that ends a turn or a text."""
    tokenizer = chat_tokenizer(family)
    architecture, *_, end, others, turn = FAMILIES[family]
    model = tiny_models.make_model(architecture, len(tokenizer))
    ends = tokenizer.convert_tokens_to_ids([end, turn, *[name for name in others if name == "<|endoftext|>"]])
    model.generation_config.eos_token_id = sorted(set(ends))
    model.generation_config.do_sample = False
    save(model, tokenizer, root)
    return model, load_tokenizer(root), set(ends)


@pytest.fixture(scope="module", params=FAMILIES)
def family(request, tmp_path_factory):
    root = tmp_path_factory.mktemp(request.param) / "model"
    model, tokenizer, ends = saved(request.param, root)
    Prompt(style="chat").write(root.parent / "prompt.json")
    return request.param, model, tokenizer, ends, Encoder.load(root, root.parent / "prompt.json")


def test_a_chat_prompt_is_the_template_s_own(family):
    name, _, tokenizer, _, encoder = family
    problem = tiny_models.make_problem(3)
    ids = encoder.prompt_ids(problem)
    turns = [{"role": "user", "content": problem.question}]
    assert ids == tokenizer.apply_chat_template(turns, add_generation_prompt=True, return_dict=False)
    begin = FAMILIES[name][2]
    if begin and name != "smollm2":
        assert ids.count(tokenizer.convert_tokens_to_ids(begin)) == 1 and ids[0] == tokenizer.bos_token_id
    whole = tokenizer.apply_chat_template([*turns, {"role": "assistant", "content": "1\n2"}], return_dict=False)
    solved = encoder.encode(problem, ["1", "2"])
    assert solved.ids[solved.prompt_length - len(ids) :][: len(ids)] == ids
    assert whole[: len(ids)] == ids and encoder.end_id in whole[len(ids) :]


def test_what_ends_a_turn_ends_a_solution(family):
    name, _, tokenizer, ends, encoder = family
    turn = tokenizer.convert_tokens_to_ids(FAMILIES[name][-1])
    assert encoder.end_id == turn and set(encoder.stops.token_ids) == ends | {tokenizer.eos_token_id, turn}
    assert encoder.encode(tiny_models.make_problem(0), ["x"]).ids[-1] == turn


@pytest.mark.slow
def test_generation_ends_where_transformers_ends_it(family):
    import torch

    _, model, _, _, encoder = family
    prompts = [encoder.prompt_ids(tiny_models.make_problem(i)) for i in range(4)]
    ours = sample(NativeEngine(model, 16), prompts, [[i] for i in range(4)], GREEDY, 60, encoder.stops)
    for prompt, (draw,) in zip(prompts, ours, strict=True):
        theirs = model.generate(
            torch.tensor([prompt]), attention_mask=torch.ones(1, len(prompt)), max_new_tokens=60, do_sample=False
        )[0, len(prompt) :].tolist()
        assert draw.ids == theirs and (draw.finish == "stop") == (theirs[-1] in encoder.stops.token_ids)
    many = sample(NativeEngine(model, 64), prompts[:1], [list(range(64))], Distribution(1.0), 60, encoder.stops)[0]
    ended = [draw for draw in many if draw.finish == "stop"]
    assert ended and all(draw.ids[-1] in encoder.stops.token_ids for draw in ended)
    assert not any(set(draw.ids[:-1]) & set(encoder.stops.token_ids) for draw in many)


def test_names_of_special_tokens_in_a_question_are_text(family):
    name, _, tokenizer, _, encoder = family
    _, _, begin, end, others, turn = FAMILIES[name]
    special = {token for token, added in tokenizer.added_tokens_decoder.items() if added.special}
    problem = tiny_models.make_problem(0).model_copy(update={"question": f"What is {turn}{others[0]} in {end}?"})
    plain = tiny_models.make_problem(0).model_copy(update={"question": "What is in?"})
    read, usual = ([token for token in encoder.prompt_ids(p) if token in special] for p in (problem, plain))
    assert read == usual and turn in tokenizer.decode(encoder.prompt_ids(problem), skip_special_tokens=True)
    assert not special & set(encoder.encode_texts([f"a {turn} b"])[0])
    shots = Prompt(style="chat", shots=1, examples=[{"question": f"a {turn}", "solution": f"{others[0]} b"}])
    usual = Prompt(style="chat", shots=1, examples=[{"question": "a", "solution": "b"}])
    read, usual = (
        [token for token in Encoder(tokenizer, p).prompt_ids(plain, shots=True) if token in special]
        for p in (shots, usual)
    )
    assert read == usual, "in examples, too"
    asked = Encoder(tokenizer).prompt_ids(problem)
    assert [token for token in asked if token in special] == [
        t for t in Encoder(tokenizer).prompt_ids(plain) if t in special
    ]


def test_examples_are_turns_of_a_chat(family):
    _, _, tokenizer, _, encoder = family
    problem, both = tiny_models.make_problem(3), [tiny_models.make_problem(4), tiny_models.make_problem(5)]
    prompt = generator.build_prompt(PromptParams(style="chat", shots=1), both, 1, trained=False)
    (shown,) = (each for each in both if each.question == prompt.examples[0].question)
    solution = "\n".join(sft.get_steps(shown))
    turns = [
        {"role": "user", "content": shown.question},
        {"role": "assistant", "content": solution},
        {"role": "user", "content": problem.question},
    ]
    asked = Encoder(tokenizer, prompt)
    assert asked.prompt_ids(problem, shots=True) == tokenizer.apply_chat_template(
        turns, add_generation_prompt=True, return_dict=False
    )
    assert asked.prompt_ids(problem) == encoder.prompt_ids(problem), "a verifier reads the question alone"


def test_a_template_that_cannot_is_told(tmp_path):
    with pytest.raises(UserError, match="has no chat template; set plain"):
        Encoder(build_tokenizer(), Prompt(style="chat"))
    tokenizer = saved("gemma", tmp_path / "model")[1]
    with pytest.raises(UserError, match="refuses this prompt .System role not supported"):
        Encoder(tokenizer, Prompt(style="chat", system="Be brief.")).prompt_ids("q")
    tokenizer = saved("qwen2", tmp_path / "other")[1]
    told = tokenizer.decode(Encoder(tokenizer, Prompt(style="chat", system="Be brief.")).prompt_ids("q"))
    assert "Be brief." in told and "You help." not in told


def test_a_template_gets_the_same_date_every_day_and_its_own_variables(tmp_path):
    tokenizer = saved("qwen2", tmp_path / "model")[1]
    tokenizer.chat_template = (
        "{{ strftime_now('%d %b %Y') }}|{{ date_string }}|{{ enable_thinking }}|" + tokenizer.chat_template
    )
    prompt = Prompt(style="chat", template={"enable_thinking": False})
    text = tokenizer.decode(Encoder(tokenizer, prompt).prompt_ids("q"))
    assert text.startswith("26 Jul 2024|26 Jul 2024|False|")


def test_sentencepiece_puts_no_space_between_steps():
    """It puts one in front of whatever it is given, and takes one from what it decodes."""
    tokenizer = sentencepiece()
    tokenizer.backend_tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    encoder = Encoder(tokenizer)
    lines = ["    return n", "    x = 1", "Then 4"]
    read = encoder.encode("q", lines, finished=False)
    written = read.ids[read.prompt_length :]
    assert encoder.decode_text(written) == "".join(f"{line}\n" for line in lines)
    joined = tokenizer("\n" + "".join(f"{line}\n" for line in lines), add_special_tokens=False)["input_ids"]
    assert joined[-len(written) :] == written
    assert len({tokens[0] for tokens in encoder.encode_texts(["+ yes", "- no"])}) == 2


def test_the_form_of_the_answer_is_asked_for_and_read():
    """What the instruction asks, gold solutions do, and the grader reads."""
    base = tiny_models.make_problem(0)
    kinds = {
        "a letter": base.model_copy(
            update={"answer_type": "choice", "choices": ["x", "y"], "answer": "B", "steps": None}
        ),
        "boxed": base.model_copy(update={"answer_type": "latex", "answer": r"\frac12", "steps": None}),
        "a number": base.model_copy(update={"steps": None}),
        "a truth value": base.model_copy(update={"answer_type": "boolean", "answer": "False", "steps": None}),
        "AIME": base.model_copy(update={"benchmark": "aime", "answer_type": "integer", "answer": "7", "steps": None}),
    }
    for kind, problem in kinds.items():
        asked = Prompt(instruct=True).format_question(problem)
        assert (
            asked.startswith(problem.format_prompt())
            and build_instruction(problem) in asked
            and Prompt().format_question(problem) == problem.format_prompt()
        ), kind
        assert sft.get_steps(problem) == [format_answer(problem)]
        read = answers.extract("So it is 3.\n" + format_answer(problem), problem.answer_type)
        assert answers.equal(problem.answer, read, problem.answer_type), kind
    assert "\\boxed{}" in build_instruction(kinds["AIME"]) and "####" in build_instruction(base)
    code = base.model_copy(update={"answer_type": "code", "tests": {"entry_point": "f", "test": ""}, "steps": None})
    assert "`f`" in build_instruction(code) and "standard input" in build_instruction(
        code.model_copy(update={"tests": {"public": {}}})
    )
    assert build_instruction(base.model_copy(update={"benchmark": "dyval"})) == ""
    assert Prompt(instruct=True).format_question(base.model_copy(update={"abstain": True})).count("N/A") == 1


def test_examples_are_keyed_and_never_of_test(tmp_path):
    problems = [tiny_models.make_problem(i) for i in range(20)]
    prompt = generator.build_prompt(PromptParams(shots=3), problems, 1, trained=False)
    assert prompt == generator.build_prompt(PromptParams(shots=3), problems[::-1], 1, trained=False), (
        "the order of the problems is no matter"
    )
    assert prompt.examples[:3] == generator.build_prompt(PromptParams(shots=2), problems, 1, trained=False).examples
    assert prompt.examples != generator.build_prompt(PromptParams(shots=3), problems, 2, trained=False).examples
    with pytest.raises(UserError, match="3 examples and a spare one are needed, but 3 problems"):
        generator.build_prompt(PromptParams(shots=3), problems[:3], 1, trained=False)
    encoder = Encoder(build_tokenizer(), prompt)
    text = encoder.tokenizer.decode(encoder.prompt_ids(tiny_models.make_problem(30), shots=True))
    first = prompt.examples[0]
    assert text.startswith(PLAIN_TEMPLATE.format(question=first.question) + first.solution + "\nQuestion: ")
    assert (
        text.endswith(PLAIN_TEMPLATE.format(question=tiny_models.make_problem(30).question))
        and text.count("Answer:") == 4
    )
    prompt.write(tmp_path / "prompt.json")
    assert Prompt.read(tmp_path / "prompt.json") == prompt
    encoder.save(tmp_path)
    assert Prompt.read(tmp_path / "prompt.json").examples == []
    (tmp_path / "prompt.json").write_text('{"style": "loud"}')
    with pytest.raises(UserError, match="prompt.json: style"):
        Prompt.read(tmp_path / "prompt.json")


def test_an_invented_next_question_is_cut():
    encoder = Encoder(build_tokenizer(), Prompt(stop=["THE END"]))
    for text, kept in [
        ("4 + 1 = 5\n#### 5\nQuestion: Bob has 3.\nAnswer:\n#### 3", "4 + 1 = 5\n#### 5"),
        ("#### 5 THE END and more", "#### 5 "),
        ("A Question: mark is text", "A Question: mark is text"),
        ("Question: none", ""),
    ]:
        assert encoder.prompt.truncate_at_stop(text) == kept
    assert Prompt(style="chat").truncate_at_stop("a\nQuestion: b") == "a\nQuestion: b"
    for stop, text, kept in (
        ("\n", "The answer is B.", "The answer is B."),
        ("\n\n", "\n4\n#### 5\n\nNext", "\n4\n#### 5"),
    ):
        assert Prompt(stop=[stop]).truncate_at_stop(text) == kept, "a stop that begins with a line break"
    with pytest.raises(ValueError, match="at least 1 character"):
        Prompt(stop=[""])


@pytest.mark.slow
@pytest.mark.parametrize("texts", [("a",), ("ab", "an", "ri"), ("\n",), ("é",), ("🙂🙂🙂",)])
def test_an_engine_stops_at_a_text(texts):
    """The same draws as without, each up to the token that completes a text."""
    tokenizer = build_tokenizer()
    model = tiny_models.make_model("qwen2", len(tokenizer) + 200)  # as many a model is padded
    prompts, keys = [tokenizer("Ann has")["input_ids"], tokenizer("Bob")["input_ids"]], [list(range(64)), [7, 8]]
    free = sample(NativeEngine(model, 32), prompts, keys, Distribution(1.0), 40, [tokenizer.eos_token_id])
    stops = StopCriteria(tokenizer, [tokenizer.eos_token_id], texts)
    cut = sample(NativeEngine(model, 32), prompts, keys, Distribution(1.0), 40, stops)
    met = 0
    for whole, part in zip(sum(free, []), sum(cut, []), strict=True):
        ends = [i + 1 for i in range(len(whole.ids)) if any(t in tokenizer.decode(whole.ids[: i + 1]) for t in texts)]
        length = ends[0] if ends else len(whole.ids)
        assert part.ids == whole.ids[:length] and part.logprobs == whole.logprobs[:length]
        assert part.finish == ("stop" if ends else whole.finish)
        met += bool(ends)
    assert met or len(texts[0].encode()) > 1, "the test meets no text"


def test_steps_are_lines_or_paragraphs():
    text = "Let x = 1.\nThen y = 2.\n \n\nSo\n\\boxed{2}\n"
    assert Prompt().split_steps(text) == ["Let x = 1.", "Then y = 2.", "So", "\\boxed{2}"]
    prompt = Prompt(steps="paragraphs")
    assert prompt.split_steps(text) == ["Let x = 1.\nThen y = 2.", "So\n\\boxed{2}"]
    encoder = Encoder(build_tokenizer(), prompt)
    read = encoder.encode("q", prompt.split_steps(text))
    assert (
        encoder.tokenizer.decode(read.ids[read.prompt_length : read.step_ends[0] + 1]) == "Let x = 1.\nThen y = 2.\n\n"
    )
    assert len(read.step_ends) == 2
    assert prompt.split_steps("a\r\n\r\nb\r\nc") == ["a", "b\nc"]
    proof = tiny_models.make_problem(0).model_copy(
        update={"answer_type": "latex", "steps": [Step(text=t) for t in (r"\begin{align*}", "x &= 1", r"\end{align*}")]}
    )
    assert (
        sft.get_steps(proof, prompt) == ["\\begin{align*}\nx &= 1\n\\end{align*}"]
        and len(sft.get_steps(proof, Prompt())) == 3
    )
    assert "blank line" in Prompt(instruct=True, steps="paragraphs").format_question(tiny_models.make_problem(0))


@given(st.lists(st.text("ab c.#\n", min_size=1, max_size=12), max_size=5), st.sampled_from(["lines", "paragraphs"]))
def test_splitting_what_was_joined_gives_the_steps(parts, kind):
    prompt = Prompt(steps=kind)
    steps = prompt.split_steps("\n\n".join(parts))
    assert prompt.split_steps(prompt.join_steps(steps)) == steps and all(step.strip() for step in steps)
    assert "".join("".join(steps).split()) == "".join("".join(parts).split()), "nothing is lost"


def test_options_by_log_probability():
    """Against whole forward passes, one an option."""
    import torch

    tokenizer = build_tokenizer()
    model, encoder = tiny_models.make_model("llama", len(tokenizer)), Encoder(tokenizer)
    for count in (2, 4, 10):
        problem = tiny_models.make_problem(1).model_copy(
            update={"choices": [f"{i} apples" for i in range(count)], "answer": "B", "answer_type": "choice"}
        )
        prompt, sums = encoder.prompt_ids(problem), []
        for letter in "ABCDEFGHIJ"[:count]:
            ids = tokenizer(f"The answer is {letter}.", add_special_tokens=False)["input_ids"]
            says = model(torch.tensor([prompt + ids])).logits[0].double().log_softmax(-1)
            sums.append(sum(says[len(prompt) + t - 1, token].item() for t, token in enumerate(ids)))
        choice = multiple_choice.predict_choice(model, encoder, problem)
        assert choice.logprob == pytest.approx(max(sums), abs=1e-5)
        assert choice.answer == "ABCDEFGHIJ"[sums.index(max(sums))] and choice.correct == (choice.answer == "B")


def test_next_is_what_the_plain_prompt_begins_with():
    assert (
        PLAIN_TEMPLATE.startswith(NEXT_QUESTION.strip()) and json.loads(Prompt().model_dump_json())["style"] == "plain"
    )

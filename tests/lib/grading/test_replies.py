"""What a model says once it has thought."""

import pytest

from stages.lib.grading.replies import strip_thinking


@pytest.mark.parametrize(
    ("text", "reply"),
    [
        ("72", "72"),
        ("", ""),
        ("<think>7? 8?</think>72", "72"),
        ("7? 8?</think>\n72", "\n72"),  # the opening tag stood in the prompt
        ("<Thinking>7</Thinking>6<think>5</think>4", "4"),
        ("<think>a <think> b</think> 72", " 72"),
        ("<think></think>", ""),
        ("<think>72", None),
        ("72 <think>or", None),
        ("<think>7</think> 72 <think>or", None),
        ("[THINK]7[/THINK]72", "72"),
        ("<thought>7</thought>72", "72"),
        ("<reasoning>7</reasoning><answer>72</answer>", "<answer>72</answer>"),
        ("◁think▷7◁/think▷72", "72"),
        ("[THINK]72", None),
        ("x < think > y", "x < think > y"),
    ],
)
def test_what_follows_the_thinking_is_the_reply(text, reply):
    assert strip_thinking(text) == reply

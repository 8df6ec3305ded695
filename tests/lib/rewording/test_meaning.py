"""What a rewording may do to numbers, and what it may not."""

import pytest

from stages.lib.rewording.meaning import check_question

QUESTION = "Ann has 5 apples and gets 3 more. Ben has 5 pears. How many apples does Ann have?"


@pytest.mark.parametrize(
    ("text", "is_changed"),
    [
        ("Ann owns 5 apples, then gets three more. Ben has 5 pears. How many apples does Ann have?", False),
        ("Ann has 5 apples, Ben has as many pears. Ann gets 3 more. How many apples does Ann have?", False),
        ("Of apples Ann has 5 and gets 3 more: 3! Ben has 5 pears. How many apples does Ann have?", False),
        ("Ann has 5 apples and gets 4 more. Ben has 5 pears. How many apples does Ann have?", True),
        ("Ann has 5 apples and gets 3 more. Ben has 3 pears. How many apples does Ann have?", True),
        ("Ann has 5 apples and gets some more. Ben has 5 pears. How many apples does Ann have?", True),
        ("Ann has 5 apples and gets 3 more. Ben has 5 pears and 7 plums. How many apples does Ann have?", True),
    ],
)
def test_no_number_may_be_written_for_another(text, is_changed):
    assert any("numbers changed" in fault for fault in check_question(QUESTION, text)) == is_changed


def test_one_week_is_a_week():
    faults = check_question(
        "Ann has 5 apples for 1 week. How many is that?", "For a week Ann has 5 apples. How many is it?"
    )
    assert not any("numbers" in fault for fault in faults)

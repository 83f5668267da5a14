"""The short answers: what people say for yes and for no, and what a transcript of free speech means."""

import re
from collections.abc import Iterable

YES = (
    "yes",
    "yes please",
    "yes i can",
    "yes i will",
    "yes that's right",
    "yes of course",
    "yeah",
    "yeah sure",
    "yep",
    "sure",
    "okay",
    "yes okay",
    "of course",
    "correct",
    "that's right",
    "absolutely",
    "definitely",
)
NO = (
    "no",
    "no thank you",
    "no thanks",
    "no i can't",
    "no i cannot",
    "no i won't",
    "no sorry",
    "nope",
    "nah",
    "i can't",
    "absolutely not",
    "of course not",
)
EXPECTED = YES + NO

DECOYS = (
    "hello",
    "hi",
    "what",
    "who is this",
    "who is calling",
    "what is this",
    "what did you say",
    "sorry",
    "pardon",
    "say that again",
    "repeat that",
    "i don't know",
    "maybe",
    "hold on",
    "wait",
    "one moment",
    "just a minute",
    "wrong number",
    "good morning",
    "good evening",
    "speaking",
    "this is",
    "my name is",
    "i am driving",
    "i am busy",
    "call me later",
    "he is not here",
    "she is not here",
    "nobody",
    "what time",
    "when",
    "where",
    "why",
    "how much",
    "today",
    "tomorrow",
    "yesterday",
    "monday",
    "tuesday",
    "wednesday",
    "thursday",
    "friday",
    "saturday",
    "sunday",
)
"""What people also say to a question on the phone, for recognizers that must choose among phrases."""

_MEANING = dict.fromkeys(YES, True) | dict.fromkeys(NO, False)
_NEGATIONS = frozenset(
    ["not", "never", "don't", "doesn't", "didn't", "can't", "cannot", "won't", "wouldn't", "isn't", "aren't"]
)
_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)?")


def meaning(phrase: str) -> bool | None:
    """Yes (True), no (False), or neither (None) of one of the expected phrases."""
    return _MEANING.get(phrase)


def find(text: str, expected: Iterable[str]) -> str:
    """The expected phrase that free speech comes down to; "" if it is none, or several that contradict each other.

    "Yes, please!" is "yes please"; "I'm not sure" is nothing, because a negation stands beside the match.
    """
    words = _WORD.findall(text.lower().replace("’", "'"))
    spoken = f" {' '.join(words)} "
    found = [phrase for phrase in expected if f" {phrase} " in spoken]
    if not found:
        return ""
    best = max(found, key=len)
    senses = {meaning(phrase) for phrase in found if phrase not in best or phrase == best}
    negated = not _NEGATIONS.isdisjoint(set(words) - set(best.split()))
    return "" if len(senses) > 1 or negated else best

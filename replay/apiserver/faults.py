"""A table of scripted rules turned into what each request should suffer."""

from __future__ import annotations

from dataclasses import dataclass, field

from .requests import Request
from .status import Reply


@dataclass(frozen=True, slots=True)
class Match:
    """Which requests a rule is for; an empty field means any."""

    verbs: tuple[str, ...] = ()
    resource: str = ""
    namespace: str = ""

    def covers(self, request: Request) -> bool:
        """True when the rule applies to this request."""
        if self.verbs and request.verb not in self.verbs:
            return False
        if self.namespace and request.namespace != self.namespace:
            return False
        if not self.resource:
            return True
        return request.resource is not None and request.resource.matches(self.resource)


@dataclass(frozen=True, slots=True)
class Effect:
    """What is done to one request. A further fault is one field more, and its verb one method."""

    delay_seconds: float = 0.0
    stall: bool = False  # no answer until the server resumes
    answer: Reply | None = None  # sent instead of the real one
    hang_up: bool = False  # the connection is closed instead of an answer
    empty: bool = False  # a watch: 200, no event, end
    cut: bool = False  # the body stops half way and the connection closes
    no_streaming_list: bool = False  # the gate is off: 422
    no_mark: bool = False  # a streaming list whose end is never marked
    no_bookmarks: bool = False  # bookmarks are asked for and never come

    @property
    def final(self) -> bool:
        """True when nothing of the real answer is left."""
        return self.answer is not None or self.hang_up or self.empty

    def joined(self, other: Effect) -> Effect:
        """Both: delays add up, the first answer counts."""
        return Effect(
            delay_seconds=self.delay_seconds + other.delay_seconds,
            stall=self.stall or other.stall,
            answer=self.answer or other.answer,
            hang_up=self.hang_up or other.hang_up,
            empty=self.empty or other.empty,
            cut=self.cut or other.cut,
            no_streaming_list=self.no_streaming_list or other.no_streaming_list,
            no_mark=self.no_mark or other.no_mark,
            no_bookmarks=self.no_bookmarks or other.no_bookmarks,
        )


@dataclass(slots=True)
class Rule:
    """One row: who, what, and for how many requests after how many that pass."""

    name: str  # of the fault verb, for the record of requests
    match: Match
    effect: Effect
    left: int | None = None  # None: until healed
    skip: int = 0

    def __post_init__(self) -> None:
        if self.left is not None and self.left < 0:
            raise ValueError(f"{self.name}: a rule for {self.left} requests")


@dataclass(slots=True)
class Script:
    """The rules in force, oldest first."""

    rules: list[Rule] = field(default_factory=list)

    def add(self, rule: Rule) -> None:
        """Append one rule."""
        self.rules.append(rule)

    def heal(self, name: str = "") -> None:
        """Remove the rules of one fault verb, or all."""
        self.rules = [rule for rule in self.rules if name and rule.name != name]

    def take(self, request: Request) -> tuple[Effect, str]:
        """What happens to this request and the verbs behind it; uses up one turn of each rule.

        Once something answers in place of the server, further such rules keep their turns.
        """
        effect, names = Effect(), []
        for rule in self.rules:
            if rule.left == 0 or not rule.match.covers(request):
                continue
            if effect.final and rule.effect.final:
                continue
            if rule.skip:
                rule.skip -= 1
                continue
            if rule.left is not None:
                rule.left -= 1
            effect = effect.joined(rule.effect)
            names.append(rule.name)
        self.rules = [rule for rule in self.rules if rule.left != 0]
        return effect, "+".join(names)

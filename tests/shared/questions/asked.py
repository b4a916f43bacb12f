"""Questions as Redis sees them, for tests: talks driven step by step, replicas played, everything said looked up."""

from __future__ import annotations

import asyncio
import time
from typing import Any, TypeVar

from redis.asyncio import Redis

from fairlead.format.codec import from_json
from fairlead.format.envelope import unseal
from fairlead.names import Names
from fairlead.publishing.publisher import Publisher
from fairlead.publishing.replies import Replies
from fairlead.questions import asks, talks
from fairlead.questions.asking import Asks
from fairlead.questions.asks import Result, Standing
from fairlead.questions.question import DEFAULT_POLICY, Question, free_question, split
from fairlead.questions.response import Responder, Response
from fairlead.questions.talks import Heard, Talk
from fairlead.redis.calls import Call, run

T = TypeVar("T")

ANNA = Responder("anna", "ops")
BOB = Responder("bob")
YES = Response(True, "go")
NO = Response(False)


def asked(*to: str, **wording: Any) -> Question:
    return free_question(to or ["anna"], "Go on?", DEFAULT_POLICY, **wording)


class World:
    """One Redis, and whoever speaks with it."""

    def __init__(self, redis: Redis, names: Names) -> None:
        self.redis = redis
        self.names = names
        self._publisher = Publisher(redis, names)
        self._replies = Replies(redis, names)
        self.people = Asks(redis, names, self._publisher, self._replies, sender="system", timeout_seconds=5)

    async def aclose(self) -> None:
        await self._replies.aclose()
        await self._publisher.aclose()

    # -- talks -----------------------------------------------------------------------------------

    async def drive(self, talk: Talk[T], *, steps: int = 1000, times: int = 1) -> T | None:
        """What *talk* returns; or None, when whoever has it dies after *steps*. Each step is done *times* over."""
        heard: Heard | None = None
        for _ in range(steps):
            try:
                step = next(talk) if heard is None else talk.send(heard)
            except StopIteration as end:
                result: T = end.value
                return result
            for _ in range(times):
                heard = await self.people._do(step)
        talk.close()
        return None

    def opening(self, question: Question, reply: str = "") -> Talk[Standing]:
        return talks.opening(self.names, question, reply, "service:tests")

    def answering(
        self, question: Question, by: Responder = ANNA, response: Response = YES
    ) -> Talk[tuple[Result, Standing | None]]:
        call = asks.answer(self.record(question), question.secret, by, response)
        return talks.answering(self.names, question.id, call)

    def closing(self, question: Question) -> Talk[tuple[Result, Standing | None]]:
        return talks.closing(self.names, question.id, question.secret)

    async def open(self, question: Question, reply: str = "") -> Standing:
        standing = await self.drive(self.opening(question, reply))
        assert standing is not None
        return standing

    async def answer(self, question: Question, by: Responder = ANNA, response: Response = YES) -> Result:
        done = await self.drive(self.answering(question, by, response))
        assert done is not None
        return done[0]

    async def sweep(self, question: Question) -> list[Standing]:
        """What replicas do about it by and by, until nothing is left to do before its deadline."""
        ended = []
        until = time.monotonic() + 5
        while (due := await self.due(question)) is not None:
            if due <= await self.now():
                over = await self.drive(talks.tending(self.names, question.id))
                ended += [over] if over else []
            elif (await self.standing(question)).said and due > await self.now() + 1000:
                break
            assert time.monotonic() < until, "there is always something to do"
            await asyncio.sleep(0.01)
        return ended

    # -- what there is ---------------------------------------------------------------------------

    def record(self, question: Question) -> asks.Record:
        return asks.record(self.names, question.id)

    def record_of(self, callback_id: str) -> asks.Record:
        return asks.record(self.names, split(callback_id)[0])

    async def settle(self, call: Call, question: Question) -> tuple[Result, Standing | None]:
        return asks.settled(question.id, await run(self.redis, *call))

    async def standing(self, question: Question) -> Standing:
        _, standing = await self.settle(asks.look(self.record(question), wholly=True), question)
        assert standing is not None
        return standing

    async def due(self, question: Question) -> float | None:
        score: float | None = await self.redis.zscore(self.record(question).due, question.id)
        return score

    async def now(self) -> int:
        seconds, micros = await self.redis.time()
        return int(seconds) * 1000 + int(micros) // 1000

    async def said(self, channel: str) -> list[dict[str, Any]]:
        """Everything that was said in *channel*."""
        entries = await self.redis.xrange(self.names.log(channel))
        return [from_json(unseal(fields[b"d"]).envelope.frame) for _, fields in entries]  # type: ignore[misc]

    async def dialogs(self, channel: str, question: Question) -> list[str]:
        """What a client in *channel* did with *question*: ``shown``, and how it was closed."""
        frames = [frame for frame in await self.said(channel) if frame["callback_id"].startswith(question.id)]
        return ["shown" if frame["type"] == "task_step_result" else frame["status"] for frame in frames]

    async def listed(self, channel: str) -> list[str]:
        return [id_.decode() for id_ in await self.redis.zrange(self.names.asks(channel), 0, -1)]

    async def audit(self, question: Question) -> list[dict[str, str]]:
        entries = await self.redis.xrange(self.names.audit)
        facts = [{key.decode(): value.decode() for key, value in fields.items()} for _, fields in entries]
        return [fact for fact in facts if fact["question"] == question.id]

    async def audited(self, question: Question) -> list[str]:
        return [fact["event"] for fact in await self.audit(question)]

    async def told(self, reply: str) -> list[str]:
        """The keys that a waiter was told of at the stream *reply*."""
        return [fields[b"key"].decode() for _, fields in await self.redis.xrange(reply)]

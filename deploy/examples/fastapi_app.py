"""FastAPI endpoints that ask somebody: one waits for the answer, another begins, a third looks as long as one likes."""

import os
from contextlib import asynccontextmanager

from fastapi import FastAPI, Response
from fastapi.responses import JSONResponse

import fairlead

fl = fairlead.connect(os.environ.get("REDIS_URL", "redis://127.0.0.1:6379/0"), name="shop")


@asynccontextmanager
async def lifespan(app):
    async with fl:
        yield


app = FastAPI(lifespan=lifespan)
STATUS = {"not_found": 404, "conflict": 409, "rate_limited": 429, "unavailable": 503}


@app.exception_handler(fairlead.FairleadError)
async def refused(request, error: fairlead.FairleadError):
    return JSONResponse({"detail": error.message}, STATUS.get(error.code, 422))


@app.post("/orders/{order}/refund")
async def refund(order: str, approver: str) -> fairlead.UserConfirmation:
    key = f"refund {order}"  # who calls again, anywhere, waits for the same answer; of somebody else: Conflict
    return await fl.ask(approver, f"Refund order {order}?", on_timeout="stop", timeout=60, idempotency_key=key)


@app.post("/questions", status_code=202)
async def begin(approver: str, message: str) -> fairlead.Asked:
    return await fl.begin_ask(approver, message, on_timeout="stop", timeout=3600)


@app.get("/questions/{callback_id}")
async def outcome(callback_id: str, response: Response, wait: float = 25) -> fairlead.UserConfirmation | None:
    answer = await fl.answer_to(callback_id, wait_seconds=min(wait, 25))
    response.status_code = 200 if answer else 202
    return answer

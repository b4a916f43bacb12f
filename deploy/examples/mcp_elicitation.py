"""What MCP servers ask of the user (`elicitation/create`) is asked through Fairlead, wherever the user is."""

from mcp.client import ClientRequestContext
from mcp.types import INVALID_PARAMS, ElicitRequestParams, ElicitResult, ErrorData

import fairlead


def elicitation(fl: fairlead.Backend, user_id: str):
    """``Client(server, elicitation_callback=elicitation(fl, "42"))``"""

    async def elicit(context: ClientRequestContext, asked: ElicitRequestParams) -> ElicitResult | ErrorData:
        if asked.mode == "url":
            return ErrorData(code=INVALID_PARAMS, message="only forms can be asked here")
        try:
            answer = await fl.ask(user_id, asked.message, schema=asked.requested_schema, on_timeout="stop")
        except fairlead.InvalidMessage as error:  # no form of plain fields
            return ErrorData(code=INVALID_PARAMS, message=error.message)
        if answer.proceed:
            return ElicitResult(action="accept", content=answer.content)
        return ElicitResult(action="decline" if answer.by_human else "cancel")

    return elicit

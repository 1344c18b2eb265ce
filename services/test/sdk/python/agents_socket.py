"""PyPI openai-agents: the scenarios of agents_client.py over its WebSocket transport, and some of its own."""

from agents import Agent, ModelSettings, responses_websocket_session, set_default_openai_responses_transport

from scenarios import MODEL, says, scenario

set_default_openai_responses_transport("websocket")


@scenario
async def session():
    settings = ModelSettings(store=False)
    agent = Agent(name="Clerk", instructions="You answer questions.", model=MODEL, model_settings=settings)
    async with responses_websocket_session() as session:
        first = await session.run(agent, says("One."))
        second = await session.run(agent, says("Two."), previous_response_id=first.last_response_id)
        assert second.final_output == "Two."
        third = session.run_streamed(agent, says("Three."), previous_response_id=second.last_response_id)
        async for _ in third.stream_events():
            pass
        assert third.final_output == "Three."


import agents_client  # noqa: E402, F401  its scenarios, and the run of them all

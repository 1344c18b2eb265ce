"""PyPI openai-agents."""

from agents import Agent, HostedMCPTool, RunConfig, Runner, function_tool, set_tracing_disabled
from agents.models.openai_provider import OpenAIProvider
from pydantic import BaseModel

from scenarios import HOSTED, MODEL, asks, run, says, scenario

set_tracing_disabled(True)


def config():
    return RunConfig(model_provider=OpenAIProvider(use_responses=True))


def clerk():
    """An agent with one function, and the numbers it was called with."""
    found = []

    @function_tool
    def lookup(number: str) -> str:
        """Finds an order."""
        found.append(number)
        return f"order {number}: sent"

    return found, Agent(name="Clerk", instructions="You answer questions about orders.", model=MODEL, tools=[lookup])


class Weather(BaseModel):
    city: str
    celsius: float


@scenario
async def agent():
    found, a = clerk()
    result = await Runner.run(a, asks("lookup", {"number": "7"}, "It was sent."), run_config=config())
    assert result.final_output == "It was sent."
    assert found == ["7"]
    assert [i.type for i in result.new_items] == ["tool_call_item", "tool_call_output_item", "message_output_item"]


@scenario
async def chain():
    _, a = clerk()
    first = await Runner.run(a, says("One."), run_config=config())
    second = await Runner.run(a, says("Two."), previous_response_id=first.last_response_id, run_config=config())
    assert second.final_output == "Two."
    third = await Runner.run(a, [*second.to_input_list(), {"role": "user", "content": says("Three.")}], run_config=config())
    assert third.final_output == "Three."


@scenario
async def structured():
    a = Agent(name="Reporter", instructions="You report.", model=MODEL, output_type=Weather)
    result = await Runner.run(a, says('{"city":"Paris","celsius":21}'), run_config=config())
    assert result.final_output == Weather(city="Paris", celsius=21)


@scenario
async def tools():
    a = Agent(name="Forecaster", instructions="You forecast.", model=MODEL, tools=[HostedMCPTool(tool_config=HOSTED)])
    result = await Runner.run(a, "What is the weather in Paris and Tokyo?", run_config=config())
    assert "Paris" in result.final_output and "Tokyo" in result.final_output


@scenario
async def agent_stream():
    found, a = clerk()
    result = Runner.run_streamed(a, asks("lookup", {"number": "7"}, "It was sent."), run_config=config())
    words, items = [], []
    async for event in result.stream_events():
        if event.type == "raw_response_event" and event.data.type == "response.output_text.delta":
            words.append(event.data.delta)
        if event.type == "run_item_stream_event":
            items.append(event.name)
    assert result.final_output == "It was sent." == "".join(words)
    assert found == ["7"]
    assert items == ["tool_called", "tool_output", "message_output_created"]


@scenario
async def tools_stream():
    a = Agent(name="Forecaster", instructions="You forecast.", model=MODEL, tools=[HostedMCPTool(tool_config=HOSTED)])
    result = Runner.run_streamed(a, "What is the weather in Paris and Tokyo?", run_config=config())
    async for _ in result.stream_events():
        pass
    assert "Paris" in result.final_output and "Tokyo" in result.final_output


@scenario
async def handoff():
    _, a = clerk()
    front = Agent(name="Front", instructions="You hand over.", model=MODEL, handoffs=[a])
    result = await Runner.run(front, asks("transfer_to_clerk", {}, "The clerk speaks."), run_config=config())
    assert result.final_output == "The clerk speaks."
    assert result.last_agent.name == "Clerk"


run()

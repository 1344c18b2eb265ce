"""PyPI openai: WebSocket mode."""

import json

import openai
from openai.lib.responses_websocket import (
    AsyncResponsesWebSocketSession,
    ResponsesWebSocketError,
    ResponsesWebSocketLimits,
    ResponsesWebSocketSession,
)

from scenarios import HOSTED, MODEL, asks, plan, run, says, scenario

client = openai.OpenAI(max_retries=0)

LOOKUP = {
    "type": "function",
    "name": "lookup",
    "description": "Finds an order.",
    "strict": True,
    "parameters": {
        "type": "object",
        "properties": {"number": {"type": "string"}},
        "required": ["number"],
        "additionalProperties": False,
    },
}
TERMINAL = ("response.completed", "response.incomplete", "response.failed", "error")


def request(**fields):
    return {"type": "response.create", "model": MODEL, **fields}


def events(connection, **fields):
    """Sends a request and gathers what comes of it, to its end."""
    connection.send(request(**fields))
    seen = []
    while not seen or seen[-1].type not in TERMINAL:
        seen.append(connection.recv())
    return seen


def answer(connection, **fields):
    last = events(connection, **fields)[-1]
    assert last.type != "error", last
    return last.response


@scenario
def create():
    with client.responses.connect() as c:
        seen = events(c, input=says("One two three."), metadata={"a": "b"})
    assert seen[0].type == "response.created"
    assert [e.sequence_number for e in seen] == list(range(len(seen)))
    assert [e.delta for e in seen if e.type == "response.output_text.delta"] == ["One ", "two ", "three."]
    assert client.responses.retrieve(seen[-1].response.id).output == seen[-1].response.output


@scenario
async def create_async():
    async with openai.AsyncOpenAI(max_retries=0) as aio:
        async with aio.responses.connect() as c:
            await c.send(request(input=says("Hello there.")))
            async for event in c:
                if event.type in TERMINAL:
                    break
    assert event.response.output_text == "Hello there."


@scenario
def functions():
    with client.responses.connect() as c:
        first = answer(c, store=False, tools=[LOOKUP], input=asks("lookup", {"number": "7"}, "Sent on Monday."))
        call = first.output[0]
        assert (call.type, call.name, json.loads(call.arguments)) == ("function_call", "lookup", {"number": "7"})
        output = {"type": "function_call_output", "call_id": call.call_id, "output": "sent"}
        second = answer(c, store=False, tools=[LOOKUP], previous_response_id=first.id, input=[output])
    assert second.output_text == "Sent on Monday."
    assert second.previous_response_id == first.id
    try:
        client.responses.retrieve(second.id)
    except openai.NotFoundError:
        return
    raise AssertionError("it was stored")


@scenario
def tools():
    with client.responses.connect() as c:
        seen = events(c, tools=[HOSTED], input="What is the weather in Paris and Tokyo?")
    assert [o.type for o in seen[-1].response.output] == ["mcp_list_tools", "mcp_call", "mcp_call", "message"]
    assert len([e for e in seen if e.type == "response.mcp_call.completed"]) == 2
    assert "Tokyo" in seen[-1].response.output_text


@scenario
def chain():
    with client.responses.connect() as c:
        warm = answer(c, store=False, generate=False, input="Know this.")
        assert (warm.status, warm.output) == ("completed", [])
        first = answer(c, store=False, previous_response_id=warm.id, input=says("One."))
        second = answer(c, store=False, previous_response_id=first.id, input=says("Two."))
        stored = answer(c, previous_response_id=second.id, input=says("Three."))
    assert stored.output_text == "Three."
    assert stored.usage.input_tokens > first.usage.input_tokens
    over = client.responses.create(model=MODEL, previous_response_id=stored.id, input=says("Four."))
    assert over.output_text == "Four."


@scenario
def errors():
    with client.responses.connect() as c:

        def refused(status, code, param, **fields):
            e = events(c, **fields)[-1]
            assert e.type == "error", e
            assert (e.status, e.error.code, e.error.param) == (status, code, param), e
            assert e.error.message

        refused(400, "decimal_above_max_value", "temperature", input="x", temperature=9)
        refused(400, "unsupported_parameter", "background", input="x", background=True)
        refused(404, "model_not_found", "model", input="x", model="no-such-model")
        first = answer(c, store=False, input=says("One."))
        failing = plan(model_faults=[{"round": 0, "status": 422}])
        assert answer(c, store=False, previous_response_id=first.id, input=failing).status == "failed"
        refused(
            400, "previous_response_not_found", "previous_response_id",
            store=False, previous_response_id=first.id, input="x",
        )
        assert answer(c, input=says("Still here.")).output_text == "Still here."


LIMITS = ResponsesWebSocketLimits(
    max_lanes=40, max_events_per_lane=1000, max_events=10_000, max_bytes_per_lane=1 << 20, max_bytes=8 << 20
)


@scenario
def lanes():
    with client.responses.connect() as c, ResponsesWebSocketSession(c, limits=LIMITS) as session:
        slow, fast, critic = session.lane("planner"), session.lane("research"), session.lane("critic")
        slow.send(request(store=False, input=plan(text="A plan.", think_ms=1500)))
        fast.send(request(store=False, tools=[HOSTED], input="What is the weather in Paris and Tokyo?"))
        session.default.send(request(store=False, input=says("Neither.")))
        assert "Tokyo" in fast.get_final_response().output_text
        assert session.default.get_final_response().output_text == "Neither."
        event = slow.recv()
        assert (event.type, event.stream_id) == ("response.created", "planner")
        draft = slow.get_final_response()
        assert draft.output_text == "A plan."
        # A fork and its source continue at the same time.
        critic.send(request(store=False, previous_response_id=draft.id, input=plan(text="Gaps.", think_ms=200)))
        while critic.recv(timeout=20).type != "response.in_progress":
            pass
        slow.send(request(store=False, previous_response_id=draft.id, input=says("More.")))
        for lane, text in ((slow, "More."), (critic, "Gaps.")):
            r = lane.get_final_response()
            assert (r.output_text, r.previous_response_id) == (text, draft.id)


@scenario
async def lanes_async():
    async with openai.AsyncOpenAI(max_retries=0) as aio, aio.responses.connect() as c:
        async with AsyncResponsesWebSocketSession(c, limits=LIMITS) as session:
            lanes = [session.lane(f"lane.{n}") for n in range(33)]
            for n, lane in enumerate(lanes[:32]):
                await lane.send(request(input=says(f"Number {n}.")))
            for n, lane in enumerate(lanes[:32]):
                assert (await lane.get_final_response()).output_text == f"Number {n}."
            await lanes[32].send(request(input="x"))
            try:
                await lanes[32].get_final_response()
                raise AssertionError("it was not refused")
            except ResponsesWebSocketError as e:
                assert (e.event.error.code, e.event.stream_id) == ("websocket_stream_limit_reached", "lane.32")
            await lanes[0].send(request(input=says("Goes on.")))
            assert (await lanes[0].get_final_response()).output_text == "Goes on."


@scenario
def unauthorized():
    from websockets.exceptions import InvalidStatus

    try:
        with openai.OpenAI(api_key="wrong").responses.connect():
            pass
    except InvalidStatus as e:
        assert e.response.status_code == 401
        return
    raise AssertionError("it was not refused")


run()

"""PyPI openai."""

import json

import openai
from pydantic import BaseModel

from scenarios import HOSTED, MODEL, asks, plan, run, says, scenario, until

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


class Weather(BaseModel):
    city: str
    celsius: float


def ended(id):
    def check():
        r = client.responses.retrieve(id)
        return r if r.status not in ("queued", "in_progress") else None

    return until(check)


@scenario
def create():
    r = client.responses.create(model=MODEL, input=says("Hello there."), metadata={"a": "b"}, temperature=0.5)
    assert r.status == "completed"
    assert r.output_text == "Hello there."
    assert (r.temperature, r.metadata) == (0.5, {"a": "b"})
    assert r.usage.total_tokens > 0
    assert r._request_id
    assert client.responses.retrieve(r.id).output == r.output


@scenario
async def create_async():
    async with openai.AsyncOpenAI(max_retries=0) as c:
        r = await c.responses.create(model=MODEL, input=says("Hello there."))
        assert r.output_text == "Hello there."


@scenario
def structured():
    text = says('{"city":"Paris","celsius":21.5}')
    r = client.responses.parse(model=MODEL, input=text, text_format=Weather)
    assert r.output_parsed == Weather(city="Paris", celsius=21.5)
    assert r.text.format.type == "json_schema"


@scenario
def functions():
    r = client.responses.create(model=MODEL, tools=[LOOKUP], input=asks("lookup", {"number": "7"}, "Sent on Monday."))
    assert [o.type for o in r.output] == ["function_call"]
    call = r.output[0]
    assert (call.name, json.loads(call.arguments), call.status) == ("lookup", {"number": "7"}, "completed")
    r = client.responses.create(
        model=MODEL,
        tools=[LOOKUP],
        previous_response_id=r.id,
        input=[{"type": "function_call_output", "call_id": call.call_id, "output": "sent"}],
    )
    assert r.output_text == "Sent on Monday."
    tool = openai.pydantic_function_tool(Weather)
    parsed = client.responses.parse(model=MODEL, tools=[tool], input=asks("Weather", {"city": "Oslo", "celsius": 3}, ""))
    assert parsed.output[0].parsed_arguments == Weather(city="Oslo", celsius=3)


@scenario
def tools():
    r = client.responses.create(model=MODEL, tools=[HOSTED], input="What is the weather in Paris and Tokyo?")
    assert [o.type for o in r.output] == ["mcp_list_tools", "mcp_call", "mcp_call", "message"]
    assert "get_weather" in [t.name for t in r.output[0].tools]
    assert all(o.server_label == "windlass" and o.name == "get_weather" for o in r.output[1:3])
    assert "Paris" in r.output_text and "Tokyo" in r.output_text


@scenario
def background():
    r = client.responses.create(model=MODEL, background=True, input=plan(text="At last.", think_ms=200))
    assert r.status in ("queued", "in_progress")
    assert ended(r.id).output_text == "At last."


@scenario
def cancel():
    r = client.responses.create(model=MODEL, background=True, input=plan(think_ms=60_000))
    assert client.responses.cancel(r.id).status == "cancelled"
    assert client.responses.cancel(r.id).status == "cancelled"
    assert client.responses.retrieve(r.id).status == "cancelled"


@scenario
def chain():
    first = client.responses.create(model=MODEL, input=says("One."))
    second = client.responses.create(model=MODEL, input=says("Two."), previous_response_id=first.id)
    third = client.responses.create(model=MODEL, input=says("Three."), previous_response_id=second.id)
    assert third.output_text == "Three."
    assert third.previous_response_id == second.id
    assert third.usage.input_tokens > first.usage.input_tokens


@scenario
def input_tokens():
    n = client.responses.input_tokens.count(model=MODEL, input="hello world")
    assert (n.object, n.input_tokens) == ("response.input_tokens", 9), repr(n)
    first = client.responses.create(model=MODEL, input=says("One."))
    more = client.responses.input_tokens.count(
        model=MODEL, input="hello world", previous_response_id=first.id, instructions="Be brief."
    )
    assert more.input_tokens > n.input_tokens + 20, repr(more)


@scenario
def list_responses():
    made = []
    for text in ("One.", "Two.", "Three."):
        made.insert(0, client.responses.create(model=MODEL, input=says(text), metadata={"list": "py", "text": text}).id)
    pages = client.get_api_list(
        "/responses",
        page=openai.pagination.SyncCursorPage[openai.types.responses.Response],
        model=openai.types.responses.Response,
        options={"params": {"metadata": {"list": "py"}, "status": "completed", "limit": 2}},
    )
    assert [r.id for r in pages] == made, "the pages are not what was made"


@scenario
def compact():
    question = says("The keys are under the mat.")
    first = client.responses.create(model=MODEL, input=question)
    short = client.responses.compact(model=MODEL, previous_response_id=first.id, instructions="Be brief.")
    assert short.object == "response.compaction"
    assert [o.type for o in short.output] == ["message", "compaction"]
    assert short.output[0].content[0].text == question
    assert short.usage.output_tokens > 0
    following = {"role": "user", "content": says("Found them.")}
    window = [o.to_dict() for o in short.output] + [following]
    r = client.responses.create(model=MODEL, input=window)
    assert r.output_text == "Found them."
    listed = list(client.responses.input_items.list(r.id, order="asc"))
    assert listed[1].encrypted_content == short.output[1].encrypted_content
    again = client.responses.compact(model=MODEL, input=window)
    assert [o.type for o in again.output] == ["message", "message", "compaction"]
    try:
        client.responses.create(model=MODEL, input=[{"type": "compaction", "encrypted_content": "AQ"}])
    except openai.BadRequestError as e:
        assert (e.code, e.param) == ("invalid_encrypted_content", "input[0].encrypted_content"), repr(e)
    else:
        raise AssertionError("it was not refused")

    management = [{"type": "compaction", "compact_threshold": 1000}]
    long = client.responses.create(model=MODEL, input=says("The keys are under the mat. " * 200), context_management=management)
    on = client.responses.create(model=MODEL, input=plan(), previous_response_id=long.id, context_management=management)
    assert [o.type for o in on.output] == ["compaction", "message"]
    asked = client.responses.create(model=MODEL, previous_response_id=on.id, input=[{"type": "compaction_trigger"}])
    assert [o.type for o in asked.output] == ["compaction"]


@scenario
def errors():
    def refused(kind, status, code, param, call):
        try:
            call()
        except openai.APIStatusError as e:
            assert type(e) is kind, repr(e)
            assert (e.status_code, e.code, e.param) == (status, code, param), repr(e)
            assert e.request_id
            return
        raise AssertionError("it was not refused")

    create = client.responses.create
    refused(
        openai.BadRequestError, 400, "decimal_above_max_value", "temperature",
        lambda: create(model=MODEL, input="x", temperature=9),
    )
    wrong = openai.OpenAI(api_key="wrong", max_retries=0)
    refused(
        openai.AuthenticationError, 401, "invalid_api_key", None,
        lambda: wrong.responses.create(model=MODEL, input="x"),
    )
    refused(
        openai.NotFoundError, 404, None, None,
        lambda: client.responses.retrieve("resp_01a2067ee65570259391d506a2415c60"),
    )
    refused(
        openai.NotFoundError, 404, "model_not_found", "model",
        lambda: create(model="no-such-model", input="x"),
    )
    failed = create(model=MODEL, input=plan(model_faults=[{"round": 0, "status": 422}]))
    assert failed.status == "failed" and failed.error.message


@scenario
def stream():
    events = list(client.responses.create(model=MODEL, stream=True, input=says("One two three.")))
    assert events[0].type == "response.created"
    assert [e.sequence_number for e in events] == list(range(len(events)))
    assert [e.delta for e in events if e.type == "response.output_text.delta"] == ["One ", "two ", "three."]
    assert events[-1].type == "response.completed"
    assert client.responses.retrieve(events[-1].response.id).output == events[-1].response.output
    with client.responses.stream(
        model=MODEL, input=says('{"city":"Paris","celsius":21.5}'), text_format=Weather
    ) as helper:
        for _ in helper:
            pass
        assert helper.get_final_response().output_parsed == Weather(city="Paris", celsius=21.5)


@scenario
async def stream_async():
    async with openai.AsyncOpenAI(max_retries=0) as c:
        async with c.responses.stream(model=MODEL, input=says("One two three.")) as helper:
            words = [e.delta async for e in helper if e.type == "response.output_text.delta"]
            assert words == ["One ", "two ", "three."]
            assert (await helper.get_final_response()).output_text == "One two three."


@scenario
def stream_functions():
    with client.responses.stream(
        model=MODEL, tools=[LOOKUP], input=asks("lookup", {"number": "7"}, "Sent.")
    ) as helper:
        deltas = [e.delta for e in helper if e.type == "response.function_call_arguments.delta"]
        call = helper.get_final_response().output[0]
    assert "".join(deltas) == call.arguments
    assert call.parsed_arguments == {"number": "7"}


@scenario
def stream_tools():
    asked = "What is the weather in Paris and Tokyo?"
    events = list(client.responses.create(model=MODEL, stream=True, tools=[HOSTED], input=asked))
    assert [o.type for o in events[-1].response.output] == ["mcp_list_tools", "mcp_call", "mcp_call", "message"]
    assert len([e for e in events if e.type == "response.mcp_list_tools.completed"]) == 1
    assert len([e for e in events if e.type == "response.mcp_call.completed"]) == 2
    assert "Tokyo" in events[-1].response.output_text


@scenario
def stream_errors():
    try:
        client.responses.create(model=MODEL, stream=True, input="x", temperature=9)
        raise AssertionError("it was not refused")
    except openai.BadRequestError:
        pass
    try:
        events = list(
            client.responses.create(model=MODEL, stream=True, input=plan(model_faults=[{"round": 0, "status": 422}]))
        )
        assert events[-1].type == "response.failed"
    except openai.APIError as e:
        assert e.message


@scenario
def resume():
    text = plan(text="Turn by turn the load goes up and never slips back.", token_rate=100)
    full = list(client.responses.create(model=MODEL, background=True, stream=True, input=text))
    id = full[0].response.id
    assert full[-1].type == "response.completed"
    assert list(client.responses.retrieve(id, stream=True)) == full
    for n in range(len(full)):
        assert list(client.responses.retrieve(id, stream=True, starting_after=n)) == full[n + 1 :], f"after {n}"
    # A live run: the reader drops the stream after every event and resumes it.
    text = plan(text="Turn by turn the load goes up.", token_rate=20)
    seen, more = [], client.responses.create(model=MODEL, background=True, stream=True, input=text)
    while True:
        event = next(iter(more))
        more.close()
        seen.append(event)
        if event.type == "response.completed":
            break
        more = client.responses.retrieve(seen[0].response.id, stream=True, starting_after=event.sequence_number)
    assert seen == list(client.responses.retrieve(seen[0].response.id, stream=True))
    with client.responses.stream(response_id=id, starting_after=5) as helper:
        assert [e.sequence_number for e in helper] == [e.sequence_number for e in full[6:]]


@scenario
def stream_cancel():
    events = []
    for event in client.responses.create(model=MODEL, background=True, stream=True, input=plan(think_ms=60_000)):
        events.append(event)
        if event.type == "response.in_progress":
            client.responses.cancel(event.response.id)
    assert events[-1].type == "response.failed"
    assert events[-1].response.status == "cancelled"


@scenario
def delete():
    r = client.responses.create(model=MODEL, input=says("Soon gone."))
    client.responses.delete(r.id)
    try:
        client.responses.retrieve(r.id)
    except openai.NotFoundError:
        return
    raise AssertionError("it is still there")


@scenario
def input_items():
    given = [{"role": "user", "content": f"part {n}"} for n in range(7)]
    r = client.responses.create(model=MODEL, input=[*given, {"role": "user", "content": says("Read.")}])
    seen = [i.content[0].text for i in client.responses.input_items.list(r.id, limit=3, order="asc")]
    assert len(seen) == 8 and seen[:7] == [i["content"] for i in given]


@scenario
def models():
    assert MODEL in [m.id for m in client.models.list()]
    assert client.models.retrieve(MODEL).id == MODEL
    try:
        client.models.retrieve("no/body")
    except openai.NotFoundError:
        return
    raise AssertionError("a model that is not there was found")


@scenario
def chat():
    def user(content):
        return [{"role": "user", "content": content}]

    ask = client.chat.completions.create
    c = ask(model=MODEL, messages=user(says("Hello there.")), n=1, logprobs=False, store=False)
    assert (c.choices[0].message.content, c.model) == ("Hello there.", MODEL)
    assert c.usage.total_tokens > 0 and c._request_id
    parsed = client.chat.completions.parse(
        model=MODEL, messages=user(says('{"city":"Paris","celsius":21.5}')), response_format=Weather
    )
    assert parsed.choices[0].message.parsed == Weather(city="Paris", celsius=21.5)
    tools = [openai.pydantic_function_tool(Weather)]
    messages = user(asks("Weather", {"city": "Oslo", "celsius": 3}, "Cold."))
    message = ask(model=MODEL, messages=messages, tools=tools).choices[0].message
    assert [t.function.name for t in message.tool_calls] == ["Weather"]
    messages += [message, {"role": "tool", "tool_call_id": message.tool_calls[0].id, "content": "3"}]
    assert ask(model=MODEL, messages=messages, tools=tools).choices[0].message.content == "Cold."
    try:
        ask(model=MODEL, messages=user(plan(model_faults=[{"round": 0, "status": 429, "retry_after": "7200"}])))
    except openai.RateLimitError as e:
        assert (e.code, e.response.headers["retry-after"], e.response.headers["x-should-retry"]) == ("rate_limit_exceeded", "7200", "false")
        return
    raise AssertionError("it was not refused")


@scenario
def chat_stream():
    def user(content):
        return [{"role": "user", "content": content}]

    ask = client.chat.completions.create
    text, usage = "", None
    for chunk in ask(model=MODEL, messages=user(says("One two three.")), stream=True, stream_options={"include_usage": True}):
        assert chunk.model == MODEL
        text += (chunk.choices[0].delta.content or "") if chunk.choices else ""
        usage = chunk.usage or usage
    assert (text, usage.completion_tokens) == ("One two three.", 3)
    with client.chat.completions.stream(model=MODEL, messages=user(says("Four five."))) as stream:
        assert stream.get_final_completion().choices[0].message.content == "Four five."
    try:
        ask(model=MODEL, messages=user(plan(model_faults=[{"round": 0, "status": 422}])), stream=True)
    except openai.UnprocessableEntityError:
        pass
    else:
        raise AssertionError("it was not refused")
    broken = plan(text="a b c d", model_faults=[{"round": 0, "times": 1, "mode": "truncate"}])
    try:
        for chunk in ask(model=MODEL, messages=user(broken), stream=True):
            pass
    except openai.APIError as e:
        assert e.code == "connection_error", repr(e)
        return
    raise AssertionError("it did not break off")


@scenario
def embeddings():
    def asked(**more):
        return client.embeddings.create(model=MODEL, input=["two words", "one"], dimensions=4, **more)

    usual = asked()  # the SDK asks for base64 and decodes it
    assert [len(d.embedding) for d in usual.data] == [4, 4]
    plain = asked(encoding_format="float")
    assert all(abs(a - b) < 1e-6 for a, b in zip(usual.data[0].embedding, plain.data[0].embedding))
    assert (usual.usage.prompt_tokens, usual.model) == (3, MODEL)


run()

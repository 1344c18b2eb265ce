"""PyPI openai and openai-agents: conversations, and references to items."""

from agents import Agent, OpenAIConversationsSession, RunConfig, Runner, function_tool, set_tracing_disabled
from agents.models.openai_provider import OpenAIProvider
from openai import APIStatusError, AsyncOpenAI, OpenAI

from scenarios import MODEL, asks, plan, run, says, scenario

set_tracing_disabled(True)
client = OpenAI(max_retries=0)


def refused(status, code, call):
    try:
        call()
    except APIStatusError as e:
        assert (e.status_code, e.code) == (status, code), e
    else:
        raise AssertionError("it was not refused")


@scenario
def conversation():
    c = client.conversations.create(metadata={"topic": "demo"}, items=[{"role": "developer", "content": "Be kind."}])
    assert client.conversations.retrieve(c.id).metadata == {"topic": "demo"}
    assert client.conversations.update(c.id, metadata={"topic": "other"}).metadata == {"topic": "other"}
    for text in ["One.", "Two."]:
        r = client.responses.create(model=MODEL, conversation=c.id, input=says(text))
        assert r.output_text == text
        assert r.conversation.id == c.id
    items = list(client.conversations.items.list(c.id, order="asc", limit=2))
    assert [i.role for i in items] == ["developer", "user", "assistant", "user", "assistant"]
    last = client.conversations.items.retrieve(items[-1].id, conversation_id=c.id)
    assert last.content[0].text == "Two."
    assert client.conversations.items.delete(last.id, conversation_id=c.id).id == c.id
    refused(404, None, lambda: client.conversations.items.retrieve(last.id, conversation_id=c.id))
    added = client.conversations.items.create(c.id, items=[{"type": "item_reference", "id": last.id}])
    assert [i.id for i in added.data] == [last.id]
    assert client.conversations.delete(c.id).deleted
    refused(404, None, lambda: client.conversations.retrieve(c.id))


@scenario
def locked():
    c = client.conversations.create()
    slow = client.responses.create(model=MODEL, conversation={"id": c.id}, background=True, input=plan(think_ms=60_000))
    refused(400, "conversation_locked", lambda: client.responses.create(model=MODEL, conversation=c.id, input="x"))
    client.responses.cancel(slow.id)
    assert client.responses.create(model=MODEL, conversation=c.id, input=says("Free.")).output_text == "Free."


@scenario
async def session():
    @function_tool
    def lookup(number: str) -> str:
        """Finds an order."""
        return f"order {number}: sent"

    config = RunConfig(model_provider=OpenAIProvider(use_responses=True))
    clerk = Agent(name="Clerk", instructions="You answer questions about orders.", model=MODEL, tools=[lookup])
    memory = OpenAIConversationsSession(openai_client=AsyncOpenAI(max_retries=0))
    assert (await Runner.run(clerk, says("One."), session=memory, run_config=config)).final_output == "One."
    result = await Runner.run(clerk, asks("lookup", {"number": "7"}, "It was sent."), session=memory, run_config=config)
    assert result.final_output == "It was sent."
    assert len(await memory.get_items()) == 6
    await memory.pop_item()
    assert len(await memory.get_items()) == 5
    await memory.clear_session()


@scenario
async def agent():
    @function_tool
    def lookup(number: str) -> str:
        """Finds an order."""
        return f"order {number}: sent"

    config = RunConfig(model_provider=OpenAIProvider(use_responses=True))
    clerk = Agent(name="Clerk", instructions="You answer questions about orders.", model=MODEL, tools=[lookup])
    c = client.conversations.create()
    for say, want in [(says("One."), "One."), (asks("lookup", {"number": "7"}, "It was sent."), "It was sent.")]:
        assert (await Runner.run(clerk, say, conversation_id=c.id, run_config=config)).final_output == want
    types = [i.type for i in client.conversations.items.list(c.id, order="asc")]
    assert types == ["message", "message", "message", "function_call", "function_call_output", "message"]


run()

// npm @langchain/openai.
import { HumanMessage } from '@langchain/core/messages';
import { tool } from '@langchain/core/tools';
import { ChatOpenAI } from '@langchain/openai';
import { z } from 'zod';
import { asks, assert, gathered, hosted, model, run, says } from './scenarios.mjs';

const llm = new ChatOpenAI({ model, useResponsesApi: true, maxRetries: 0 });

const lookup = tool(async ({ number }) => `order ${number}: sent`, {
  name: 'lookup', description: 'Finds an order.', schema: z.object({ number: z.string() }),
});

await run({
  async create() {
    const r = await llm.invoke(says('Hello there.'));
    assert.equal(r.text, 'Hello there.');
    assert.ok(r.usage_metadata.total_tokens > 0);
    assert.match(r.response_metadata.id, /^resp_/);
  },

  async agent() {
    const clerk = llm.bindTools([lookup]);
    const messages = [new HumanMessage(asks('lookup', { number: '7' }, 'It was sent.'))];
    const asked = await clerk.invoke(messages);
    assert.deepEqual(asked.tool_calls.map(c => [c.name, c.args]), [['lookup', { number: '7' }]]);
    messages.push(asked, await lookup.invoke(asked.tool_calls[0]));
    assert.equal((await clerk.invoke(messages)).text, 'It was sent.');
  },

  async stream() {
    const chunks = await gathered(await llm.stream(says('Hello there.')));
    assert.equal(chunks.map(c => c.text).join(''), 'Hello there.');
    assert.ok(chunks.filter(c => c.text).length > 1, 'it comes in pieces');
  },

  async agent_stream() {
    let whole;
    const clerk = llm.bindTools([lookup]);
    const messages = [new HumanMessage(asks('lookup', { number: '7' }, 'It was sent.'))];
    for await (const chunk of await clerk.stream(messages)) whole = whole ? whole.concat(chunk) : chunk;
    assert.deepEqual(whole.tool_calls.map(c => [c.name, c.args]), [['lookup', { number: '7' }]]);
    messages.push(whole, await lookup.invoke(whole.tool_calls[0]));
    const chunks = await gathered(await clerk.stream(messages));
    assert.equal(chunks.map(c => c.text).join(''), 'It was sent.');
  },

  async tools_stream() {
    const chunks = await gathered(await llm.bindTools([hosted]).stream('What is the weather in Paris and Tokyo?'));
    assert.match(chunks.map(c => c.text).join(''), /Paris.*Tokyo/);
  },

  async chain() {
    const first = await llm.invoke(says('One.'));
    const second = await llm.invoke(says('Two.'), { previous_response_id: first.response_metadata.id });
    assert.equal(second.text, 'Two.');
  },

  async structured() {
    const reporter = llm.withStructuredOutput(z.object({ city: z.string(), celsius: z.number() }), { name: 'weather', method: 'jsonSchema' });
    assert.deepEqual(await reporter.invoke(says('{"city":"Paris","celsius":21}')), { city: 'Paris', celsius: 21 });
  },

  async tools() {
    const r = await llm.bindTools([hosted]).invoke('What is the weather in Paris and Tokyo?');
    assert.match(r.text, /Paris.*Tokyo/);
  },

  async errors() {
    for (const [fields, status] of [
      [{ model, temperature: 9 }, 400],
      [{ model, apiKey: 'wrong' }, 401],
      [{ model: 'no-such-model' }, 404],
    ]) {
      const call = new ChatOpenAI({ useResponsesApi: true, maxRetries: 0, ...fields }).invoke('x');
      const e = await call.then(() => assert.fail('it was not refused'), e => e);
      assert.equal(e.status, status, String(e));
    }
  },
});

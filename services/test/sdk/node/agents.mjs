// npm @openai/agents.
import { Agent, hostedMcpTool, OpenAIProvider, Runner, setTracingDisabled, tool } from '@openai/agents';
import { z } from 'zod';
import { asks, assert, model, run, says } from './scenarios.mjs';

setTracingDisabled(true);
const runner = new Runner({ modelProvider: new OpenAIProvider({ useResponses: true }) });

// clerk is an agent with one function; found has the numbers that it was called with.
function clerk() {
  const found = [];
  const lookup = tool({
    name: 'lookup', description: 'Finds an order.', parameters: z.object({ number: z.string() }),
    execute: async ({ number }) => { found.push(number); return `order ${number}: sent`; },
  });
  return { found, agent: new Agent({ name: 'Clerk', instructions: 'You answer questions about orders.', model, tools: [lookup] }) };
}

await run({
  async agent() {
    const { found, agent } = clerk();
    const result = await runner.run(agent, asks('lookup', { number: '7' }, 'It was sent.'));
    assert.equal(result.finalOutput, 'It was sent.');
    assert.deepEqual(found, ['7']);
    assert.deepEqual(result.newItems.map(i => i.type), ['tool_call_item', 'tool_call_output_item', 'message_output_item']);
  },

  async chain() {
    const { agent } = clerk();
    const first = await runner.run(agent, says('One.'));
    const second = await runner.run(agent, says('Two.'), { previousResponseId: first.lastResponseId });
    assert.equal(second.finalOutput, 'Two.');
    const third = await runner.run(agent, [...second.history, { role: 'user', content: says('Three.') }]);
    assert.equal(third.finalOutput, 'Three.');
  },

  async structured() {
    const agent = new Agent({ name: 'Reporter', instructions: 'You report.', model, outputType: z.object({ city: z.string(), celsius: z.number() }) });
    const result = await runner.run(agent, says('{"city":"Paris","celsius":21}'));
    assert.deepEqual(result.finalOutput, { city: 'Paris', celsius: 21 });
  },

  async tools() {
    const agent = new Agent({ name: 'Forecaster', instructions: 'You forecast.', model, tools: [hostedMcpTool({ serverLabel: 'windlass' })] });
    const result = await runner.run(agent, 'What is the weather in Paris and Tokyo?');
    assert.match(result.finalOutput, /Paris.*Tokyo/);
  },

  async agent_stream() {
    const { found, agent } = clerk();
    const result = await runner.run(agent, asks('lookup', { number: '7' }, 'It was sent.'), { stream: true });
    let text = '';
    const items = [];
    for await (const event of result) {
      if (event.type === 'raw_model_stream_event' && event.data.type === 'output_text_delta') text += event.data.delta;
      if (event.type === 'run_item_stream_event') items.push(event.name);
    }
    await result.completed;
    assert.equal(result.finalOutput, 'It was sent.');
    assert.equal(text, 'It was sent.');
    assert.deepEqual(found, ['7']);
    assert.deepEqual(items, ['tool_called', 'tool_output', 'message_output_created']);
  },

  async tools_stream() {
    const agent = new Agent({ name: 'Forecaster', instructions: 'You forecast.', model, tools: [hostedMcpTool({ serverLabel: 'windlass' })] });
    const result = await runner.run(agent, 'What is the weather in Paris and Tokyo?', { stream: true });
    await result.completed;
    assert.match(result.finalOutput, /Paris.*Tokyo/);
  },

  async handoff() {
    const { agent } = clerk();
    const front = Agent.create({ name: 'Front', instructions: 'You hand over.', model, handoffs: [agent] });
    const result = await runner.run(front, asks('transfer_to_Clerk', {}, 'The clerk speaks.'));
    assert.equal(result.finalOutput, 'The clerk speaks.');
    assert.equal(result.lastAgent.name, 'Clerk');
  },
});

// npm @openai/agents: an agent whose memory is a conversation.
import { Agent, OpenAIConversationsSession, OpenAIProvider, Runner, setTracingDisabled, tool } from '@openai/agents';
import OpenAI from 'openai';
import { z } from 'zod';
import { asks, assert, model, run, says } from './scenarios.mjs';

setTracingDisabled(true);
const runner = new Runner({ modelProvider: new OpenAIProvider({ useResponses: true }) });
const client = new OpenAI({ maxRetries: 0 });

function clerk() {
  const lookup = tool({
    name: 'lookup', description: 'Finds an order.', parameters: z.object({ number: z.string() }),
    execute: async ({ number }) => `order ${number}: sent`,
  });
  return new Agent({ name: 'Clerk', instructions: 'You answer questions about orders.', model, tools: [lookup] });
}

await run({
  async session() {
    const session = new OpenAIConversationsSession({ client });
    assert.equal((await runner.run(clerk(), says('One.'), { session })).finalOutput, 'One.');
    const result = await runner.run(clerk(), asks('lookup', { number: '7' }, 'It was sent.'), { session });
    assert.equal(result.finalOutput, 'It was sent.');
    assert.equal((await session.getItems()).length, 6);
    await session.popItem();
    assert.equal((await session.getItems()).length, 5);
    await session.clearSession();
  },

  async conversation() {
    const conversationId = (await client.conversations.create()).id;
    assert.equal((await runner.run(clerk(), says('One.'), { conversationId })).finalOutput, 'One.');
    const result = await runner.run(clerk(), asks('lookup', { number: '7' }, 'It was sent.'), { conversationId });
    assert.equal(result.finalOutput, 'It was sent.');
    const types = [];
    for await (const it of client.conversations.items.list(conversationId, { order: 'asc' })) types.push(it.type);
    assert.deepEqual(types, ['message', 'message', 'message', 'function_call', 'function_call_output', 'message']);
  },
});

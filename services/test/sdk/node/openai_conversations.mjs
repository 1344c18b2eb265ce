// npm openai: conversations, and references to items.
import OpenAI from 'openai';
import { asks, assert, model, plan, run, says } from './scenarios.mjs';

const client = new OpenAI({ maxRetries: 0 });
const lookup = { type: 'function', name: 'lookup', strict: null, parameters: { type: 'object', properties: { number: { type: 'string' } } } };

async function listed(id, query = {}) {
  const all = [];
  for await (const it of client.conversations.items.list(id, { order: 'asc', limit: 2, ...query })) all.push(it);
  return all;
}

const refused = async (call, status, code) => {
  const e = await call.then(() => assert.fail('it was not refused'), e => e);
  assert.ok(e instanceof OpenAI.APIError, `${e}`);
  assert.deepEqual([e.status, e.code], [status, code]);
};

await run({
  async conversation() {
    const c = await client.conversations.create({ metadata: { topic: 'demo' } });
    assert.equal(c.object, 'conversation');
    assert.deepEqual((await client.conversations.retrieve(c.id)).metadata, { topic: 'demo' });
    assert.deepEqual((await client.conversations.update(c.id, { metadata: { topic: 'other' } })).metadata, { topic: 'other' });
    let tokens = 0;
    for (const text of ['One.', 'Two.', 'Three.']) {
      const r = await client.responses.create({ model, conversation: c.id, input: says(text) });
      assert.equal(r.output_text, text);
      assert.equal(r.conversation.id, c.id);
      assert.ok(r.usage.input_tokens > tokens, 'the model sees more each time');
      tokens = r.usage.input_tokens;
    }
    const items = await listed(c.id);
    assert.deepEqual(items.map(i => i.role), ['user', 'assistant', 'user', 'assistant', 'user', 'assistant']);
    assert.equal(items[5].content[0].text, 'Three.');
    assert.deepEqual(await client.conversations.delete(c.id), { id: c.id, object: 'conversation.deleted', deleted: true });
    await refused(client.conversations.retrieve(c.id), 404, null);
    await refused(client.responses.create({ model, conversation: { id: c.id }, input: says('Four.') }), 404, null);
  },

  async items() {
    const c = await client.conversations.create({ items: [{ role: 'user', content: 'one' }] });
    const added = await client.conversations.items.create(c.id, {
      items: [{ type: 'message', role: 'assistant', content: [{ type: 'output_text', text: 'two' }] }, { role: 'user', content: 'three' }],
      include: ['message.output_text.logprobs'],
    });
    assert.equal(added.data.length, 2);
    const two = added.data[0];
    assert.deepEqual(await client.conversations.items.retrieve(two.id, { conversation_id: c.id }), two);
    assert.equal((await client.conversations.items.delete(two.id, { conversation_id: c.id })).id, c.id);
    assert.deepEqual((await listed(c.id, { order: 'desc' })).map(i => i.content[0].text), ['three', 'one']);
    await refused(client.conversations.items.retrieve(two.id, { conversation_id: c.id }), 404, null);
    const three = added.data[1];
    await refused(client.conversations.items.create(c.id, { items: [three] }), 400, 'item_already_in_conversation');
  },

  async functions() {
    const c = await client.conversations.create();
    let r = await client.responses.create({ model, conversation: c.id, tools: [lookup], input: asks('lookup', { number: '7' }, 'Sent.') });
    const call = r.output[0];
    await refused(client.responses.create({ model, conversation: c.id, input: 'x' }), 400, null);
    const output = { type: 'function_call_output', call_id: call.call_id, output: 'sent' };
    r = await client.responses.create({ model, conversation: c.id, tools: [lookup], input: [output] });
    assert.equal(r.output_text, 'Sent.');
    assert.deepEqual((await listed(c.id)).map(i => i.type), ['message', 'function_call', 'function_call_output', 'message']);
  },

  async references() {
    const first = await client.responses.create({ model, tools: [lookup], input: asks('lookup', { number: '7' }, 'Sent.') });
    const asked = await client.responses.inputItems.list(first.id);
    const r = await client.responses.create({
      model, tools: [lookup],
      input: [
        { type: 'item_reference', id: asked.data[0].id }, { type: 'item_reference', id: first.output[0].id },
        { type: 'function_call_output', call_id: first.output[0].call_id, output: 'sent' },
      ],
    });
    assert.equal(r.output_text, 'Sent.');
    await refused(client.responses.create({ model, input: [{ type: 'item_reference', id: 'rs_123' }] }), 404, null);
  },

  async locked() {
    const c = await client.conversations.create();
    const slow = await client.responses.create({ model, conversation: c.id, background: true, input: plan({ think_ms: 60_000 }) });
    await refused(client.responses.create({ model, conversation: c.id, input: 'x' }), 400, 'conversation_locked');
    await refused(client.conversations.items.create(c.id, { items: [{ role: 'user', content: 'x' }] }), 400, 'conversation_locked');
    await client.responses.cancel(slow.id);
    const r = await client.responses.create({ model, conversation: c.id, input: says('Free.') });
    assert.equal(r.output_text, 'Free.');
    assert.equal((await listed(c.id)).length, 2);
  },
});

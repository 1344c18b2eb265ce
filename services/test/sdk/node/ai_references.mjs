// npm ai with @ai-sdk/openai: it sends stored items back as references.
import { createOpenAI } from '@ai-sdk/openai';
import { generateText, isStepCount, tool } from 'ai';
import OpenAI from 'openai';
import { z } from 'zod';
import { asks, assert, baseURL, model, run, says } from './scenarios.mjs';

const bodies = [];
const fetchAndKeep = (url, init) => { bodies.push(JSON.parse(init.body)); return fetch(url, init); };
const openai = createOpenAI({ baseURL, apiKey: process.env.OPENAI_API_KEY, fetch: fetchAndKeep });
const settings = { model: openai.responses(model), maxRetries: 0 };

await run({
  async references() {
    const lookup = tool({
      description: 'Finds an order.', inputSchema: z.object({ number: z.string() }), execute: async ({ number }) => `order ${number}: sent`,
    });
    const messages = [{ role: 'user', content: asks('lookup', { number: '7' }, 'It was sent.') }];
    const first = await generateText({ ...settings, tools: { lookup }, stopWhen: isStepCount(4), messages });
    assert.equal(first.text, 'It was sent.');
    messages.push(...first.response.messages, { role: 'user', content: says('Again.') });
    const second = await generateText({ ...settings, tools: { lookup }, messages });
    assert.equal(second.text, 'Again.');
    const types = bodies.at(-1).input.map(i => i.type);
    assert.ok(types.includes('item_reference'), `the SDK sent ${types}`);
  },

  async conversation() {
    const conversation = (await new OpenAI({ maxRetries: 0 }).conversations.create()).id;
    for (const say of ['One.', 'Two.']) {
      const r = await generateText({ ...settings, prompt: says(say), providerOptions: { openai: { conversation } } });
      assert.equal(r.text, say);
    }
  },
});

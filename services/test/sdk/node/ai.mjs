// npm ai with @ai-sdk/openai.
import { createOpenAI } from '@ai-sdk/openai';
import { APICallError, generateObject, generateText, isStepCount, Output, streamObject, streamText, tool } from 'ai';
import { z } from 'zod';
import { asks, assert, baseURL, gathered, model, run, says } from './scenarios.mjs';

const openai = createOpenAI({ baseURL, apiKey: process.env.OPENAI_API_KEY });
const settings = { model: openai.responses(model), maxRetries: 0 };

function clerk() {
  const found = [];
  const lookup = tool({
    description: 'Finds an order.', inputSchema: z.object({ number: z.string() }),
    execute: async ({ number }) => { found.push(number); return `order ${number}: sent`; },
  });
  return { found, tools: { lookup }, stopWhen: isStepCount(4) };
}

const Weather = z.object({ city: z.string(), celsius: z.number() });

await run({
  async create() {
    const r = await generateText({ ...settings, prompt: says('Hello there.'), temperature: 0.5 });
    assert.equal(r.text, 'Hello there.');
    assert.equal(r.finishReason, 'stop');
    assert.ok(r.usage.totalTokens > 0);
  },

  async agent() {
    const { found, ...tools } = clerk();
    const r = await generateText({ ...settings, ...tools, prompt: asks('lookup', { number: '7' }, 'It was sent.') });
    assert.equal(r.text, 'It was sent.');
    assert.deepEqual(found, ['7']);
    assert.equal(r.steps.length, 2);
  },

  async agent_stream() {
    const { found, ...tools } = clerk();
    const r = streamText({ ...settings, ...tools, prompt: asks('lookup', { number: '7' }, 'It was sent.') });
    const words = await gathered(r.textStream);
    assert.deepEqual(words, ['It ', 'was ', 'sent.']);
    assert.deepEqual(found, ['7']);
    assert.equal((await r.steps).length, 2);
    assert.ok((await r.usage).totalTokens > 0);
  },

  async structured_stream() {
    const prompt = says('{"city": "Paris", "celsius": 21}');
    const r = streamObject({ ...settings, prompt, schema: Weather });
    const partial = await gathered(r.partialObjectStream);
    assert.deepEqual(await r.object, { city: 'Paris', celsius: 21 });
    assert.ok(partial.length > 1, 'the object grows');
  },

  async tools_stream() {
    const tools = { windlass: openai.tools.mcp({ serverLabel: 'windlass', serverUrl: 'https://windlass.invalid', requireApproval: 'never' }) };
    const r = streamText({ ...settings, tools, prompt: 'What is the weather in Paris and Tokyo?' });
    assert.match(await r.text, /Paris.*Tokyo/);
  },

  async chain() {
    const first = await generateText({ ...settings, prompt: says('One.') });
    const id = first.providerMetadata.openai.responseId;
    const second = await generateText({ ...settings, prompt: says('Two.'), providerOptions: { openai: { previousResponseId: id } } });
    assert.equal(second.text, 'Two.');
  },

  async structured() {
    const prompt = says('{"city":"Paris","celsius":21}');
    assert.deepEqual((await generateObject({ ...settings, prompt, schema: Weather })).object, { city: 'Paris', celsius: 21 });
    const r = await generateText({ ...settings, prompt, output: Output.object({ schema: Weather }) });
    assert.deepEqual(r.output, { city: 'Paris', celsius: 21 });
  },

  async tools() {
    const tools = { windlass: openai.tools.mcp({ serverLabel: 'windlass', serverUrl: 'https://windlass.invalid', requireApproval: 'never' }) };
    const r = await generateText({ ...settings, tools, prompt: 'What is the weather in Paris and Tokyo?' });
    assert.match(r.text, /Paris.*Tokyo/);
  },

  async errors() {
    const refused = async (call, status) => {
      const e = await call.then(() => assert.fail('it was not refused'), e => e);
      assert.ok(APICallError.isInstance(e), `${e?.constructor?.name}: ${e}`);
      assert.equal(e.statusCode, status);
      assert.ok(e.data.error.message);
    };
    await refused(generateText({ ...settings, prompt: 'x', temperature: 9 }), 400);
    await refused(generateText({ ...settings, prompt: 'x', model: openai.responses('no-such-model') }), 404);
    await refused(generateText({ ...settings, prompt: 'x', model: createOpenAI({ baseURL, apiKey: 'wrong' }).responses(model) }), 401);
  },
});

// npm openai.
import OpenAI from 'openai';
import { zodResponsesFunction, zodTextFormat } from 'openai/helpers/zod';
import { z } from 'zod';
import { asks, assert, gathered, hosted, model, plan, run, says, until } from './scenarios.mjs';

const client = new OpenAI({ maxRetries: 0 });

const Weather = z.object({ city: z.string(), celsius: z.number() });
const lookup = {
  type: 'function', name: 'lookup', description: 'Finds an order.', strict: true,
  parameters: { type: 'object', properties: { number: { type: 'string' } }, required: ['number'], additionalProperties: false },
};

async function ended(id) {
  return until(async () => {
    const r = await client.responses.retrieve(id);
    return r.status !== 'queued' && r.status !== 'in_progress' && r;
  });
}

// slow is a background response that takes long to end.
const slow = () => client.responses.create({ model, background: true, input: plan({ think_ms: 60_000 }) });

await run({
  async create() {
    const r = await client.responses.create({ model, input: says('Hello there.'), metadata: { a: 'b' }, temperature: 0.5 });
    assert.equal(r.status, 'completed');
    assert.equal(r.output_text, 'Hello there.');
    assert.equal(r.temperature, 0.5);
    assert.deepEqual(r.metadata, { a: 'b' });
    assert.ok(r.usage.total_tokens > 0);
    assert.ok(r._request_id, 'the answer has a request id');
    const again = await client.responses.retrieve(r.id);
    assert.deepEqual(again.output, r.output);
  },

  async structured() {
    const input = says('{"city":"Paris","celsius":21.5}');
    const r = await client.responses.parse({ model, input, text: { format: zodTextFormat(Weather, 'weather') } });
    assert.deepEqual(r.output_parsed, { city: 'Paris', celsius: 21.5 });
    assert.equal(r.text.format.type, 'json_schema');
    assert.equal(r.text.format.name, 'weather');
    const object = await client.responses.create({ model, input, instructions: 'Answer in JSON.', text: { format: { type: 'json_object' } } });
    assert.equal(object.text.format.type, 'json_object');
  },

  async functions() {
    let r = await client.responses.create({ model, tools: [lookup], input: asks('lookup', { number: '7' }, 'Sent on Monday.') });
    assert.deepEqual(r.output.map(o => o.type), ['function_call']);
    const call = r.output[0];
    assert.deepEqual([call.name, call.arguments, call.status], ['lookup', '{"number":"7"}', 'completed']);
    r = await client.responses.create({
      model, tools: [lookup], previous_response_id: r.id,
      input: [{ type: 'function_call_output', call_id: call.call_id, output: 'sent' }],
    });
    assert.equal(r.output_text, 'Sent on Monday.');

    const tool = zodResponsesFunction({ name: 'weather', parameters: z.object({ city: z.string() }) });
    const parsed = await client.responses.parse({ model, tools: [tool], input: asks('weather', { city: 'Oslo' }, '') });
    assert.deepEqual(parsed.output[0].parsed_arguments, { city: 'Oslo' });
  },

  async tools() {
    const r = await client.responses.create({ model, tools: [hosted], input: 'What is the weather in Paris and Tokyo?' });
    assert.deepEqual(r.output.map(o => o.type), ['mcp_list_tools', 'mcp_call', 'mcp_call', 'message']);
    assert.ok(r.output[0].tools.some(t => t.name === 'get_weather' && t.input_schema.type === 'object'));
    for (const call of r.output.slice(1, 3)) {
      assert.equal(call.server_label, 'windlass');
      assert.equal(call.name, 'get_weather');
      assert.ok(JSON.parse(call.output).city);
    }
    assert.match(r.output_text, /Paris.*Tokyo/);
    const again = await client.responses.create({ model, tools: [hosted], input: [...r.output, { role: 'user', content: 'Thanks.' }] });
    assert.deepEqual(again.output.map(o => o.type), ['message']);
  },

  async background() {
    const r = await client.responses.create({ model, background: true, input: plan({ text: 'At last.', think_ms: 200 }) });
    assert.ok(['queued', 'in_progress'].includes(r.status), r.status);
    const end = await ended(r.id);
    assert.equal(end.output_text, 'At last.');
    assert.equal(end.background, true);
  },

  async cancel() {
    const r = await slow();
    assert.equal((await client.responses.cancel(r.id)).status, 'cancelled');
    assert.equal((await client.responses.cancel(r.id)).status, 'cancelled');
    assert.equal((await client.responses.retrieve(r.id)).status, 'cancelled');
  },

  async chain() {
    const first = await client.responses.create({ model, input: says('One.') });
    const second = await client.responses.create({ model, input: says('Two.'), previous_response_id: first.id });
    const third = await client.responses.create({ model, input: says('Three.'), previous_response_id: second.id });
    assert.equal(third.output_text, 'Three.');
    assert.equal(third.previous_response_id, second.id);
    assert.ok(third.usage.input_tokens > first.usage.input_tokens, 'the model was shown the earlier turns');
  },

  async compact() {
    const question = says('The keys are under the mat.');
    const first = await client.responses.create({ model, input: question });
    const short = await client.responses.compact({ model, previous_response_id: first.id, instructions: 'Be brief.' });
    assert.equal(short.object, 'response.compaction');
    assert.deepEqual(short.output.map(o => o.type), ['message', 'compaction']);
    assert.equal(short.output[0].content[0].text, question);
    assert.ok(short.usage.output_tokens > 0);
    const next = { role: 'user', content: says('Found them.') };
    const r = await client.responses.create({ model, input: [...short.output, next] });
    assert.equal(r.output_text, 'Found them.');
    const listed = await gathered(client.responses.inputItems.list(r.id, { order: 'asc' }));
    assert.equal(listed[1].encrypted_content, short.output[1].encrypted_content);
    const again = await client.responses.compact({ model, input: [...short.output, next] });
    assert.deepEqual(again.output.map(o => o.type), ['message', 'message', 'compaction']);
    const forged = [{ type: 'compaction', encrypted_content: 'AQ' + short.output[1].encrypted_content }];
    const e = await client.responses.create({ model, input: forged }).then(() => assert.fail('it was not refused'), e => e);
    assert.deepEqual([e.status, e.code, e.param], [400, 'invalid_encrypted_content', 'input[0].encrypted_content']);

    const context_management = [{ type: 'compaction', compact_threshold: 1000 }];
    const long = await client.responses.create({ model, input: says('The keys are under the mat. '.repeat(200)), context_management });
    assert.deepEqual(long.output.map(o => o.type), ['message']);
    const events = await gathered(await client.responses.create({
      model, previous_response_id: long.id, input: plan(), context_management, stream: true,
    }));
    const on = events.at(-1).response;
    assert.deepEqual(on.output.map(o => o.type), ['compaction', 'message']);
    assert.deepEqual(events.find(ev => ev.type === 'response.output_item.done').item, on.output[0]);
    const asked = await client.responses.create({ model, previous_response_id: on.id, input: [{ type: 'compaction_trigger' }] });
    assert.deepEqual(asked.output.map(o => o.type), ['compaction']);
  },

  async input_tokens() {
    const n = await client.responses.inputTokens.count({ model, input: 'hello world' });
    assert.deepEqual([n.object, n.input_tokens], ['response.input_tokens', 9]);
    const first = await client.responses.create({ model, input: says('One.') });
    const more = await client.responses.inputTokens.count({
      model, input: 'hello world', previous_response_id: first.id, instructions: 'Be brief.', tools: [lookup],
    });
    assert.ok(more.input_tokens > n.input_tokens + 20, `${more.input_tokens} tokens`);
  },

  async list() {
    const made = [];
    for (const text of ['One.', 'Two.', 'Three.']) {
      made.unshift((await client.responses.create({ model, input: says(text), metadata: { list: 'a b', text } })).id);
    }
    const query = { metadata: { list: 'a b' }, status: 'completed', model, created_at: { gte: 1 } };
    const page = await client.get('/responses', { query: { ...query, limit: 2 } });
    assert.deepEqual([page.data.map(r => r.id), page.has_more, page.last_id], [made.slice(0, 2), true, made[1]]);
    const next = await client.get('/responses', { query: { ...query, limit: 2, after: page.last_id } });
    assert.deepEqual([next.data.map(r => r.id), next.has_more], [made.slice(2), false]);
    assert.deepEqual((await client.get('/responses', { query: { metadata: { list: 'a b', text: 'Two.' } } })).data.map(r => r.id), [made[1]]);
  },

  async errors() {
    const refused = async (type, promise, expected) => {
      const e = await promise.then(() => assert.fail('it was not refused'), e => e);
      assert.ok(e instanceof type, `${e?.constructor?.name}: ${e}`);
      assert.deepEqual({ status: e.status, code: e.code, param: e.param }, expected);
      assert.ok(e.requestID, 'the error has a request id');
    };
    await refused(OpenAI.BadRequestError, client.responses.create({ model, input: 'x', temperature: 9 }),
      { status: 400, code: 'decimal_above_max_value', param: 'temperature' });
    await refused(OpenAI.AuthenticationError, new OpenAI({ apiKey: 'wrong', maxRetries: 0 }).responses.create({ model, input: 'x' }),
      { status: 401, code: 'invalid_api_key', param: null });
    await refused(OpenAI.NotFoundError, client.responses.retrieve('resp_01a2067ee65570259391d506a2415c60'),
      { status: 404, code: null, param: null });
    await refused(OpenAI.NotFoundError, client.responses.create({ model: 'no-such-model', input: 'x' }),
      { status: 404, code: 'model_not_found', param: 'model' });
    // A refusal of the upstream fails the response, which a foreground client gets as an object.
    const busy = await client.responses.create({ model, input: plan({ model_faults: [{ round: 0, status: 422 }] }) });
    assert.equal(busy.status, 'failed');
    assert.ok(busy.error.message);
  },

  async stream() {
    const events = await gathered(await client.responses.create({ model, stream: true, input: says('One two three.') }));
    assert.equal(events[0].type, 'response.created');
    assert.deepEqual(events.map(e => e.sequence_number), events.map((_, n) => n));
    const deltas = events.filter(e => e.type === 'response.output_text.delta').map(e => e.delta);
    assert.deepEqual(deltas, ['One ', 'two ', 'three.']);
    const end = events.at(-1);
    assert.equal(end.type, 'response.completed');
    assert.deepEqual(await client.responses.retrieve(end.response.id).then(r => r.output), end.response.output);

    const helper = client.responses.stream({
      model, input: says('{"city":"Paris","celsius":21.5}'), text: { format: zodTextFormat(Weather, 'weather') },
    });
    let snapshot = '';
    helper.on('response.output_text.delta', e => { snapshot = e.snapshot; });
    assert.deepEqual((await helper.finalResponse()).output_parsed, { city: 'Paris', celsius: 21.5 });
    assert.equal(snapshot, '{"city":"Paris","celsius":21.5}');
  },

  async stream_functions() {
    const helper = client.responses.stream({ model, tools: [lookup], input: asks('lookup', { number: '7' }, 'Sent.') });
    const deltas = [];
    helper.on('response.function_call_arguments.delta', e => deltas.push(e.delta));
    const r = await helper.finalResponse();
    assert.equal(deltas.join(''), '{"number":"7"}');
    const call = r.output[0];
    assert.deepEqual([call.name, call.arguments, call.status], ['lookup', '{"number":"7"}', 'completed']);
    const next = client.responses.stream({
      model, tools: [lookup], previous_response_id: r.id,
      input: [{ type: 'function_call_output', call_id: call.call_id, output: 'sent' }],
    });
    assert.equal((await next.finalResponse()).output_text, 'Sent.');
  },

  async stream_tools() {
    const input = 'What is the weather in Paris and Tokyo?';
    const events = await gathered(await client.responses.create({ model, stream: true, tools: [hosted], input }));
    const end = events.at(-1).response;
    assert.deepEqual(end.output.map(o => o.type), ['mcp_list_tools', 'mcp_call', 'mcp_call', 'message']);
    assert.equal(events.filter(e => e.type === 'response.mcp_list_tools.completed').length, 1);
    assert.equal(events.filter(e => e.type === 'response.mcp_call.completed').length, 2);
    assert.match(end.output_text ?? end.output[3].content[0].text, /Paris.*Tokyo/);
  },

  async stream_errors() {
    await assert.rejects(client.responses.create({ model, stream: true, input: 'x', temperature: 9 }), OpenAI.BadRequestError);
    const seen = [];
    const failing = client.responses.create({ model, stream: true, input: plan({ model_faults: [{ round: 0, status: 422 }] }) });
    await gathered(await failing).then(all => seen.push(...all), e => assert.ok(e instanceof OpenAI.APIError, String(e)));
    assert.ok(seen.length === 0 || seen.at(-1).type === 'response.failed');
  },

  async resume() {
    // A live run: the reader drops the stream after every event and resumes it.
    const input = plan({ text: 'Turn by turn the load goes up and never slips back.', token_rate: 40 });
    const live = await client.responses.create({ model, background: true, stream: true, input });
    const full = [], resumed = [];
    let id;
    const from = async n => gathered(await client.responses.retrieve(id, { stream: true, starting_after: n }));
    for await (const event of live) {
      full.push(event);
      id ??= event.response.id;
      resumed.push(from(event.sequence_number));
      resumed.at(-1).catch(() => {}); // it is awaited below
    }
    assert.equal(full.at(-1).type, 'response.completed');
    // Dropped after the first event: it continues, and is complete afterwards.
    const dropped = await client.responses.create({ model, background: true, stream: true, input: says('No listener.') });
    let lost;
    for await (const event of dropped) {
      lost = event.response.id;
      break;
    }
    assert.equal((await ended(lost)).output_text, 'No listener.');
    assert.equal((await gathered(await client.responses.retrieve(lost, { stream: true }))).at(-1).type, 'response.completed');

    assert.deepEqual(await gathered(await client.responses.retrieve(id, { stream: true })), full);
    for (const [n, rest] of resumed.entries()) {
      assert.deepEqual(await rest, full.slice(n + 1), `live after ${n}`);
      assert.deepEqual(await from(n), full.slice(n + 1), `over after ${n}`);
    }
    const helper = client.responses.stream({ response_id: id, starting_after: 5 });
    assert.deepEqual((await gathered(helper)).map(e => e.sequence_number), full.slice(6).map(e => e.sequence_number));
    assert.equal((await helper.finalResponse()).output_text, 'Turn by turn the load goes up and never slips back.');
  },

  async stream_cancel() {
    const live = await client.responses.create({ model, background: true, stream: true, input: plan({ think_ms: 60_000 }) });
    const events = [];
    for await (const event of live) {
      events.push(event);
      if (event.type === 'response.in_progress') await client.responses.cancel(event.response.id);
    }
    assert.equal(events.at(-1).type, 'response.failed');
    assert.equal(events.at(-1).response.status, 'cancelled');
  },

  async delete() {
    const r = await client.responses.create({ model, input: says('Soon gone.') });
    await client.responses.delete(r.id);
    await assert.rejects(client.responses.retrieve(r.id), OpenAI.NotFoundError);
  },

  async input_items() {
    const input = Array.from({ length: 7 }, (_, n) => ({ role: 'user', content: `part ${n}` }));
    input.push({ role: 'user', content: says('Read.') });
    const r = await client.responses.create({ model, input });
    const seen = [];
    for await (const item of client.responses.inputItems.list(r.id, { limit: 3, order: 'asc' })) seen.push(item.content[0].text);
    assert.equal(seen.length, 8);
    assert.deepEqual(seen.slice(0, 7), input.slice(0, 7).map(i => i.content));
    const last = await client.responses.inputItems.list(r.id, { limit: 1 });
    assert.match(last.data[0].content[0].text, /^plan: /);
    assert.equal(last.has_more, true);
  },

  async models() {
    const names = [];
    for await (const m of client.models.list()) names.push(m.id);
    assert.ok(names.includes(model), names.join());
    assert.equal((await client.models.retrieve(model)).id, model);
    await assert.rejects(client.models.retrieve('no/body'), OpenAI.NotFoundError);
  },

  async chat() {
    const user = content => [{ role: 'user', content }];
    const c = await client.chat.completions.create({ model, messages: user(says('Hello there.')), n: 1, logprobs: false, store: false });
    assert.equal(c.choices[0].message.content, 'Hello there.');
    assert.equal(c.model, model);
    assert.ok(c._request_id && c.usage.total_tokens > 0);
    const tools = [{ type: 'function', function: { name: 'lookup', parameters: lookup.parameters, strict: true } }];
    const messages = user(asks('lookup', { number: '7' }, 'Sent on Monday.'));
    const { message } = (await client.chat.completions.create({ model, messages, tools })).choices[0];
    assert.deepEqual(message.tool_calls.map(t => t.function), [{ name: 'lookup', arguments: '{"number":"7"}' }]);
    messages.push(message, { role: 'tool', tool_call_id: message.tool_calls[0].id, content: 'sent' });
    assert.equal((await client.chat.completions.create({ model, messages, tools })).choices[0].message.content, 'Sent on Monday.');
    // A refusal is returned in the upstream's words; the client does not retry what the upstream cannot do.
    const fails = async (fault, expected) => {
      const persistent = new OpenAI({ maxRetries: 2 });
      const e = await persistent.chat.completions.create({ model, messages: user(plan({ model_faults: [{ round: 0, ...fault }] })) })
        .then(() => assert.fail('it was not refused'), e => e);
      assert.deepEqual({ status: e.status, code: e.code, param: e.param, type: e.type }, expected);
    };
    await fails({ status: 422, body: '{"error":{"message":"No.","type":"t","param":"p","code":"c"}}' }, { status: 422, code: 'c', param: 'p', type: 't' });
    await fails({ status: 403 }, { status: 502, code: 'upstream_forbidden', param: null, type: 'server_error' });
  },

  async chat_stream() {
    const messages = content => [{ role: 'user', content }];
    const stream = await client.chat.completions.create({
      model, messages: messages(says('One two three.')), stream: true, stream_options: { include_usage: true },
    });
    let text = '', usage;
    for await (const chunk of stream) {
      assert.equal(chunk.model, model);
      text += chunk.choices[0]?.delta?.content ?? '';
      usage = chunk.usage ?? usage;
    }
    assert.equal(text, 'One two three.');
    assert.equal(usage.completion_tokens, 3);
    const runner = client.chat.completions.stream({ model, messages: messages(asks('lookup', { number: '7' }, '')) });
    const [call] = (await runner.finalChatCompletion()).choices[0].message.tool_calls;
    assert.deepEqual([call.function.name, call.function.arguments], ['lookup', '{"number":"7"}']);
    const refused = client.chat.completions.create({ model, messages: messages(plan({ model_faults: [{ round: 0, status: 422 }] })), stream: true });
    await assert.rejects(refused, OpenAI.UnprocessableEntityError);
    const broken = await client.chat.completions.create({
      model, messages: messages(plan({ text: 'a b c d', model_faults: [{ round: 0, times: 1, mode: 'truncate' }] })), stream: true,
    });
    await assert.rejects(async () => { for await (const _ of broken); }, OpenAI.APIError);
  },

  async embeddings() {
    const input = ['two words', 'one'];
    const asked = encoding => client.embeddings.create({ model, input, dimensions: 4, encoding_format: encoding });
    const usual = await asked(); // the SDK asks for base64 and decodes it
    assert.deepEqual(usual.data.map(d => d.embedding.length), [4, 4]);
    const near = (a, b) => a.every((v, i) => Math.abs(v - b[i]) < 1e-6);
    assert.ok(near(usual.data[0].embedding, (await asked('float')).data[0].embedding));
    assert.equal(usual.usage.prompt_tokens, 3);
    assert.equal(usual.model, model);
  },
});

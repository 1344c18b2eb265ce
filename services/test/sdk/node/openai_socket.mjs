// npm openai: WebSocket mode.
import OpenAI from 'openai';
import { ResponsesWebSocketSession } from 'openai/lib/responses/responses-websocket-session';
import { ResponsesWS } from 'openai/resources/responses/ws';
import { asks, assert, hosted, model, plan, run, says } from './scenarios.mjs';

const client = new OpenAI({ maxRetries: 0 });

const lookup = {
  type: 'function', name: 'lookup', description: 'Finds an order.', strict: true,
  parameters: { type: 'object', properties: { number: { type: 'string' } }, required: ['number'], additionalProperties: false },
};

// on opens a WebSocket for a scenario.
const on = scenario => async () => {
  const ws = new ResponsesWS(client);
  const records = ws.stream();
  // events sends a request and collects its events to the end.
  const events = async request => {
    ws.send({ type: 'response.create', model, ...request });
    const all = [];
    for (;;) {
      const { value, done } = await records.next();
      assert.ok(!done && value.type !== 'close', 'the WebSocket is closed');
      if (value.type === 'error') throw value.error;
      if (value.type !== 'message') continue;
      all.push(value.message);
      if (/^response\.(completed|incomplete|failed)$/.test(value.message.type)) return all;
    }
  };
  const answer = async request => (await events(request)).at(-1).response;
  try {
    await scenario({ ws, records, events, answer });
  } finally {
    ws.close();
  }
};

const text = response => response.output.at(-1).content[0].text;

await run({
  create: on(async ({ events }) => {
    const all = await events({ input: says('One two three.'), metadata: { a: 'b' } });
    assert.equal(all[0].type, 'response.created');
    assert.deepEqual(all.map(e => e.sequence_number), all.map((_, n) => n));
    assert.deepEqual(all.filter(e => e.type === 'response.output_text.delta').map(e => e.delta), ['One ', 'two ', 'three.']);
    const { response } = all.at(-1);
    assert.deepEqual((await client.responses.retrieve(response.id)).output, response.output);
  }),

  functions: on(async ({ answer }) => {
    const request = { store: false, tools: [lookup] };
    const first = await answer({ ...request, input: asks('lookup', { number: '7' }, 'Sent on Monday.') });
    const [call] = first.output;
    assert.deepEqual([call.type, call.name, call.arguments], ['function_call', 'lookup', '{"number":"7"}']);
    const second = await answer({
      ...request, previous_response_id: first.id, input: [{ type: 'function_call_output', call_id: call.call_id, output: 'sent' }],
    });
    assert.equal(text(second), 'Sent on Monday.');
    assert.equal(second.previous_response_id, first.id);
    await assert.rejects(client.responses.retrieve(second.id), OpenAI.NotFoundError);
  }),

  tools: on(async ({ events }) => {
    const all = await events({ tools: [hosted], input: 'What is the weather in Paris and Tokyo?' });
    const { response } = all.at(-1);
    assert.deepEqual(response.output.map(o => o.type), ['mcp_list_tools', 'mcp_call', 'mcp_call', 'message']);
    assert.equal(all.filter(e => e.type === 'response.mcp_call.completed').length, 2);
    assert.match(text(response), /Paris.*Tokyo/);
  }),

  chain: on(async ({ answer }) => {
    const warm = await answer({ store: false, generate: false, instructions: 'Be brief.', input: 'Know this.' });
    assert.deepEqual([warm.status, warm.output], ['completed', []]);
    const first = await answer({ store: false, previous_response_id: warm.id, input: says('One.') });
    const second = await answer({ store: false, previous_response_id: first.id, input: says('Two.') });
    assert.equal(text(second), 'Two.');
    const stored = await answer({ previous_response_id: second.id, input: says('Three.') });
    assert.ok(stored.usage.input_tokens > first.usage.input_tokens, 'the model was shown the earlier turns');
    const over = await client.responses.create({ model, previous_response_id: stored.id, input: says('Four.') });
    assert.equal(over.output_text, 'Four.');
  }),

  errors: on(async ({ answer }) => {
    const refused = async (request, expected) => {
      const e = await answer(request).then(() => assert.fail('it was not refused'), e => e);
      assert.ok(e.error, String(e));
      const { status, error } = e.error;
      assert.deepEqual({ status, code: error.code, param: error.param }, expected);
      assert.equal(e.message, error.message);
    };
    await refused({ input: 'x', temperature: 9 }, { status: 400, code: 'decimal_above_max_value', param: 'temperature' });
    await refused({ input: 'x', background: true }, { status: 400, code: 'unsupported_parameter', param: 'background' });
    await refused({ input: 'x', model: 'no-such-model' }, { status: 404, code: 'model_not_found', param: 'model' });
    const first = await answer({ store: false, input: says('One.') });
    const request = { store: false, previous_response_id: first.id };
    assert.equal((await answer({ ...request, input: plan({ model_faults: [{ round: 0, status: 422 }] }) })).status, 'failed');
    await refused({ ...request, input: 'x' }, { status: 400, code: 'previous_response_not_found', param: 'previous_response_id' });
    assert.equal(text(await answer({ input: says('Still here.') })), 'Still here.');
  }),

  lanes: on(async ({ ws, records }) => {
    while ((await records.next()).value.type !== 'open');
    const session = new ResponsesWebSocketSession(ws, { maxLanes: 40, maxBufferedEvents: 10_000, maxBufferedBytes: 8 << 20 });
    const [planner, research, critic, none] = ['planner', 'research', 'critic', undefined].map(id => session.lane(id));
    planner.create({ model, store: false, input: plan({ text: 'A plan.', think_ms: 1500 }) });
    research.create({ model, store: false, tools: [hosted], input: 'What is the weather in Paris and Tokyo?' });
    none.create({ model, store: false, input: says('Neither.') });
    assert.match(text(await research.finalResponse()), /Paris.*Tokyo/);
    assert.equal(text(await none.finalResponse()), 'Neither.');
    const first = await planner.receive();
    assert.deepEqual([first.type, first.stream_id], ['response.created', 'planner']);
    const draft = await planner.finalResponse();
    assert.equal(text(draft), 'A plan.');
    // A fork and its source continue at the same time.
    critic.create({ model, store: false, previous_response_id: draft.id, input: plan({ text: 'Gaps.', think_ms: 200 }) });
    while ((await critic.receive()).type !== 'response.in_progress');
    planner.create({ model, store: false, previous_response_id: draft.id, input: says('More.') });
    for (const [lane, said] of [[planner, 'More.'], [critic, 'Gaps.']]) {
      const r = await lane.finalResponse();
      assert.deepEqual([text(r), r.previous_response_id], [said, draft.id]);
    }
  }),

  async unauthorized() {
    const ws = new ResponsesWS(new OpenAI({ apiKey: 'wrong' }));
    for await (const record of ws.stream()) {
      if (record.type === 'error') {
        assert.match(record.error.message, /401/);
        return;
      }
      assert.equal(record.type, 'connecting');
    }
    assert.fail('it was not refused');
  },
});

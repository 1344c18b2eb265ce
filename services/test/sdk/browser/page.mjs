// A page of another origin that uses Windlass: by fetch, and by npm openai without a bundler. It sends the results of its
// scenarios to its server.
import OpenAI from 'openai';

const { api, key, denied } = await (await fetch('/config')).json();
const client = new OpenAI({ baseURL: `${api}/v1`, apiKey: key, dangerouslyAllowBrowser: true, maxRetries: 0 });

function same(got, want) {
  if (JSON.stringify(got) !== JSON.stringify(want)) throw new Error(`got ${JSON.stringify(got)}, want ${JSON.stringify(want)}`);
}

function ask(body, authorization = `Bearer ${key}`) {
  return fetch(`${api}/v1/responses`, {
    method: 'POST', headers: { Authorization: authorization, 'Content-Type': 'application/json' }, body: JSON.stringify(body),
  });
}

const says = text => `plan: ${JSON.stringify({ seed: Math.floor(Math.random() * 1e9), text })}`;
const text = 'One two three.';

const allowed = {
  async fetch_stream() {
    const answer = await ask({ model: 'demo', input: says(text), stream: true });
    same([answer.status, answer.headers.has('x-request-id')], [200, true]);
    let said = '', last = '', rest = '';
    const decoder = new TextDecoder();
    for await (const chunk of answer.body) {
      const events = (rest + decoder.decode(chunk, { stream: true })).split('\n\n');
      rest = events.pop();
      for (const event of events) {
        const data = event.match(/^data: (.*)$/m)?.[1];
        if (!data || data === '[DONE]') continue;
        const { type, delta } = JSON.parse(data);
        if (type === 'response.output_text.delta') said += delta;
        last = type;
      }
    }
    same([said, last], [text, 'response.completed']);
  },

  async fetch_refused() {
    const answer = await ask({ model: 'demo', input: 'x' }, 'Bearer wrong');
    same([answer.status, (await answer.json()).error.code], [401, 'invalid_api_key']);
  },

  async sdk_create() {
    const response = await client.responses.create({ model: 'demo', input: says(text) });
    same([response.status, response.output_text], ['completed', text]);
    same((await client.responses.retrieve(response.id)).id, response.id);
  },

  async sdk_stream() {
    let said = '';
    const stream = await client.responses.create({ model: 'demo', input: says(text), stream: true });
    for await (const event of stream) {
      if (event.type === 'response.output_text.delta') said += event.delta;
    }
    same(said, text);
  },

  async sdk_tools() {
    const stream = client.responses.stream({
      model: 'demo', input: 'What is the weather in Paris and Tokyo?', tools: [{ type: 'mcp', server_label: 'windlass', require_approval: 'never' }],
    });
    const response = await stream.finalResponse();
    same(response.output.map(o => o.type), ['mcp_list_tools', 'mcp_call', 'mcp_call', 'message']);
  },

  async sdk_chat() {
    let said = '';
    const stream = await client.chat.completions.create({ model: 'demo', messages: [{ role: 'user', content: says(text) }], stream: true });
    for await (const chunk of stream) said += chunk.choices[0]?.delta?.content ?? '';
    same(said, text);
  },

  async sdk_refused() {
    const error = await client.responses.create({ model: 'no-such-model', input: 'x' }).then(() => undefined, e => e);
    same([error?.constructor?.name, error?.status, error?.code], ['NotFoundError', 404, 'model_not_found']);
    if (!error.requestID) throw new Error('the page cannot read x-request-id');
  },

  async sdk_cancelled() {
    const response = await client.responses.create({ model: 'demo', input: says(text), background: true });
    await client.responses.delete((await client.responses.cancel(response.id)).id).catch(e => same(e.status, 400));
  },
};

// The result for a page whose origin is not allowed.
const refused = {
  async fetch_denied() {
    const error = await ask({ model: 'demo', input: 'x' }).then(() => undefined, e => e);
    same(error instanceof TypeError, true);
  },
  async sdk_denied() {
    const error = await client.models.list().then(() => undefined, e => e);
    same(error instanceof OpenAI.APIConnectionError, true);
  },
};

const lines = [];
for (const [scenario, run] of Object.entries(denied ? refused : allowed)) {
  let error = '';
  try {
    await run();
  } catch (e) {
    error = String(e?.stack ?? e);
  }
  lines.push({ scenario, error });
}
await fetch('/result', { method: 'POST', body: JSON.stringify(lines) });

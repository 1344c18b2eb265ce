// Shared by the client scripts: running scenarios, and the plans for the scripted model.
import assert from 'node:assert/strict';

export { assert };

export const baseURL = process.env.OPENAI_BASE_URL;
export const model = 'demo';
export const hosted = { type: 'mcp', server_label: 'windlass', require_approval: 'never' };

const patience = 30_000;

// run runs the scenarios in sequence and prints a line of JSON for each. A scenario that takes too long fails.
export async function run(scenarios) {
  for (const [name, scenario] of Object.entries(scenarios)) {
    const line = { scenario: name };
    let timer;
    const late = new Promise((_, reject) => {
      timer = setTimeout(() => reject(new Error(`not over after ${patience} ms`)), patience);
    });
    try {
      await Promise.race([scenario(), late]);
    } catch (e) {
      line.error = e?.stack ?? String(e);
    }
    clearTimeout(timer);
    console.log(JSON.stringify(line));
  }
  process.exit(0); // even if a failed scenario has left something open
}

let seed = Number(process.env.WINDLASS_SEED);

// plan returns an input that scripts the model. Every plan has its own seed.
export function plan(script = {}) {
  return 'plan: ' + JSON.stringify({ seed: seed++, ...script });
}

// says returns an input to which the model answers the text.
export const says = text => plan({ text });

// asks returns an input on which the model calls one function and then answers the text.
export function asks(name, args, text) {
  return plan({ rounds: 1, tool: name, raw_arguments: JSON.stringify(args), text });
}

// until polls until check returns something.
export async function until(check) {
  for (;;) {
    const got = await check();
    if (got) return got;
    await new Promise(resolve => setTimeout(resolve, 25));
  }
}

// gathered returns the elements of an async iterable.
export async function gathered(source) {
  const all = [];
  for await (const element of source) all.push(element);
  return all;
}

"""What the client scripts share: running scenarios, and the plans that the scripted model follows."""

import asyncio
import inspect
import itertools
import json
import os
import sys
import time
import traceback

MODEL = "demo"
HOSTED = {"type": "mcp", "server_label": "windlass", "require_approval": "never"}

_seeds = itertools.count(int(os.environ["WINDLASS_SEED"]))
_scenarios = []
_PATIENCE = 30  # seconds for one scenario


def scenario(f):
    """Marks a function, plain or async, as a scenario of its name."""
    _scenarios.append(f)
    return f


def run():
    """Runs the scenarios one after the other and prints a line of JSON for each."""
    loop = asyncio.new_event_loop()  # one for all scenarios: clients keep connections in it
    for f in _scenarios:
        line = {"scenario": f.__name__}
        try:
            if inspect.iscoroutinefunction(f):
                loop.run_until_complete(asyncio.wait_for(f(), _PATIENCE))
            else:
                f()
        except Exception:
            line["error"] = traceback.format_exc()
        print(json.dumps(line), flush=True)
    sys.stdout.flush()
    os._exit(0)  # even if a failed scenario has left something open


def plan(**script):
    """An input that scripts the model. Every plan has a seed of its own."""
    return "plan: " + json.dumps({"seed": next(_seeds), **script})


def says(text):
    """An input upon which the model says the text."""
    return plan(text=text)


def asks(name, arguments, text):
    """An input upon which the model calls one function and then says the text."""
    return plan(rounds=1, tool=name, raw_arguments=json.dumps(arguments), text=text)


def until(check):
    """Polls until check returns something."""
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline:
        got = check()
        if got:
            return got
        time.sleep(0.025)
    raise TimeoutError(f"not over after {_PATIENCE} s")

// npm @openai/agents: the scenarios of agents.mjs over its WebSocket transport.
import { setOpenAIResponsesTransport } from '@openai/agents';
import { WebSocket } from 'ws';

globalThis.WebSocket = WebSocket; // Node 20 has none
setOpenAIResponsesTransport('websocket');
await import('./agents.mjs');

// Package gateway is the HTTP front of Windlass: it accepts requests, waits for
// their answers, cancels them and serves what is to be read. It never calls a
// model.
//
// # Promises
//
//   - An id is given out only after the request's row is committed; from then on GET finds it and it becomes terminal.
//   - A cancel is final when it is answered: the row was terminal before the first byte of the answer.
//   - With Postgres away every endpoint answers 503 with Retry-After within a second. With NATS away everything works; a
//     foreground answer may then take a poll interval longer.
//   - A foreground client that hangs up cancels its request, unless it sent an Idempotency-Key. A background one does not.
//   - A POST with an Idempotency-Key happens once for its tenant, whatever is killed meanwhile: whoever sends the same again, to
//     whichever gateway, gets the same answer, while it runs and for at least 24 hours after.
//   - A tenant's limits hold over all gateways. What goes over one is answered with 429 and a time to come again before anything is
//     written; repeats with an Idempotency-Key are not counted.
//   - Every wait ends: with the answer, with the request's deadline and a little, or with the drain.
//   - A key is checked before the body is read; a body is read to its limit and no further.
//   - A key sees its tenant's requests only. Another tenant's answer like ids that name nothing, on every route.
//   - A revoke is effective within 5 s. A key that is not known to be bad is never answered with 401.
//   - Prompts, outputs and keys are not logged.
//
// # What it does not promise
//
// A 503 on POST /v1/responses without an id in its message means that the
// gateway does not know whether the row was written. It tries to cancel such a
// request afterwards; if it is killed meanwhile, the request runs to its end
// unseen. With an Idempotency-Key it is not cancelled: sending it again leads
// to it. A 503 with an id means that the request goes on and GET will serve it.
//
// With Postgres away a key that this gateway saw alive stays good for 65 s from
// then on, revoked or not; then, and for every other key, the answer is 503.
// Looking for such a key may add 250 ms to the second promised above. The same
// holds for a database that takes longer than 0.9 s to say anything about a
// key.
//
// # Decisions
//
//   - Of the registry file the gateway reads tenants again when it changes, and nothing else: models and tools are read by the other
//     services too, and all have to know the same. A file with a fault changes nothing.
//   - Whom the database has refused for a rate is refused from memory until the rate allows one more: what was used up comes back by
//     time alone. Requests in flight are always counted by the database.
//   - A key that may use some registered tools gets them written into its requests in the place of all: whoever runs a request does not
//     know the key. What it names beside them is refused like a tool that is not there.
//   - A key with the scope admin manages the keys of its tenant and does nothing else. It makes none that may use other models or tools
//     than itself; one without such bounds makes any.
//   - store=false: whoever waits gets the answer, and nobody else anything: to every other request the id is unknown. The row is
//     kept, for a durable run needs it; its payloads are not purged yet. A gateway that drains cancels such a request and
//     asks its client to send it again. background=true with store=false is refused, as OpenAI does.
//   - previous_response_id may name a response that is completed or incomplete. Any other state is a 400 of its own code, as is a
//     line of more than store.MaxAncestors responses or with more bytes than a body may have. Instructions are not inherited.
//   - A response is continued with its whole history or not at all. Deleting one makes every continuation of it and of its
//     descendants answer 400 previous_response_not_found, with the id that is missing; a descendant in flight fails with that
//     code at its next turn. What is completed stays readable.
//   - DELETE of a response in flight answers 400; afterwards every request for the id answers 404.
//   - input_items lists what the request itself brought. Items without an id of their own get one that is made of the
//     request's id and their place.
//   - A request that failed, or whose deadline passed, is answered with 200 and a response object of status "failed": the run
//     is the resource and it has an id. HTTP errors are for requests that were not accepted or whose answer is not known.
//   - GET serves foreground responses in flight too (OpenAI answers 404): it is how a client finds its answer after a drain.
//   - Cancelling a response that is completed, failed or incomplete answers 200 with the final object and changes nothing, as
//     OpenAI's guide has it. Only background responses can be cancelled.
//   - A stream's first events follow from the request and are written by nobody; the terminal one is the row's. What lies between is
//     read from the bus while the request runs and from its archive afterwards. Who streams in the foreground and hangs up cancels the
//     request; a client that is dropped because it reads too slowly, or because the server drains, can resume. A response that was
//     not streamed can be: it is told at its end.
//   - A GET asks for the stream by its query, as OpenAI has it, or by {"stream": true} in a body: that is what openai-go's GetStreaming
//     sends, which would otherwise read an object as a stream without events.
//   - A stream ends with an error event of the code stream_lost, and nothing else, when the bus has lost frames of it.
//   - A response is made on a conversation as it was when the response was accepted. Until the response ends, another one and every change
//     of the conversation's items answer 400 conversation_locked, as OpenAI does; new metadata and DELETE do not. The lock is no
//     promise to wait: clients come again. Whatever ends the response frees the conversation in the same commit.
//   - What a response adds to its conversation, its input and its output, is there with its end, all at once, in order and once. One
//     that failed, was cancelled or expired adds nothing; nor does one with store=false, which only reads: not stored means nowhere.
//   - Deleting a conversation deletes its items there and then. A response in flight on it fails with conversation_not_found at its
//     next model call; one that makes no more is completed, and adds nothing. Deleting a response, on the other hand, leaves its items
//     in the conversation: the two live independently, as OpenAI has it.
//   - A conversation of more than conversations.MaxItems items, the input included, or with more bytes than a body may have is
//     continued by nobody (400 conversation_too_long), and not added to; items can be taken out of it. Calls that are open in it need their
//     outputs, in the input or before as items of their own; an output without a call, as the removal of an item leaves it, is refused.
//   - An item is in a conversation once. Adding it again answers 400 item_already_in_conversation, in a request's input 400 in OpenAI's
//     words for duplicates. (OpenAI takes an id twice if one request brings it; what GET and DELETE of that id should mean then
//     nobody says.) Items that are kept by their ids must have ids that OpenAI takes.
//   - item_reference is resolved when the request is accepted, and the request is kept with the items in place of the references: no
//     later reader sees one, and what it named may be deleted afterwards. It finds output items of responses that have ended, input items
//     by the ids that we gave them, and items of conversations by any id, all of the same tenant and stored; a client's own id of
//     an input item that is in no conversation is not found. Most ids say where the item is (package itemid). What is
//     unknown, another tenant's, deleted or not stored answers the same 404.
//   - What a request asks for and cannot have is refused: what nobody does here (responses.Create.Refusal), what the model's upstream
//     cannot be given (package capability), tools that cannot be called as demanded (toolset.Validate). What is only a hint is taken. Unknown
//     fields and types of tools are let pass, for agents send what is newer than this server; a tool that nobody runs is echoed and
//     not offered to the model. Rules may be added there, not to Decode, which also reads what was accepted before.
//   - chat/completions, completions and embeddings are requests like any other, and never stored: `store` is for the upstream. No
//     route of responses knows them. Their ends are HTTP statuses, for their clients expect no other: a 4xx is the upstream's own,
//     with its type, param and code (a number becomes text, as OpenAI's schema has it); what lies between us and the upstream, a
//     refused credential included, is a 502, lateness a 504. Where SDKs would try again they are told not to: the row has made
//     all the attempts the upstream is to be given. Everything that an end is made of is in the row, so that any gateway can tell it.
//   - Their streams begin with the first chunk, or after 15 s without one, so that a refusal can be the HTTP error that clients
//     expect; later it is a chunk. Chunks of two attempts are never mixed, for they cannot be taken back as events can: an attempt
//     that finds that another has sent something fails, and a reader who sees a second beginning takes the stream for lost. [DONE]
//     follows the commit, so that whoever has seen it has a request that is completed. The upstream is always asked for its usage.
//   - Their ids are in a header, because the body's id is the upstream's. GET /v1/requests/{id}/steps shows what happened without
//     what was said, as far as an operator needs it and a client that did not ask for storage may expect. Showing them under
//     /v1/responses would have made every other route there answer for ids that are none; telling only the logs, as for responses
//     with store=false, would have left tenants without a trail.
//   - A compaction (POST /v1/responses/compact) is a call of that kind, too, though the body is ours to understand: OpenAI's object has
//     no status, so failures are HTTP errors, and it is not stored, for it is made to be given back. It may continue a response; a
//     conversation it may not, for nothing could take the items' places there. All messages of the user come back, as OpenAI has it, however
//     many; what instructs the model goes into the seal (package compaction). A compaction item is opened when it comes, so that what was not
//     sealed for the tenant is a 400, and kept as it came. Without WINDLASS_SEAL_KEYS there is no such route (404).
//   - A compact_threshold has to be given: OpenAI's own default depends on the model's window, which is in no registry here.
//   - So is a count of tokens (POST /v1/responses/input_tokens): what a model is shown is known where its history is loaded and its
//     upstream's dialect is spoken, and counting a long one takes seconds of a core. A conversation's items are copied into the request,
//     for it is not to be locked.
//   - A list of responses (GET /v1/responses) takes ids as places in time, not as entries that have to be there: clients that delete what
//     they have listed, or are overtaken by the purge, go on. What is not stored is in no list.
//   - What an upstream can do (chat, embeddings) is not in the registry: the upstream says so itself, in words that clients know.
//   - An Idempotency-Key stands for method, path, query and the bytes of the body; anything else with it is a 422
//     idempotency_key_reused, never a 409, for SDKs send those again. Refusals don't use the key up, whatever their status; once a
//     request was accepted its end is the answer, a failure too. Repeats say so in Idempotent-Replayed and are not held against limits.
//   - The key of a request is a row of the commit that accepts it, and its repeats are answered from the request's own row: a
//     background one as it stands, a foreground one when it ends, a stream from its first event. Rejected: to keep answers beside the
//     row, which are megabytes, and to write the key before, which leaves keys without a request. What makes no request holds
//     its key for 10 s, takes its id from it, and keeps an answer of up to 256 kB; who comes after a holder that died makes the same
//     thing under the same id. A lock held over the handler was rejected: it holds a connection that the handler needs.
//   - With a key a hang-up cancels nothing, for the client that lost its connection is the one that comes again. A response with
//     store=false can be had by its key, which is the client's own secret, until its payloads are purged. When what was made has been
//     deleted its key answers 404 and makes nothing.
//   - The ids of keys carry a proof of the pepper, so that made-up keys are refused without asking the database; an id that was
//     given out is looked up once a second at most, and the lookups of one moment are one statement (package apikey).
//   - A key without the right to a model is told that there is no such model. A key without the scope for a method gets 403
//     missing_scope, whatever the id.
//   - GET /v1/responses/{id}/steps is ours; its times are RFC 3339 in UTC with milliseconds, durations are milliseconds. What a model
//     was shown is rebuilt from the request, what it continues and the earlier turns (package audit): a stored copy per turn would grow
//     with the square of the turns. A deleted history, and items that a size limit leaves out, are named in input_notice.
//   - Pages of other origins may call the API if WINDLASS_CORS_ORIGINS lists them (package origins). Preflights are answered before
//     the key is checked. Cookies are never accepted, so that * is safe: the key is the only credential.
//   - GET /v1/models asks the upstream of the wildcard model for its models: at most once a minute, without waiting once there is an
//     answer (package catalog). It is the only call of an upstream that the gateway makes, and needs the upstream's credential in
//     the gateway's environment. A failure costs only the upstream's own names. A name that the upstream does not list is still passed
//     on: lists are not always complete.
//   - Errors name what was probably meant (package hints): near models that the key may use, and the route for a wrong path.
//   - A WebSocket is a client like any other: each message is a request with a row, and its events are those of a stream. What only the
//     connection knows is the last response that nobody else may read: one with store=false, or a warm-up, of which no row is made. A
//     request that continues it is accepted with all of it as its input, so that a worker finds everything in the row, wherever it
//     runs; its input_items show that. The connection forgets it when a continuation fails, as the specification wants; stored
//     responses are not touched by that. Lanes (stream_id) are not served.
//   - stream: true and background: false are let through on a WebSocket, though the specification forbids the fields: Codex sends the
//     first, and both say what is so. Messages may wait (socketQueue) rather than be refused, for a client may send the next one before
//     it has read the end of the last. Pings need no answer: clients that read only while they wait could not give it.
//   - On a drain a WebSocket that is idle is closed with 1001 at once, a busy one with the end of its response or of the grace. Each
//     message asks for the key again, so that a revoke holds there too.
//   - Readiness does not depend on NATS: requests are accepted without it and dispatched when it is back.
package gateway

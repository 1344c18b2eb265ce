// Package chat implements the chat-completions dialect: it encodes a call as a
// chat completion request and decodes the answer, whole or in chunks. It is
// pure: no SQL, no NATS, no HTTP.
//
// Decoding is lenient. Members are read one by one, and a member of an
// unexpected type is ignored (TestOddMembers, TestUsage). Pieces of a call are
// matched by id, then by index, then by a new name, and repeated pieces count
// once (TestCallsOfAStream). An unknown finish reason ends a whole answer but
// does not run a call that was cut off (TestEnds); a reason that says that the
// provider failed fails the call (TestFailures).
//
// Encoding is exact. What an upstream attached to an answer (call ids,
// reasoning, unknown members) is sent back with the turn to that upstream only,
// up to 1 MiB a turn (TestWhatIsAttachedGoesBack, TestAttachedIsBounded). Empty
// messages are dropped or replaced by a placeholder (TestHistory). The messages
// of each turn start with the bytes of the turn before, so that prompt caches
// hit (TestMessagesBeginAsBefore).
//
// Errors that an answer reports are not read here: package upstream finds them
// before a document reaches a dialect.
//
// Decision: a whole answer is read as a stream of one chunk, so that one set of
// rules covers both. Rejected: encoding/json into structs, which fails the
// whole answer for one member of another type.
package chat

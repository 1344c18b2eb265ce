// Package store is the truth of Windlass: every request, every step and every SQL statement.
//
// # Promises
//
//   - A request's status only moves forward: queued → in_progress → one of completed, incomplete, failed, cancelled,
//     expired. A terminal row never changes again but for its after-work, and goes only by [Store.Delete].
//   - A step is recorded once. Every worker's write names epoch, turn and attempt under status = 'in_progress' and turns the
//     step's own row from 'dispatched'; a write that turns none does nothing else and is reported as [ErrStale].
//   - Fan-in is a count: the statement that turns tool steps lowers pending by the number it really turned, and the one
//     that brings it to 0 opens what follows.
//   - One hand-over is one statement, one round trip, one commit. Statements that wait for the database at the same time are
//     joined into one (see [Store.CommitTurn], [Store.Accept], [Store.Settle]); their rows are locked in the order of ids, and
//     of several tables in the order conversations, budgets, idempotency keys.
//   - An idempotency key is taken by the commit that accepts its request, or not at all.
//   - A tenant's limits hold over all who accept: what is used and what is in flight is read under a lock that the accept holds.
//   - All deadline arithmetic uses the database's clock; callers get durations.
//
// # What it does not promise
//
// It tells nobody. What a row needs next is said by [Row.Next]; publishing it is the caller's, and the sweep
// ([Store.Overdue]) finds every row whose caller died before it did.
//
// # Decisions
//
// A request names what it continues by id, without a foreign key: deleting a request leaves those that continue it, and whoever
// reads a line with a gap is told so instead of getting half a history. The line is walked by primary key at each load, at most
// [MaxAncestors] steps; nothing is copied, so that storage stays linear in turns.
//
// The answer of a request that is one model call is its step's output, and its failure the step's error: a text that only passes
// through, megabytes of it for embeddings, is not written a second time to settle it.
//
// A conversation owns its items: what a response adds is written beside it, once, in the commit that ends it, and from then on response
// and conversation live and are deleted independently of each other. Reading items out of the rows of their responses instead would
// save that copy, but bind the life of a response, and its purge, to a conversation somebody may keep for years. Each response adds only
// its own items, so that storage stays linear here as well. A response in flight locks its conversation, so that all of its turns see the
// same history; there is no lock to be released, since it is the response's row that says whether it is in flight. Deleting a
// conversation needs no lock: the foreign key of its items keeps a settlement from adding to what is being deleted.
//
// A connection is used only if its server accepts writes ([checkServer]), and never again after an error that says otherwise
// ([condemnsConnection]): the protocol calls such a session healthy, and every write on it fails for as long as the pool keeps it
// (TestCondemnedConnectionIsNotReused, TestFailover). Nothing is kept in a session that a pooler could give to somebody else: settings
// follow the connect where the session is our own, and travel with each statement where it is not (TestStatementsBehindAPooler).
// Startup parameters were the alternative, and PgBouncer refuses them. Which errors pass by themselves is one table ([Unavailable],
// TestUnavailable); every other is a bug and is reported at once (TestUnknownErrorIsNotAnOutage).
//
// A live row (in progress, or terminal with after-work left) is found through a partial index on its id that does not hold
// check_at, so that a step's commit stays a heap-only update; the sweep filters on check_at over all live rows instead,
// about 1 µs a row. Step payloads are columns of steps, stored out of line above the toast threshold and never rewritten by
// the update that finishes the step; request bodies and answers are rows of their own.
package store

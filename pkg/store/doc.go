// Package store writes runs to Postgres: each method is one step of the state
// machine, and one statement. Packages below it own the tables around a run:
//
//	postgres       connections, statements, errors: the lowest layer
//	batch          the group commit
//	migrations     the schema
//	conversations  conversations and their items
//	idempotency    idempotency keys
//	keys           API keys
//	limits         limits of tenants and their budgets
//	answers        what clients read: responses, lists, items
//	retention      deletion
//
// A new table gets a package with a type Store and New(db). It imports the
// lowest layer only; store imports it if a run's commit writes the table.
//
// # Promises
//
//   - A request's status only moves forward: queued → in_progress → a terminal
//     status. A terminal row changes only by its after-work (TestTransitions,
//     TestTerminalRowKeepsItsStatus).
//   - A step is recorded once. Every worker's write names epoch, turn and
//     attempt, and changes nothing and returns [ErrStale] if they do not match
//     (TestWrongFenceWritesNothing, TestRandomWalkAgreesWithTheModel).
//   - The statement that finishes tool steps lowers pending by the number that
//     it finished; at 0 it opens what follows (TestFanInCountsEachStepOnce).
//   - An idempotency key, a tenant's budget and a conversation's lock are
//     written by the commit that accepts the request, or not at all
//     (TestAGuardThatRefusesLeavesTheOthersAlone).
//   - No statement's cost grows with the backlog or the history
//     (TestCostIsIndependentOfTheBacklog).
//
// The store publishes nothing. [run.Row.Next] says which message a row needs;
// the caller publishes it, and the sweep ([Store.Overdue]) finds the rows of
// callers that died before. Deadlines and leases use the database's clock only.
package store

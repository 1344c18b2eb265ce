// Package postgres connects the packages of the store to the database. It is
// the lowest layer of pkg/store: it knows connections, statements and errors,
// and no table.
//
// # Promises
//
//   - A connection is used only if its server accepts writes, and never again
//     after an error that says otherwise (TestCondemnedConnectionIsNotReused,
//     TestFailover). Of a URL with several hosts the primary is used, and found
//     again after a failover (TestFailover).
//   - Every error is classified by one table, [Unavailable]: an outage passes
//     by itself, everything else is a bug and is reported at once
//     (TestUnavailable, TestUnknownErrorIsNotAnOutage, TestDocumentedCodes).
//   - Statements work behind a connection pooler in transaction mode
//     (TestStatementsBehindAPooler) and run with the same settings there
//     (TestSettingsOfAStatement).
//   - Opening a pool does not wait for the database, so that a service starts
//     while Postgres is down (TestUnreachableDatabase).
//
// # Decisions
//
// The protocol calls a session healthy whose server became read-only, and every
// write on it fails for as long as the pool keeps it. So the pool discards
// connections by error code. See [condemnsConnection].
//
// Nothing is kept in a session that a pooler could give to another client.
// Settings follow the connect if the session is our own, and travel with each
// statement if it is not. Startup parameters were the alternative, and
// PgBouncer refuses them.
package postgres

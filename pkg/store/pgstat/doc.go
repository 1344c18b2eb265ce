// Package pgstat reads what a Postgres server says it did: commits, statements,
// WAL. The benchmark takes the difference of two snapshots and divides it by
// the steps that were run between them.
//
// It promises that a snapshot is one reading by one short session, and that the
// statements of this package are not among those it counts.
//
// It does not promise that every number is fresh. Write transactions,
// statements and WAL bytes are exact at the instant of the snapshot. Commits,
// page images and syncs are published by each server process at most once a
// second while it works and [Lag] after it has become idle, so their difference
// is exact only between two moments that follow that much quiet, or the end of
// the sessions. Everything is counted for the whole server, except commits and
// statements, which are the database's.
package pgstat

// Package storetest gives each test a Postgres database of its own, on a real
// server.
//
// The server is private to the test binary: started by the first test that asks
// for a database, stopped after the last test. DATABASE_URL names another
// server to use instead (its user must be allowed to create databases), PG_BIN
// an installation to run. A database is a clone of a template that was migrated
// once, so that a test pays for a copy, not for the migrations.
//
// Promised: no test sees another one's rows, within a binary or across binaries
// that share DATABASE_URL; what was made is dropped; a machine without Postgres
// fails the tests with a line that says what to install, and never skips them.
//
// Not promised: durability. The private server runs with fsync=off, so tests
// that crash a server use localpg itself. A test binary that is killed leaves
// its temporary directory behind, on Linux in memory; a later one removes it.
package storetest

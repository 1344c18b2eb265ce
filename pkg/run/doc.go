// Package run is the vocabulary of a run: the ids, endpoints, statuses, steps,
// failures and error codes that every service speaks, and the function that
// says which message a row needs. It imports the standard library only, so that
// a package that needs a word reaches neither the bus nor the database.
//
// # Promises
//
//   - This package and its subpackage itemid are the only place that spells the
//     prefixes of ids (TestIDsAreReadBack, TestItemPrefix).
//   - What differs by endpoint is one table, and each known endpoint has a row
//     in it (TestEndpoints).
//   - [Row.Next] is the only function that says which message a row needs
//     (TestRowNext).
//   - A [Failure] reads what every earlier version stored (TestFailure).
//
// # Decisions
//
// [ID] is an alias of [16]byte: a uuid.UUID is assignable to it and from it,
// and pgx reads and writes it as a uuid, so that this package does not import
// google/uuid and its users need no conversions. The price is that %s prints
// its bytes; error texts print [Hex].
//
// [Code] is an alias of string: upstreams and tools add codes of their own, so
// the set is open and a defined type would promise what it cannot hold.
package run

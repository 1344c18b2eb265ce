package postgres

import (
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"syscall"

	"github.com/jackc/pgx/v5/pgconn"
)

// Sentinels of all packages of the store.
var (
	// ErrStale means that a write changed nothing: the row is terminal, or a
	// later epoch, turn or attempt owns it, or the same write was made before.
	// The caller reads the row again and publishes what it needs.
	ErrStale = errors.New("the row has moved on")
	// ErrNotFound means that the row does not exist, or belongs to another
	// tenant.
	ErrNotFound = errors.New("not found")
)

// Codes of Postgres that get special treatment.
const (
	codeReadOnly          = "25006" // read_only_sql_transaction: the server is not a primary
	codeProtocol          = "08P01" // protocol_violation; PgBouncer's code for every error of its own
	codeUnknownStatement  = "26000" // the pooler changed the server behind the session
	codeRepeatedStatement = "42P05"
	codeFailedTransaction = "25P02"
	codeNotSupported      = "0A000"
)

// stalePlan is the text by which Postgres refuses a prepared statement after a
// migration changed its result. pgx prepares it again.
const stalePlan = "cached plan must not change result type"

// Errors of transientClasses and transientCodes pass by themselves: the caller
// may repeat the statement unchanged. docs/postgres.md has the same table.
// Every other code means a bug or a broken schema, and is not repeated.
var (
	transientClasses = []string{
		"08", // connection
		"53", // insufficient resources: disk full, too many connections
		"57", // operator intervention: shutdown, starting up, statement timeout
		"58", // system error: I/O
	}
	transientCodes = []string{
		"40001", // serialization_failure
		"40P01", // deadlock_detected
		"55P03", // lock_not_available: lock_timeout
		codeReadOnly, codeUnknownStatement, codeRepeatedStatement, codeFailedTransaction,
	}
)

// Unavailable reports whether the database is unavailable, or was for this
// statement: the connection failed, a timeout expired, or the server returned
// one of the transient codes. The caller may repeat the statement unchanged;
// whether it was committed is unknown. Every other error, known or not, is
// final.
func Unavailable(err error) bool {
	if err == nil || errors.Is(err, context.Canceled) {
		return false
	}
	var connect *pgconn.ConnectError
	if errors.As(err, &connect) {
		return true // no statement was sent
	}
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return transientCode(pg)
	}
	return lostConnection(err)
}

func transientCode(e *pgconn.PgError) bool {
	switch e.Code {
	case codeProtocol: // ERROR means a bug in the statement; FATAL, a pooler that gave up
		return strings.EqualFold(e.Severity, "FATAL") && !strings.Contains(e.Message, "startup parameter")
	case codeNotSupported:
		return e.Message == stalePlan
	}
	return len(e.Code) == 5 && slices.Contains(transientClasses, e.Code[:2]) || slices.Contains(transientCodes, e.Code)
}

// lostConnection reports whether an error comes from the network, a closed
// connection or an expired wait.
func lostConnection(err error) bool {
	for _, end := range []error{
		context.DeadlineExceeded, io.EOF, io.ErrUnexpectedEOF, net.ErrClosed, pgconn.ErrConnClosed,
	} {
		if errors.Is(err, end) {
			return true
		}
	}
	var network net.Error
	var system syscall.Errno
	return errors.As(err, &network) || errors.As(err, &system) || pgconn.Timeout(err)
}

// condemnsConnection reports whether a connection that got this error must not
// be used again, although the protocol allows it: the server accepts no writes,
// shuts down, or is not the server that prepared the statement.
func condemnsConnection(e *pgconn.PgError) bool {
	switch e.Code {
	case codeReadOnly, codeUnknownStatement, codeRepeatedStatement, codeFailedTransaction:
		return true
	}
	return suspectsServer(e)
}

// suspectsServer reports whether an error concerns all connections to the same
// server: it is read-only or shuts down.
func suspectsServer(e *pgconn.PgError) bool {
	switch e.Code {
	case codeReadOnly, "57P01", "57P02", "57P03":
		return true
	}
	return false
}

// Reason describes an error without its text, which may quote data: by the
// server's code, if it has one.
func Reason(err error) string {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return "the database answered SQLSTATE " + pg.Code
	}
	return "unexpected internal error"
}

package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"windlass.dev/windlass/pkg/store/idempotency"
	"windlass.dev/windlass/pkg/store/limits"
	"windlass.dev/windlass/pkg/store/migrations"
	"windlass.dev/windlass/pkg/store/postgres"
)

func TestUnavailable(t *testing.T) {
	t.Parallel()
	pg := func(code string) error { return &pgconn.PgError{Code: code, Severity: "ERROR"} }
	fatal := func(code, text string) error { return &pgconn.PgError{Code: code, Severity: "FATAL", Message: text} }
	for name, tt := range map[string]struct {
		err  error
		want bool
	}{
		"nil":                          {nil, false},
		"cancelled":                    {context.Canceled, false},
		"late":                         {context.DeadlineExceeded, true},
		"connection reset":             {&net.OpError{Op: "read", Err: os.NewSyscallError("read", syscall.ECONNRESET)}, true},
		"broken pipe":                  {fmt.Errorf("write failed: %w", syscall.EPIPE), true},
		"name not found":               {&net.DNSError{Err: "no such host", Name: "pg"}, true},
		"end of file":                  {fmt.Errorf("receive: %w", io.ErrUnexpectedEOF), true},
		"connection closed":            {fmt.Errorf("exec: %w", pgconn.ErrConnClosed), true},
		"connect refused by password":  {&pgconn.ConnectError{}, true},
		"08006":                        {pg("08006"), true},
		"08P01 of a pooler":            {fatal("08P01", "query_wait_timeout"), true},
		"08P01 of a statement":         {pg("08P01"), false},
		"25006":                        {pg("25006"), true},
		"25P02":                        {pg("25P02"), true},
		"26000":                        {pg("26000"), true},
		"40001":                        {pg("40001"), true},
		"40P01":                        {pg("40P01"), true},
		"53100":                        {pg("53100"), true},
		"53300":                        {fatal("53300", "too many clients"), true},
		"55P03":                        {pg("55P03"), true},
		"57014":                        {pg("57014"), true},
		"57P01":                        {fatal("57P01", "terminating"), true},
		"57P03":                        {fatal("57P03", "starting up"), true},
		"58030":                        {pg("58030"), true},
		"0A000 of a stale plan":        {&pgconn.PgError{Code: "0A000", Message: postgres.StalePlan}, true},
		"0A000":                        {pg("0A000"), false},
		"no code":                      {pg(""), false},
		"22P05 untranslatable":         {pg("22P05"), false},
		"22021 not in encoding":        {pg("22021"), false},
		"22003 out of range":           {pg("22003"), false},
		"23505 unique":                 {pg("23505"), false},
		"23514 check":                  {pg("23514"), false},
		"28P01 in a session":           {pg("28P01"), false},
		"42501 privilege":              {pg("42501"), false},
		"42601 syntax":                 {pg("42601"), false},
		"42703 column":                 {pg("42703"), false},
		"42P01 table":                  {pg("42P01"), false},
		"54000 program limit":          {pg("54000"), false},
		"XX000 internal":               {pg("XX000"), false},
		"XX001 corrupted":              {pg("XX001"), false},
		"unknown":                      {errors.New("something else"), false},
		"no rows":                      {pgx.ErrNoRows, false},
		"scan":                         {pgx.ScanArgError{Err: errors.New("text into int")}, false},
		"a verdict of this package":    {fmt.Errorf("commit: %w", postgres.ErrStale), false},
		"a limit of a tenant":          {&limits.Error{}, false},
		"a schema of another version":  {migrations.ErrSchema, false},
		"a key that was used before":   {idempotency.ErrUsed, false},
		"wrapped by another operation": {fmt.Errorf("accept: %w", pg("40001")), true},
	} {
		if got := postgres.Unavailable(tt.err); got != tt.want {
			t.Errorf("postgres.Unavailable(%s) = %t, want %t", name, got, tt.want)
		}
	}
}

package storetest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/url"
	"os"
	"reflect"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"windlass.dev/windlass/pkg/localpg"
	"windlass.dev/windlass/pkg/localpg/programs"
)

const (
	startLimit = 5 * time.Minute  // a start takes 2 s; the rest is a download on a machine without Postgres
	adminLimit = time.Minute      // one CREATE or DROP DATABASE behind those of all other tests
	stopLimit  = 20 * time.Second // a server without sessions stops in 0.2 s
	dirPrefix  = "windlass-storetest-"
)

const advice = "tests need a real Postgres: install PostgreSQL 15 or newer " +
	"(apt-get install postgresql, brew install postgresql), " +
	"or set PG_BIN to its bin directory, or DATABASE_URL to a server"

// shared is the one server of the test binary.
var shared server

// server is a Postgres server, private or that of DATABASE_URL, and the
// templates made on it.
type server struct {
	mu        sync.Mutex // held over start, migration and clone: CREATE DATABASE wants its template alone
	opened    bool
	url       string               // of the maintenance database; empty until the server is there
	templates map[uintptr]template // by the code of the migration
	failed    error                // of the start, which is not tried twice
	prefix    string               // of all databases of this binary
	made      int
	local     *localpg.Server // nil with DATABASE_URL
	dir       string
}

func (s *server) open() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.opened = true
}

// clone makes a database from the template, or an empty one if migrate is nil,
// and returns its name and URL.
func (s *server) clone(
	ctx context.Context, migrate func(context.Context, string) error,
) (name, dbURL string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failed != nil {
		return "", "", s.failed
	}
	if s.url == "" {
		if s.failed = s.start(ctx); s.failed != nil {
			return "", "", s.failed
		}
	}
	from := "template0"
	if migrate != nil {
		t := s.templateOf(ctx, migrate)
		if t.err != nil {
			return "", "", t.err
		}
		from = t.name
	}
	s.made++
	name = fmt.Sprintf("%s_%d", s.prefix, s.made)
	if err := s.exec(ctx, "CREATE DATABASE "+quote(name)+" TEMPLATE "+quote(from)); err != nil {
		return "", "", err
	}
	dbURL, err = withDatabase(s.url, name)
	return name, dbURL, err
}

// drop removes a database, and ends the sessions that a test left on it.
func (s *server) drop(ctx context.Context, name string) error {
	return s.exec(ctx, "DROP DATABASE IF EXISTS "+quote(name)+" WITH (FORCE)")
}

func (s *server) start(ctx context.Context) error {
	if !s.opened {
		return errors.New("the package's TestMain does not call storetest.Main")
	}
	s.templates = make(map[uintptr]template)
	s.prefix = "windlass_test_" + strings.ToLower(rand.Text()[:10])
	databaseURL, binDir := environment()
	if databaseURL != "" {
		if _, err := withDatabase(databaseURL, "postgres"); err != nil {
			return err
		}
		s.url = databaseURL
		return nil
	}
	return s.startPrivate(ctx, binDir)
}

// environment is the one place where tests read it: they have no main that
// could hand them a configuration.
func environment() (databaseURL, binDir string) {
	databaseURL, _ = os.LookupEnv("DATABASE_URL") //nolint:forbidigo // see above
	binDir, _ = os.LookupEnv("PG_BIN")            //nolint:forbidigo // see above
	return databaseURL, binDir
}

func (s *server) startPrivate(ctx context.Context, binDir string) error {
	parent := tempDir()
	removeLeftovers(parent)
	dir, err := os.MkdirTemp(parent, dirPrefix)
	if err != nil {
		return fmt.Errorf("make data directory: %w", err)
	}
	s.dir = dir
	ctx, cancel := withLimit(context.WithoutCancel(ctx), startLimit)
	defer cancel()
	s.local, err = localpg.Start(ctx, localpg.Config{
		BinDir:  binDir,
		DataDir: dir,
		Settings: map[string]string{
			"fsync":            "off",
			"full_page_writes": "off",
			"shared_buffers":   "64MB",
			// Eight sets of services have 180 connections, and on a busy
			// machine those of ended and timed-out ones take seconds to go: 200
			// were too few, and services answered 503.
			"max_connections":    "600",
			"max_wal_size":       "256MB",
			"autovacuum_naptime": "1min",
		},
	})
	if errors.Is(err, programs.ErrNotFound) {
		return fmt.Errorf("%s: %w", advice, err)
	}
	if err != nil {
		return err
	}
	s.url = s.local.URL()
	return nil
}

// template is a migrated database, or why it could not be made: a migration
// that failed is not tried again by each test.
type template struct {
	name string
	err  error
}

// templateOf makes the template of a migration once. Functions cannot be
// compared, their code can: closures of one function literal count as one
// migration.
func (s *server) templateOf(ctx context.Context, migrate func(context.Context, string) error) template {
	key := reflect.ValueOf(migrate).Pointer()
	t, ok := s.templates[key]
	if !ok {
		t.name = fmt.Sprintf("%s_template_%d", s.prefix, len(s.templates)+1)
		t.err = s.makeTemplate(ctx, t.name, migrate)
		s.templates[key] = t
	}
	return t
}

func (s *server) makeTemplate(ctx context.Context, name string, migrate func(context.Context, string) error) error {
	if err := s.exec(ctx, "CREATE DATABASE "+quote(name)+" TEMPLATE template0"); err != nil {
		return err
	}
	// The template outlives the test that happens to be first.
	ctx, cancel := withLimit(context.WithoutCancel(ctx), adminLimit)
	defer cancel()
	dbURL, err := withDatabase(s.url, name)
	if err == nil {
		err = migrate(ctx, dbURL)
	}
	if err != nil {
		return fmt.Errorf("migrate template: %w", err)
	}
	return nil
}

// exec runs one statement in a session of its own, so that a session broken by
// one test cannot fail the next.
func (s *server) exec(ctx context.Context, sql string) (err error) {
	// A test's context has ended by the time of its clean-up, and half a CREATE
	// DATABASE would be useless.
	ctx, cancel := withLimit(context.WithoutCancel(ctx), adminLimit)
	defer cancel()
	conn, err := pgx.Connect(ctx, s.url)
	if err != nil {
		return fmt.Errorf("connect to the test server: %w", err)
	}
	defer func() { err = errors.Join(err, conn.Close(ctx)) }()
	if _, err := conn.Exec(ctx, sql); err != nil {
		return fmt.Errorf("%s: %w", sql, err)
	}
	return nil
}

func withLimit(ctx context.Context, limit time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, limit, fmt.Errorf("not done after %s", limit))
}

// close drops the templates on a server that stays, or stops the private server
// and removes its data.
func (s *server) close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	ctx, cancel := context.WithTimeoutCause(context.Background(), stopLimit, fmt.Errorf("not done after %s", stopLimit))
	defer cancel()
	var errs []error
	if s.local != nil {
		errs = append(errs, s.local.Stop(ctx, localpg.Immediate))
	} else {
		for _, t := range s.templates {
			errs = append(errs, s.drop(ctx, t.name))
		}
	}
	if s.dir != "" {
		errs = append(errs, os.RemoveAll(s.dir))
	}
	s.opened, s.url = false, ""
	return errors.Join(errs...)
}

// withDatabase is the server's URL with another database.
func withDatabase(serverURL, name string) (string, error) {
	u, err := url.Parse(serverURL)
	if err != nil || (u.Scheme != "postgres" && u.Scheme != "postgresql") {
		return "", errors.New("DATABASE_URL is not a postgres:// URL") // its text may hold a password
	}
	u.Path = "/" + name
	return u.String(), nil
}

func quote(name string) string { return pgx.Identifier{name}.Sanitize() }

package migrations_test

import (
	"errors"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/pkg/store/migrations"
	"windlass.dev/windlass/pkg/store/postgres"
	"windlass.dev/windlass/pkg/store/runtest"
	"windlass.dev/windlass/pkg/store/storetest"
)

const tablesSQL = `SELECT table_name::text FROM information_schema.tables WHERE table_schema = 'public' ORDER BY 1`

func TestMigrate(t *testing.T) {
	t.Parallel()
	url := storetest.Database(t, nil)
	s := runtest.OpenAt(t, url)

	if err := migrations.Check(t.Context(), url); !errors.Is(err, migrations.ErrSchema) {
		t.Errorf("CheckSchema of an empty database = %v, want migrations.ErrSchema", err)
	}
	if got := runtest.Ask[string](t, s, tablesSQL); len(got) != 0 {
		t.Errorf("CheckSchema made tables %v, want none", got)
	}

	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if v, err := migrations.Apply(t.Context(), url); err != nil || v < 1 {
				t.Errorf("Migrate beside seven others = version %d, %v", v, err)
			}
		})
	}
	wg.Wait()
	want := []string{
		"bodies", "budgets", "conversation_items", "conversations", "goose_db_version", "idempotency", "keys", "labels", "requests", "steps",
	}
	if diff := cmp.Diff(want, runtest.Ask[string](t, s, tablesSQL)); diff != "" {
		t.Errorf("tables after the migration (-want +got):\n%s", diff)
	}

	id := runtest.Accepted(t, s)
	if _, err := migrations.Apply(t.Context(), url); err != nil {
		t.Errorf("Migrate once more: %v", err)
	}
	if got := runtest.Look(t, s, id); got.Status != run.Queued {
		t.Errorf("after the repeated migration the request is %s, want queued", got.Status)
	}
	if err := migrations.Check(t.Context(), url); err != nil {
		t.Errorf("CheckSchema of a migrated database = %v, want nil", err)
	}
	runtest.Exec(t, s, `INSERT INTO goose_db_version (version_id, is_applied) VALUES (9999, true)`)
	if err := migrations.Check(t.Context(), url); err != nil {
		t.Errorf("CheckSchema of a newer database = %v, want nil", err)
	}
}

func TestUnreachableDatabase(t *testing.T) {
	t.Parallel()
	const nowhere = "postgres://u:p@127.0.0.1:1/none?sslmode=disable"
	s := runtest.OpenAt(t, nowhere) // a service starts while Postgres is away
	_, accept := s.Accept(t.Context(), runtest.NewRequest())
	for what, err := range map[string]error{
		"Ping":        s.DB.Ping(t.Context()),
		"Accept":      accept,
		"CheckSchema": migrations.Check(t.Context(), nowhere),
	} {
		if !postgres.Unavailable(err) {
			t.Errorf("%s without a database = %v, want an error that Unavailable knows", what, err)
		}
	}
	if _, err := postgres.Open(postgres.Config{URL: "postgres://%zz"}); err == nil || postgres.Unavailable(nil) {
		t.Errorf("Open with a broken url = %v, want an error", err)
	}
}

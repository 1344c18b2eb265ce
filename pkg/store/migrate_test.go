package store

import (
	"errors"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"windlass.dev/windlass/pkg/store/storetest"
)

const tablesSQL = `SELECT table_name::text FROM information_schema.tables WHERE table_schema = 'public' ORDER BY 1`

func TestMigrate(t *testing.T) {
	t.Parallel()
	url := storetest.Database(t, nil)
	s := openAt(t, url)

	if err := CheckSchema(t.Context(), url); !errors.Is(err, ErrSchema) {
		t.Errorf("CheckSchema of an empty database = %v, want ErrSchema", err)
	}
	if got := ask[string](t, s, tablesSQL); len(got) != 0 {
		t.Errorf("CheckSchema made tables %v, want none", got)
	}

	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if v, err := Migrate(t.Context(), url); err != nil || v < 1 {
				t.Errorf("Migrate beside seven others = version %d, %v", v, err)
			}
		})
	}
	wg.Wait()
	want := []string{
		"bodies", "budgets", "conversation_items", "conversations", "goose_db_version", "idempotency", "keys", "labels", "requests", "steps",
	}
	if diff := cmp.Diff(want, ask[string](t, s, tablesSQL)); diff != "" {
		t.Errorf("tables after the migration (-want +got):\n%s", diff)
	}

	id := accepted(t, s)
	if _, err := Migrate(t.Context(), url); err != nil {
		t.Errorf("Migrate once more: %v", err)
	}
	if got := look(t, s, id); got.Status != Queued {
		t.Errorf("after the repeated migration the request is %s, want queued", got.Status)
	}
	if err := CheckSchema(t.Context(), url); err != nil {
		t.Errorf("CheckSchema of a migrated database = %v, want nil", err)
	}
	exec(t, s, `INSERT INTO goose_db_version (version_id, is_applied) VALUES (9999, true)`)
	if err := CheckSchema(t.Context(), url); err != nil {
		t.Errorf("CheckSchema of a newer database = %v, want nil", err)
	}
}

func TestMigrationThatFillsAGapIsApplied(t *testing.T) {
	t.Parallel()
	url := storetest.Database(t, nil)
	s := openAt(t, url)
	files := fstest.MapFS{}
	add := func(name, table string) {
		files["migrations/"+name+".sql"] = &fstest.MapFile{Data: []byte("-- +goose Up\nCREATE TABLE " + table + " ();\n")}
	}
	add("0001_one", "one")
	add("0003_three", "three")
	if v, err := migrate(t.Context(), url, files); err != nil || v != 3 {
		t.Fatalf("migrate with a gap = version %d, %v; want 3", v, err)
	}
	if err := checkSchema(t.Context(), url, files); err != nil {
		t.Errorf("checkSchema with a gap = %v, want nil", err)
	}
	add("0002_two", "two")
	if err := checkSchema(t.Context(), url, files); !errors.Is(err, ErrSchema) {
		t.Errorf("checkSchema before the gap is filled = %v, want ErrSchema", err)
	}
	if v, err := migrate(t.Context(), url, files); err != nil || v != 3 {
		t.Errorf("migrate that fills the gap = version %d, %v; want 3", v, err)
	}
	if err := checkSchema(t.Context(), url, files); err != nil {
		t.Errorf("checkSchema after the gap is filled = %v, want nil", err)
	}
	if diff := cmp.Diff([]string{"goose_db_version", "one", "three", "two"}, ask[string](t, s, tablesSQL)); diff != "" {
		t.Errorf("tables differ (-want +got):\n%s", diff)
	}
}

func TestUnreachableDatabase(t *testing.T) {
	t.Parallel()
	const nowhere = "postgres://u:p@127.0.0.1:1/none?sslmode=disable"
	s := openAt(t, nowhere) // a service starts while Postgres is away
	_, accept := s.Accept(t.Context(), newRequest())
	for what, err := range map[string]error{
		"Ping":        s.Ping(t.Context()),
		"Accept":      accept,
		"CheckSchema": CheckSchema(t.Context(), nowhere),
	} {
		if !Unavailable(err) {
			t.Errorf("%s without a database = %v, want an error that Unavailable knows", what, err)
		}
	}
	if _, err := Open(Config{URL: "postgres://%zz"}); err == nil || Unavailable(nil) {
		t.Errorf("Open with a broken url = %v, want an error", err)
	}
}

func TestConfigValidate(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		cfg  Config
		want bool
	}{
		{"complete", Config{URL: "postgres://x/y", MaxConns: 1}, true},
		{"no url", Config{MaxConns: 1}, false},
		{"no connections", Config{URL: "postgres://x/y"}, false},
	} {
		if err := tt.cfg.Validate(); (err == nil) != tt.want {
			t.Errorf("%s: Validate() = %v, want ok %v", tt.name, err, tt.want)
		}
	}
}

package migrations

import (
	"errors"
	"os"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"windlass.dev/windlass/pkg/store/postgres"
	"windlass.dev/windlass/pkg/store/storetest"
)

func TestMain(m *testing.M) { os.Exit(storetest.Main(m)) }

const tablesSQL = `SELECT string_agg(table_name::text, ' ' ORDER BY table_name)
  FROM information_schema.tables WHERE table_schema = 'public'`

func tables(t *testing.T, url string) []string {
	t.Helper()
	db, err := postgres.OpenSQL(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	var names string
	if err := db.QueryRowContext(t.Context(), tablesSQL).Scan(&names); err != nil {
		t.Fatal(err)
	}
	return strings.Fields(names)
}

func TestMigrationThatFillsAGapIsApplied(t *testing.T) {
	t.Parallel()
	url := storetest.Database(t, nil)
	files := fstest.MapFS{}
	add := func(name, table string) {
		files[name+".sql"] = &fstest.MapFile{Data: []byte("-- +goose Up\nCREATE TABLE " + table + " ();\n")}
	}
	add("0001_one", "one")
	add("0003_three", "three")
	if v, err := apply(t.Context(), url, files); err != nil || v != 3 {
		t.Fatalf("apply with a gap = version %d, %v; want 3", v, err)
	}
	if err := check(t.Context(), url, files); err != nil {
		t.Errorf("check with a gap = %v, want nil", err)
	}
	add("0002_two", "two")
	if err := check(t.Context(), url, files); !errors.Is(err, ErrSchema) {
		t.Errorf("check before the gap is filled = %v, want ErrSchema", err)
	}
	if v, err := apply(t.Context(), url, files); err != nil || v != 3 {
		t.Errorf("apply that fills the gap = version %d, %v; want 3", v, err)
	}
	if err := check(t.Context(), url, files); err != nil {
		t.Errorf("check after the gap is filled = %v, want nil", err)
	}
	if diff := cmp.Diff([]string{"goose_db_version", "one", "three", "two"}, tables(t, url)); diff != "" {
		t.Errorf("tables differ (-want +got):\n%s", diff)
	}
}

package failpoint

import (
	"errors"
	"flag"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// dieAt makes the test binary a process that arms the spec and hits its name
// once, for TestHitEndsTheProcess.
var dieAt = flag.String("die-at", "", "arm this failpoint, hit it and exit 0")

func TestMain(m *testing.M) {
	flag.Parse()
	if *dieAt == "" {
		os.Exit(m.Run())
	}
	if err := Arm(*dieAt); err != nil {
		os.Exit(2)
	}
	Hit(TurnAfterCommit)
	Hit(TurnAfterModel)
	os.Exit(0)
}

func TestHitEndsTheProcess(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		spec string
		want int
	}{
		{"at the armed name", "turn_after_model", exitStatus},
		{"at the first hit, said so", "turn_after_model:1", exitStatus},
		{"not at another name", "turn_after_take", 0},
		{"not before the n-th hit", "turn_after_model:2", 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			self, err := os.Executable()
			if err != nil {
				t.Fatal(err)
			}
			child := exec.CommandContext(t.Context(), self, "-die-at="+tt.spec)
			err = child.Run()
			if child.ProcessState == nil {
				t.Fatal(err)
			}
			if got := child.ProcessState.ExitCode(); got != tt.want {
				t.Errorf("process armed with %q ended with status %d, want %d", tt.spec, got, tt.want)
			}
		})
	}
}

func TestHitCountsConcurrentHitsOnce(t *testing.T) { //nolint:paralleltest // arms the process-wide failpoint
	var deaths atomic.Int64
	was := die
	die = func() { deaths.Add(1) }
	t.Cleanup(func() { die = was; armed.Store(nil) })
	if err := Arm("tool_after_call:50"); err != nil {
		t.Fatal(err)
	}

	var wg sync.WaitGroup
	for range 100 {
		wg.Go(func() { Hit(ToolAfterCall) })
	}
	wg.Wait()
	if got := deaths.Load(); got != 1 {
		t.Errorf("100 hits of a failpoint armed for the 50th died %d times, want 1", got)
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		spec    string
		wantErr string
	}{
		{"empty is off", "", ""},
		{"name", "final_after_commit", ""},
		{"name and hit", "final_after_commit:12", ""},
		{"unknown name", "final_after_lunch", "unknown failpoint"},
		{"constant's Go name", "FinalAfterCommit", "unknown failpoint"},
		{"hit zero", "final_after_commit:0", "not a whole number"},
		{"hit missing", "final_after_commit:", "not a whole number"},
		{"hit not a number", "final_after_commit:two", "not a whole number"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			err := Check(tt.spec)
			if (err == nil) != (tt.wantErr == "") || err != nil && !strings.Contains(err.Error(), tt.wantErr) {
				t.Errorf("Check(%q) = %v, want an error with %q", tt.spec, err, tt.wantErr)
			}
		})
	}
	if err := Check("nowhere"); !errors.Is(err, ErrUnknown) || !strings.Contains(err.Error(), string(SweepAfterPublish)) {
		t.Errorf("Check(nowhere) = %v, want ErrUnknown and the list of names", err)
	}
}

// TestAllListsEveryConstant reads names.go, so that a new constant that All
// forgets is found before a crash test silently skips it.
func TestAllListsEveryConstant(t *testing.T) {
	t.Parallel()
	file, err := parser.ParseFile(token.NewFileSet(), "names.go", nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	var declared []Name
	for _, decl := range file.Decls {
		group, ok := decl.(*ast.GenDecl)
		if !ok || group.Tok != token.CONST {
			continue
		}
		for _, spec := range group.Specs {
			value := spec.(*ast.ValueSpec)
			text, err := strconv.Unquote(value.Values[0].(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.HasPrefix(value.Doc.Text(), value.Names[0].Name+": ") {
				t.Errorf("%s has no one-line comment that starts with its name", value.Names[0].Name)
			}
			declared = append(declared, Name(text))
		}
	}
	if diff := cmp.Diff(declared, All()); diff != "" {
		t.Errorf("All differs from the constants in names.go (-declared +All):\n%s", diff)
	}
}

func BenchmarkHitUnarmed(b *testing.B) {
	for b.Loop() {
		Hit(TurnAfterCommit)
	}
}

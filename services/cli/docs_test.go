package cli

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the generated part of docs/cli.md")

const (
	cliDocs  = "../../docs/cli.md"
	generate = "<!-- From here on written by: go test ./services/cli -run TestCommandsAreDocumented -update -->\n"
)

func TestCommandsAreDocumented(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(cliDocs)
	if err != nil {
		t.Fatal(err)
	}
	written, got, ok := strings.Cut(string(text), generate)
	if !ok {
		t.Fatalf("%s lacks the line %q", cliDocs, generate)
	}
	parser, err := newParser()
	if err != nil {
		t.Fatal(err)
	}
	var want strings.Builder
	for _, node := range parser.Model.Leaves(true) {
		document(&want, node)
	}
	if *update {
		if err := os.WriteFile(cliDocs, []byte(written+generate+want.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(want.String(), got); diff != "" {
		t.Errorf("%s is not what the flags say; run the command in it (-want +got):\n%s", cliDocs, diff)
	}
}

// document writes a command, its arguments and its flags.
func document(out *strings.Builder, node *kong.Node) {
	fmt.Fprintf(out, "\n## windlass %s\n\n%s\n", strings.TrimPrefix(node.Path(), "windlass "), node.Help)
	rows := &strings.Builder{}
	for _, arg := range node.Positional {
		fmt.Fprintf(rows, "| `%s` | | | %s |\n", strings.ToUpper(arg.Name), cell(arg.Help))
	}
	for _, flags := range node.AllFlags(true) {
		for _, f := range flags {
			if f.Name == "help" || f.Name == "version" {
				continue
			}
			fmt.Fprintf(rows, "| `--%s` | %s | %s | %s |\n", f.Name, code(strings.Join(f.Envs, ", ")), code(fallback(f)), cell(f.Help))
		}
	}
	if rows.Len() > 0 {
		fmt.Fprintf(out, "\n| flag | environment | default | |\n|---|---|---|---|\n%s", rows)
	}
}

func fallback(f *kong.Flag) string {
	if f.Required {
		return "required"
	}
	return f.Default
}

func code(text string) string {
	if text == "" || text == "required" {
		return text
	}
	return "`" + text + "`"
}

func cell(text string) string { return strings.ReplaceAll(text, "|", `\|`) }

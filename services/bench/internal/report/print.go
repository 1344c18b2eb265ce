package report

import (
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"text/tabwriter"

	"windlass.dev/windlass/services/bench/internal/processes"
)

// Print writes the report as text.
func (r *Report) Print(out io.Writer) {
	settings := make([]string, len(r.Postgres))
	for i, s := range r.Postgres {
		settings[i] = s.Name + "=" + s.Value
	}
	fmt.Fprintf(out, "\n%s  %d CPUs  %s  think %g ms\nPostgres  %s\n",
		r.Started.Format("2006-01-02 15:04 MST"), r.CPUs, r.Go, r.ThinkTime, strings.Join(settings, "  "))
	fmt.Fprintf(out, "f = %.3f ms, f99 = %.3f ms: one flush of 8 kB, %d samples\n"+
		"The services answered %.0f ms after their start.\n",
		r.FlushP50, r.FlushP99, r.Flushes, r.StartUp)
	fmt.Fprintf(out, "Idle: %.1f statements/s, %.1f write transactions/s, %.1f NATS messages/s\n",
		r.Idle.Statements, r.Idle.Writes, r.Idle.Messages)
	r.printSpeed(out)
	r.printCost(out)
	r.printProcesses(out)
	r.printStatements(out)
	for _, c := range r.Cells {
		if c.Valid() {
			continue
		}
		fmt.Fprintf(out, "\n%s with %d in flight has NO SCORE: %d violations in %d runs\n",
			c.Scenario, c.Concurrency, c.Audit.Failed, c.Windlass.Runs)
		for _, violation := range c.Audit.Violations {
			fmt.Fprintf(out, "  %s\n", violation)
		}
	}
}

// table prints one line for each cell; a cell without a score has dashes.
func (r *Report) table(out io.Writer, title, columns string, row func(c *Cell) []string) {
	fmt.Fprintf(out, "\n%s\n", title)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(w, "\tin flight\t%s\t\n", strings.Join(strings.Split(columns, "|"), "\t"))
	for i := range r.Cells {
		c := &r.Cells[i]
		fields := row(c)
		if !c.Valid() {
			for i := range fields {
				fields[i] = "-"
			}
		}
		fmt.Fprintf(w, "%s\t%d\t%s\t\n", c.Scenario, c.Concurrency, strings.Join(fields, "\t"))
	}
	_ = w.Flush()
}

func (r *Report) printSpeed(out io.Writer) {
	r.table(out, "Speed, and what is added to a plain loop (D) that keeps nothing, paired by seed",
		"runs|runs/s|steps/s|p50 ms|p99 ms|D runs/s|D p50|D p99|added p50 ms|p99 ms|p50 in f|p99 in f99",
		func(c *Cell) []string {
			return []string{
				fmt.Sprint(c.Windlass.Runs), number(c.Windlass.RunsPerS, 1), number(c.Windlass.StepsPerS, 0),
				number(c.Windlass.P50, 2), number(c.Windlass.P99, 2),
				number(c.Direct.RunsPerS, 0), number(c.Direct.P50, 2), number(c.Direct.P99, 2),
				number(c.AddedP50, 2), number(c.AddedP99, 2), number(c.AddedP50F, 1), number(c.AddedP99F, 1),
			}
		})
}

func (r *Report) printCost(out io.Writer) {
	r.table(out, "For each step (a model or tool call)",
		"commits|writes|statements|WAL bytes|page images|WAL syncs|NATS msgs|NATS bytes|tool calls each|PG sessions",
		func(c *Cell) []string {
			p := c.PerStep
			statements := "unknown"
			if p.StatementsKnown {
				statements = number(p.Statements, 3)
			}
			return []string{
				number(p.Commits, 3), number(p.Writes, 3), statements, number(p.WALBytes, 0), number(p.PageImages, 3),
				number(p.WALSyncs, 3), number(p.Messages, 2), number(p.MessageBytes, 0),
				number(c.Audit.CallsPerTool, 3),
				fmt.Sprint(c.Sessions),
			}
		})
}

func (r *Report) printProcesses(out io.Writer) {
	names := strings.Join(processes.Groups, "|")
	r.table(out, "Processor time for each step, µs (all: the whole stack and the load; "+
		"D: the plain loop and the mock; others: other programs, of the machine)", names+"|all|D|others",
		func(c *Cell) []string {
			var fields []string
			for _, group := range processes.Groups {
				fields = append(fields, number(c.PerStep.CPU[group], 0))
			}
			return append(fields,
				number(c.Windlass.CPUPerStep, 0), number(c.Direct.CPUPerStep, 0), number(100*c.Others, 0)+" %")
		})
	r.table(out, "Highest memory, MB", names, func(c *Cell) []string {
		var fields []string
		for _, group := range processes.Groups {
			fields = append(fields, Megabytes(c.MemoryPeak[group]))
		}
		return fields
	})
	fmt.Fprint(out, "Idle:")
	for _, group := range processes.Groups {
		fmt.Fprintf(out, "  %s %s MB, %.1f ms CPU/s", group, Megabytes(r.Idle.MemoryBytes[group]), r.Idle.CPU[group])
	}
	fmt.Fprintln(out)
}

const printedStatements = 14

// writing matches what a statement changes.
var writing = regexp.MustCompile(`(INSERT INTO|UPDATE|DELETE FROM) (\w+)`)

// summarize shortens a statement to what it changes, or else to its beginning.
func summarize(query string) string {
	const most = 80
	var changes []string
	for _, found := range writing.FindAllString(query, -1) {
		if !slices.Contains(changes, found) && !strings.HasSuffix(found, " SET") {
			changes = append(changes, found)
		}
	}
	text := strings.Join(strings.Fields(query), " ")
	if len(changes) > 0 {
		text = strings.Join(changes, ", ")
	}
	return text[:min(most, len(text))]
}

// printStatements prints the most frequent statements.
func (r *Report) printStatements(out io.Writer) {
	if len(r.Statements) == 0 {
		return
	}
	fmt.Fprintf(out, "\nStatements of the whole measurement, warm-up included\n")
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "calls\trows each\tms each\tWAL bytes each\tstatement")
	for _, s := range r.Statements[:min(printedStatements, len(r.Statements))] {
		calls := float64(max(s.Calls, 1))
		fmt.Fprintf(w, "%d\t%s\t%s\t%s\t%s\n", s.Calls, number(float64(s.Rows)/calls, 1), number(s.TotalMS/calls, 3),
			number(float64(s.WALBytes)/calls, 0), summarize(s.Query))
	}
	_ = w.Flush()
}

func number(v float64, digits int) string { return fmt.Sprintf("%.*f", digits, v) }

// Megabytes prints a size as a number of MB.
func Megabytes(bytes int64) string { return number(float64(bytes)/(1<<20), 0) }

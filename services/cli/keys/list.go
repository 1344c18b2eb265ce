package keys

import (
	"context"
	"fmt"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"windlass.dev/windlass/pkg/store/keys"
)

type list struct {
	database
	Tenant string `help:"Only the keys of this tenant." placeholder:"T"`
}

// Run prints a table.
func (c *list) Run(ctx context.Context) error {
	return c.use(func(s *keys.Store) error {
		keys, err := s.List(ctx, c.Tenant)
		if err != nil {
			return err
		}
		table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
		fmt.Fprintln(table, "ID\tTENANT\tNAME\tSCOPES\tMODELS\tTOOLS\tCREATED\tSTATE")
		for _, k := range keys {
			fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n",
				k.ID, k.Tenant, oneLine(k.Name), strings.Join(k.Scopes, ","),
				someOf(k.Models), someOf(k.Tools), k.CreatedAt.UTC().Format(time.RFC3339), stateOf(&k))
		}
		return table.Flush()
	})
}

// someOf formats what a key may use for a column.
func someOf(names []string) string {
	switch {
	case names == nil:
		return "all"
	case len(names) == 0:
		return "none"
	}
	return oneLine(strings.Join(names, ","))
}

// stateOf returns the state and its time.
func stateOf(k *keys.Key) string {
	state := k.State()
	switch {
	case k.RevokedAt != nil:
		return state + " " + k.RevokedAt.UTC().Format(time.RFC3339)
	case k.ExpiresAt != nil && state == "active":
		return state + " until " + k.ExpiresAt.UTC().Format(time.RFC3339)
	case k.ExpiresAt != nil:
		return state + " " + k.ExpiresAt.UTC().Format(time.RFC3339)
	}
	return state
}

// oneLine replaces control characters, which would break the table or the
// terminal.
func oneLine(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 {
			return ' '
		}
		return r
	}, text)
}

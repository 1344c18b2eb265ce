package keys

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"windlass.dev/windlass/pkg/registry"
	"windlass.dev/windlass/services/cli/internal/datafolder"
)

// checkNames refuses models and tools that the registry does not have. Without
// a registry it says that names are not checked: the database does not hold
// them.
func (c *create) checkNames() error {
	if len(c.Models)+len(c.Tools) == 0 {
		return nil
	}
	source := "windlass dev in " + c.Data
	known, found := datafolder.ReadNames(c.Data, c.DatabaseURL)
	if c.Config != "" {
		reg, err := registry.Load(c.Config)
		if err != nil {
			return err
		}
		source, known, found = c.Config, datafolder.NamesOf(reg), true
	}
	if !found {
		fmt.Fprintln(os.Stderr,
			"windlass: --models and --tools are not checked without --config FILE (the gateways' registry)")
		return nil
	}
	models := c.Models
	if slices.Contains(known.Models, "*") { // the registry serves every name
		models = nil
	}
	return errors.Join(
		refuseUnknown("--models", source, models, known.Models),
		refuseUnknown("--tools", source, c.Tools, known.Tools),
	)
}

// refuseUnknown names the wanted ones that are unknown, and the first known
// ones.
func refuseUnknown(flag, source string, wanted, known []string) error {
	unknown := slices.DeleteFunc(slices.Clone(wanted), func(name string) bool { return slices.Contains(known, name) })
	if len(unknown) == 0 {
		return nil
	}
	const most = 20
	have := strings.Join(known[:min(most, len(known))], ", ")
	switch {
	case len(known) == 0:
		have = "none"
	case len(known) > most:
		have += fmt.Sprintf(" and %d more", len(known)-most)
	}
	return fmt.Errorf("%s: %s does not have %s; it has %s", flag, source, strings.Join(unknown, ", "), have)
}

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"windlass.dev/windlass/pkg/registry"
)

// names are what a registry has, for `keys create` to check against.
type names struct {
	Models, Tools []string
	from          string
}

// namesFile is where dev keeps its names: the demo's and those of its flags are
// in no registry file.
const namesFile = "names.json"

func namesOf(reg *registry.Registry, from string) *names {
	n := &names{from: from}
	for _, m := range reg.Models() {
		n.Models = append(n.Models, m.Name)
	}
	for _, t := range reg.Tools() {
		n.Tools = append(n.Tools, t.Name)
	}
	return n
}

// keepNames writes the names for `keys create`.
func (d *dev) keepNames() error {
	text, err := json.Marshal(namesOf(d.reg, ""))
	if err != nil {
		return fmt.Errorf("encode the names: %w", err)
	}
	return d.keep(namesFile, string(text))
}

// devNames returns the names of the dev that keeps its database's URL in data,
// nil if that is another database's.
func devNames(data, databaseURL string) *names {
	url, err := os.ReadFile(filepath.Join(data, "database.url"))
	if err != nil || strings.TrimSpace(string(url)) != databaseURL {
		return nil
	}
	n := &names{from: "windlass dev in " + data}
	text, err := os.ReadFile(filepath.Join(data, namesFile))
	if err != nil || json.Unmarshal(text, n) != nil {
		return nil
	}
	return n
}

// checkNames refuses models and tools that the registry does not have. Without a
// registry it says that names are not checked: the database does not hold them.
func (c *keysCreateCmd) checkNames() error {
	if len(c.Models)+len(c.Tools) == 0 {
		return nil
	}
	known := devNames(c.Data, c.DatabaseURL)
	if c.Config != "" {
		reg, err := registry.Load(c.Config)
		if err != nil {
			return err
		}
		known = namesOf(reg, c.Config)
	}
	if known == nil {
		fmt.Fprintln(os.Stderr, "windlass: --models and --tools are not checked without --config FILE (the gateways' registry)")
		return nil
	}
	models := c.Models
	if slices.Contains(known.Models, "*") { // the registry serves every name
		models = nil
	}
	return errors.Join(
		known.refuse("--models", models, known.Models),
		known.refuse("--tools", c.Tools, known.Tools),
	)
}

// refuse names those that are not known, and the first that are.
func (n *names) refuse(flag string, wanted, known []string) error {
	bad := slices.DeleteFunc(slices.Clone(wanted), func(name string) bool { return slices.Contains(known, name) })
	if len(bad) == 0 {
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
	return fmt.Errorf("%s: %s does not have %s; it has %s", flag, n.from, strings.Join(bad, ", "), have)
}

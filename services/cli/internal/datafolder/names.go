package datafolder

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"windlass.dev/windlass/pkg/registry"
)

// Names are the models and tools that an installation has.
type Names struct {
	Models, Tools []string
}

// namesFile exists because no registry file has the models and tools of the
// demo and of dev's flags.
const namesFile = "names.json"

// NamesOf returns the names in a registry.
func NamesOf(reg *registry.Registry) Names {
	var n Names
	for _, m := range reg.Models() {
		n.Models = append(n.Models, m.Name)
	}
	for _, t := range reg.Tools() {
		n.Tools = append(n.Tools, t.Name)
	}
	return n
}

// WriteNames writes the names of dev's registry for ReadNames.
func (f Folder) WriteNames(reg *registry.Registry) error {
	text, err := json.Marshal(NamesOf(reg))
	if err != nil {
		return fmt.Errorf("encode the names: %w", err)
	}
	return f.Write(namesFile, string(text))
}

// ReadNames returns the names of the dev that has path as its data folder.
// found is false if its database is not the one at databaseURL.
func ReadNames(path, databaseURL string) (names Names, found bool) {
	url, err := os.ReadFile(filepath.Join(path, DatabaseURL))
	if err != nil || strings.TrimSpace(string(url)) != databaseURL {
		return Names{}, false
	}
	text, err := os.ReadFile(filepath.Join(path, namesFile))
	if err != nil || json.Unmarshal(text, &names) != nil {
		return Names{}, false
	}
	return names, true
}

package dev

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"windlass.dev/windlass/pkg/registry"
	"windlass.dev/windlass/services/cli/dev/internal/console"
)

// configure reads the registry, before anything is started that takes time, and
// gives it to the console.
func (d *dev) configure(lines *console.Console) (err error) {
	if d.reg, err = d.registry(); err != nil {
		return err
	}
	d.advice = console.Advisor{Registry: d.reg, ModelKeyFile: d.modelKeyFile(), Flags: d.ModelURL != ""}
	lines.Advise(d.advice)
	return errors.Join(d.checkCredentials(), d.data.WriteNames(d.reg))
}

func (d *dev) modelKeyFile() string { return d.data.Path("model.key") }

// registry returns the registry of --config, with the demo model and tools, and
// the upstream of --model-url for every other name.
func (d *dev) registry() (*registry.Registry, error) {
	file := registry.File{}
	if d.Config != "" {
		configured, err := registry.Load(d.Config)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil, fmt.Errorf("--config %s: no such file; write the path of a registry file, "+
				"which the README describes under \"Use a real model\"", d.Config)
		case err != nil:
			return nil, err
		}
		file = configured.File()
	}
	d.demo.Register(&file)
	if d.ModelURL != "" {
		upstream := registry.Upstream{
			URL: d.ModelURL, Dialect: d.ModelDialect, Settings: registry.Settings{Profile: d.ModelProfile},
		}
		if d.ModelKey != "" {
			upstream.Credential.File = d.modelKeyFile()
			if err := os.WriteFile(upstream.Credential.File, []byte(d.ModelKey), 0o600); err != nil {
				return nil, fmt.Errorf("keep the model key: %w", err)
			}
		}
		file.Models = append(file.Models, registry.Model{Name: "*", Upstream: upstream})
	}
	return registry.New(file)
}

// checkCredentials reports every credential without a secret: requests would
// fail.
func (d *dev) checkCredentials() error {
	var errs []error
	check := func(kind, name string, c registry.Credential) {
		if _, err := c.Resolve(); err != nil {
			errs = append(errs, fmt.Errorf(
				"the credential of %s %s is not there: set %s and start again, or take the credential out of %s",
				kind, name, d.advice.Credential(c), d.Config))
		}
	}
	for _, m := range d.reg.Models() {
		check("model", m.Name, m.Upstream.Credential)
	}
	for _, t := range d.reg.Tools() {
		check("tool", t.Name, t.Credential)
	}
	return errors.Join(errs...)
}

package registry

import (
	"errors"
	"fmt"
	"slices"
)

// CheckCredentials resolves every credential of the models and tools. The error
// joins one for each that leads to no secret, and names the model or tool.
func (r *Registry) CheckCredentials() error {
	return errors.Join(r.CheckModelCredentials(), r.CheckToolCredentials())
}

// CheckModelCredentials is CheckCredentials for the models alone.
func (r *Registry) CheckModelCredentials() error {
	var errs []error
	for _, m := range r.Models() {
		if _, err := m.Upstream.Credential.Resolve(); err != nil {
			errs = append(errs, fmt.Errorf("model %q: %w", m.Name, err))
		}
	}
	return errors.Join(errs...)
}

// CheckToolCredentials is CheckCredentials for the tools of some pools, or of
// all if no pool is named.
func (r *Registry) CheckToolCredentials(pools ...string) error {
	var errs []error
	for _, t := range r.Tools() {
		if len(pools) > 0 && !slices.Contains(pools, t.Pool) {
			continue
		}
		if _, err := t.Credential.Resolve(); err != nil {
			errs = append(errs, fmt.Errorf("tool %q: %w", t.Name, err))
		}
	}
	return errors.Join(errs...)
}

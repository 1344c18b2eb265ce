package registry

import (
	"cmp"
	"fmt"
	"reflect"
	"regexp"
)

// Tenant holds the limits of one tenant. Absent fields are those of the tenant
// "*", which stands for every tenant that is not listed; a field that is absent
// there, too, is unlimited.
type Tenant struct {
	// Name is the tenant's, as in its keys, or "*".
	Name string `yaml:"name"`
	// RequestsPerMinute bounds the accepted requests, 1 to 1000000, and the
	// burst.
	RequestsPerMinute int `yaml:"requests_per_minute"`
	// TokensPerMinute bounds input and output tokens, 1 to 1000000000. They are
	// charged when a request ends: nothing is accepted while the balance is
	// negative.
	TokensPerMinute int `yaml:"tokens_per_minute"`
	// InFlight bounds the requests that are queued or in progress, 1 to 10000.
	InFlight int `yaml:"in_flight"`
	// Weight is the share of a lane that others wait for too, 0.01 to 100,
	// default 1.
	Weight float64 `yaml:"weight"`
	// Models are those it may use, by the names in requests; nil means all.
	Models []string `yaml:"models"`
}

const (
	maxRequestsPerMinute = 1_000_000     // a request takes 60 µs to come back; times are kept to the microsecond
	maxTokensPerMinute   = 1_000_000_000 // they are charged by the thousands
	maxInFlight          = 10_000        // counted by every accept, to this at most
	minWeight, maxWeight = 0.01, 100.0
)

var tenantName = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,62}$`)

// fill sets absent fields of t.
func (t *Tenant) fill(everyone Tenant) {
	t.RequestsPerMinute = cmp.Or(t.RequestsPerMinute, everyone.RequestsPerMinute)
	t.TokensPerMinute = cmp.Or(t.TokensPerMinute, everyone.TokensPerMinute)
	t.InFlight = cmp.Or(t.InFlight, everyone.InFlight)
	t.Weight = cmp.Or(t.Weight, everyone.Weight, 1)
	if t.Models == nil {
		t.Models = everyone.Models
	}
}

// Tenant returns the limits of the tenant of that name.
func (r *Registry) Tenant(name string) Tenant {
	if t, ok := r.tenants[name]; ok {
		return t
	}
	t := r.tenants[wildcard]
	t.Name = name
	t.fill(Tenant{})
	return t
}

// Tenants returns the tenants listed, by name, with "*" if it is listed.
func (r *Registry) Tenants() []Tenant {
	return sorted(r.tenants, func(t Tenant) string { return t.Name })
}

// SameButTenants reports whether two registries differ in their tenants at
// most.
func (r *Registry) SameButTenants(other *Registry) bool {
	bare := func(r *Registry) File {
		f := r.File()
		f.Tenants = nil
		for i := range f.Tools {
			f.Tools[i].arguments = validator{} // follows from the schema
		}
		return f
	}
	return reflect.DeepEqual(bare(r), bare(other))
}

// listTenants runs after the models, because tenants name models.
func (c *checker) listTenants(all []Tenant) {
	var everyone Tenant
	for _, t := range all {
		if t.Name == wildcard {
			everyone = t
		}
	}
	for i, t := range all {
		c.tenant(fmt.Sprintf("tenants[%d]", i), t, everyone)
	}
}

func (c *checker) tenant(at string, t, everyone Tenant) {
	if t.Name != wildcard && !tenantName.MatchString(t.Name) {
		c.fault(at+".name", "is %q, want 1 to 63 of a-z, 0-9, - and _, a letter or digit first", t.Name)
	} else if _, ok := c.tenants[t.Name]; ok {
		c.fault(at+".name", "is %q, as another tenant's", t.Name)
	}
	limit := func(field string, n, most int) {
		if n != 0 { // left out
			c.checkRange(at+"."+field, n, 1, most)
		}
	}
	limit("requests_per_minute", t.RequestsPerMinute, maxRequestsPerMinute)
	limit("tokens_per_minute", t.TokensPerMinute, maxTokensPerMinute)
	limit("in_flight", t.InFlight, maxInFlight)
	if t.Weight != 0 && !(t.Weight >= minWeight && t.Weight <= maxWeight) { // so that NaN is refused
		c.fault(at+".weight", "is %v, want %v to %v", t.Weight, minWeight, maxWeight)
	}
	c.modelNames(at+".models", t.Models)
	t.fill(everyone)
	c.tenants[t.Name] = t
}

// modelNames checks an optional list of models.
func (c *checker) modelNames(at string, names []string) {
	if names != nil && len(names) == 0 {
		c.fault(at, "is empty; leave it out for all")
	}
	for i, name := range names {
		if _, ok := c.Model(name); !ok || name == wildcard {
			c.fault(fmt.Sprintf("%s[%d]", at, i), "is %q, which is no model of this file", name)
		}
	}
}

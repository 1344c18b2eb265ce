// Package registry holds what may be called: the models behind their upstreams,
// the tools behind their URLs, the lanes and pools that pace them, the budgets
// that end a request and the limits of tenants. It is read from one YAML file.
//
// It promises that a Registry it returns is complete (every default applied)
// and consistent (every name legal and unique, every schema compiled, every
// lane of one width), and that a refused file is refused with every error it
// can find, each with line and column. Secrets never pass through it: a
// Credential is a reference that the caller resolves where it is used.
//
// Settings of an upstream stay as written. Upstream.Effective completes them by
// the profile and the defaults; Upstream.Written leaves the defaults out,
// because what an application writes itself is changed only if the registry
// says so (TestEffective). TestTheDocument… holds docs/models.md to the code.
//
// It does not promise that an upstream or a tool answers, nor that a secret can
// be resolved; it makes no network call, and it does not watch the file.
//
// Decision: zero means "not set" in File, so that a registry built in Go reads
// like the YAML. A zero written in YAML is refused, because `concurrency: 0`
// looks like a way to stop a lane. Rejected: pointers for every number, which
// put a nil check at each use.
package registry

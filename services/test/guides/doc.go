// Package guides does what the README and the guides in docs say: it runs each
// of their commands, in order, in a directory of its own (TestGuides). A block
// of commands that cannot run in a test has a comment before it that says why:
//
//	<!-- not run: it downloads 210 MB -->
//
// A block behind <!-- file: registry.yaml --> is written to that file, and one
// behind <!-- more of: registry.yaml --> is added to it. Commands that serve,
// like windlass dev, run until the guide ends or starts the next one. Addresses
// are replaced by free ones, and model servers by the scripted model.
//
// The snippets for SDKs in the README and docs/clients.md are run by package
// sdk.
package guides

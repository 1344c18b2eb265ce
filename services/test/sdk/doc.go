// Package sdk runs a real `windlass dev` with real clients: official SDKs,
// agent frameworks and a coding agent. They are unmodified, pinned by lock
// files, and only their base URL is changed.
//
// Its tests hold that each client passes the scenarios of the table in
// clients_test.go, and that everything it received, recorded between it and
// Windlass, conforms to the specification, the OpenAPI document and package
// streamcheck. TestBrowser does the same for pages in headless Chromium, whose
// origin is not the API's.
//
// A client's packages are installed once into the user's cache, under a key of
// its lock file, so that a second run needs no registry. A client without its
// toolchain is skipped, and the test names it. With CI set, a client that has
// its toolchain and cannot be installed fails the test.
package sdk

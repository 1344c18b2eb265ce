// Package sdk drives a real `windlass dev` with the clients that people have: official SDKs, agent frameworks and a coding agent,
// unmodified, pinned by lock files, with only the base URL changed.
//
// Its tests promise that each client gets through the scenarios that the table in clients_test.go names, and that everything it was
// sent on the way, recorded between it and Windlass, is as the specification, the OpenAPI document and package streamcheck want it.
// They do not look at how Windlass came to its answers. TestBrowser does the same for pages in headless Chromium, whose origin is
// another one than the API's.
//
// A client's packages are installed once into the user's cache, under a key made of its lock file, so that a second run needs no
// registry. A client whose toolchain is not there is left out, and the test says which; with CI set, one that is there and cannot be
// installed fails.
package sdk

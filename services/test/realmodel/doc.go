// Package realmodel runs `windlass dev` against real model servers:
// SmolLM2-135M behind llama-server, called by both dialects, and behind
// llama-cpp-python's server, whose grammar makes the small model call tools.
//
// The tests need the build tag realmodel, because the first run compiles
// llama.cpp, which takes 5 to 15 minutes:
//
//	go test -tags realmodel -v -timeout 60m ./services/test/realmodel/...
//
// pip installs everything once into the user's cache directory, with pinned
// versions and hashes. python3 3.10, cmake and a C++ compiler must exist; the
// tests name what is missing. They check how Windlass and the servers work
// together, not what a model of this size says.
package realmodel

package localpg

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
)

// loopback is the only address a server listens on.
const loopback = "127.0.0.1"

// serverArgs is the command line of postgres. Settings of the caller win over
// ours, except for where the server listens.
func serverArgs(binDir, cluster string, port int, extra map[string]string) []string {
	settings := map[string]string{
		"fsync":              "on",
		"synchronous_commit": "on",
		"full_page_writes":   "on",
		"shared_buffers":     "128MB",
		"max_connections":    "100",
		"autovacuum_naptime": "10s",
		"log_min_messages":   "warning",
	}
	if hasLibrary(binDir, "pg_stat_statements") {
		settings["shared_preload_libraries"] = "pg_stat_statements"
	}
	maps.Copy(settings, extra)
	maps.Copy(settings, map[string]string{
		"listen_addresses":        loopback,
		"port":                    strconv.Itoa(port),
		"unix_socket_directories": "",
		"logging_collector":       "off",
		"log_destination":         "stderr",
	})
	args := []string{"-D", cluster}
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		args = append(args, "-c", name+"="+settings[name])
	}
	return args
}

// hasLibrary reports whether the installation has a loadable module. Preloading
// one that is absent stops the server.
func hasLibrary(binDir, name string) bool {
	for _, dir := range []string{"lib", "lib/postgresql"} {
		for _, ext := range []string{".so", ".dylib"} {
			if _, err := os.Stat(filepath.Join(binDir, "..", dir, name+ext)); err == nil {
				return true
			}
		}
	}
	return false
}

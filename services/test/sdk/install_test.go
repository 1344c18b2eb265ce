package sdk

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	goruntime "runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"windlass.dev/windlass/pkg/process"
)

// installTime bounds one attempt to install. There are several attempts,
// because registries fail at times.
const (
	installTime = 5 * time.Minute
	attempts    = 3
)

// kit is a set of packages that are pinned and installed together.
type kit struct {
	dir   string   // of its lock files, and of the scripts that use it
	files []string // the lock files, which determine the installation
	tools []tool   // the first existing one runs the scripts
	other *runtime // installs a program if none of the tools exists
	needs []string // other programs
	fill  func(ctx context.Context, program, dir string) error

	mu sync.Mutex // serializes the clients of one kit, so that it is installed once
}

// tool is a program and the lowest version that the packages run on.
type tool struct {
	name         string
	major, minor int
}

var (
	nodeTools   = []tool{{"node", 22, 0}}
	pythonTools = []tool{{"python3", 3, 10}, {"python", 3, 10}}

	npmFiles = []string{"package.json", "package-lock.json", ".npmrc"}

	// nodeRuntime is Node from npm, for machines with an older Node than the
	// clients need.
	nodeRuntime = &runtime{
		kit:     &kit{dir: "runtime", files: npmFiles, tools: []tool{{"npm", 0, 0}}, fill: npm},
		program: filepath.Join("node_modules", "node-"+nodePlatform(), "bin", "node"),
	}

	nodeKit   = &kit{dir: "node", files: npmFiles, tools: nodeTools, other: nodeRuntime, needs: []string{"npm"}, fill: npm}
	codexKit  = &kit{dir: "codex", files: npmFiles, tools: nodeTools, other: nodeRuntime, needs: []string{"npm"}, fill: npm}
	pythonKit = &kit{dir: "python", files: []string{"requirements.txt"}, tools: pythonTools, fill: pip}
)

// runtime is a program that is installed as a package.
type runtime struct {
	kit     *kit
	program string // below the kit's directory
}

// find installs the program and returns it with its version.
func (r *runtime) find(ctx context.Context) (program, version string, err error) {
	npm, version, err := r.kit.find(ctx)
	if err != nil {
		return "", "", err
	}
	dir, err := r.kit.installed(ctx, npm, version)
	if err != nil {
		return "", "", err
	}
	program = filepath.Join(dir, r.program)
	out, err := exec.CommandContext(ctx, program, "--version").Output()
	return program, strings.TrimSpace(string(out)), err
}

// nodePlatform returns this machine's kind as named in Node's packages.
func nodePlatform() string {
	arch := goruntime.GOARCH
	if arch == "amd64" {
		arch = "x64"
	}
	return goruntime.GOOS + "-" + arch
}

// install returns the kit's tool and the directory of its packages, and
// installs them once. It skips the test, or fails it in CI, if they cannot be
// installed.
func (k *kit) install(t *testing.T) (program, dir string) {
	t.Helper()
	program, version, err := k.find(t.Context())
	if err != nil {
		t.Skipf("LEFT OUT: %s: %v", t.Name(), err)
	}
	dir, err = k.installed(t.Context(), program, version)
	switch {
	case err == nil:
		return program, dir
	case inCI(t):
		t.Fatalf("install the packages of %s: %v", k.dir, err)
	default:
		t.Skipf("LEFT OUT: %s: its packages could not be installed: %v", t.Name(), err)
	}
	return "", ""
}

// inCI reports whether a client that can run must not be skipped.
func inCI(t *testing.T) bool {
	t.Helper()
	var env struct {
		CI string `env:"CI"`
	}
	if err := process.Load(t.Context(), &env); err != nil {
		t.Fatal(err)
	}
	return env.CI != ""
}

var versionNumber = regexp.MustCompile(`(\d+)\.(\d+)`)

func (k *kit) find(ctx context.Context) (program, version string, err error) {
	for _, name := range k.needs {
		if _, err := exec.LookPath(name); err != nil {
			return "", "", err
		}
	}
	var errs []error
	for _, tool := range k.tools {
		program, err := exec.LookPath(tool.name)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		out, err := exec.CommandContext(ctx, program, "--version").Output()
		m := versionNumber.FindStringSubmatch(string(out))
		if err != nil || m == nil {
			errs = append(errs, fmt.Errorf("ask %s for its version: %q, %w", tool.name, out, err))
			continue
		}
		major, _ := strconv.Atoi(m[1])
		minor, _ := strconv.Atoi(m[2])
		if major > tool.major || major == tool.major && minor >= tool.minor {
			return program, strings.TrimSpace(string(out)), nil
		}
		errs = append(errs, fmt.Errorf("%s is version %s, want %d.%d at least", tool.name, m[0], tool.major, tool.minor))
	}
	if k.other != nil {
		program, version, err := k.other.find(ctx)
		if err == nil {
			return program, version, nil
		}
		errs = append(errs, err)
	}
	return "", "", errors.Join(errs...)
}

// installed returns the directory of the packages in the user's cache. The
// directory appears there complete or not at all.
func (k *kit) installed(ctx context.Context, program, version string) (string, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	key := sha256.New()
	fmt.Fprintln(key, goruntime.GOOS, goruntime.GOARCH, program, version)
	locks := make(map[string][]byte)
	for _, name := range k.files {
		text, err := os.ReadFile(filepath.Join(k.dir, name))
		if err != nil {
			return "", err
		}
		fmt.Fprintf(key, "%s %d %s", name, len(text), text)
		locks[name] = text
	}
	parent := filepath.Join(cache, "windlass", "sdktest")
	dir := filepath.Join(parent, k.dir+"-"+hex.EncodeToString(key.Sum(nil)[:8]))
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return "", err
	}
	var errs []error
	for range attempts {
		err := k.attempt(ctx, program, locks, dir)
		if err == nil {
			return dir, nil
		}
		errs = append(errs, err)
	}
	return "", errors.Join(errs...)
}

func (k *kit) attempt(ctx context.Context, program string, locks map[string][]byte, dir string) error {
	ctx, cancel := context.WithTimeout(ctx, installTime)
	defer cancel()
	scratch, err := os.MkdirTemp(filepath.Dir(dir), k.dir+"-new-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(scratch) }()
	for name, text := range locks {
		if err := os.WriteFile(filepath.Join(scratch, name), text, 0o644); err != nil {
			return err
		}
	}
	if err := k.fill(ctx, program, scratch); err != nil {
		return err
	}
	if err := os.Rename(scratch, dir); err != nil {
		if _, missing := os.Stat(dir); missing == nil {
			return nil // another test run was faster
		}
		return err
	}
	return nil
}

func npm(ctx context.Context, _, dir string) error {
	return command(ctx, dir, "npm", "ci")
}

func pip(ctx context.Context, python, dir string) error {
	if err := command(ctx, dir, python, "-m", "venv", "venv"); err != nil {
		return err
	}
	return command(ctx, dir, filepath.Join(dir, "venv", "bin", "python"), "-m", "pip", "install", "--quiet", "--no-deps",
		"--only-binary", ":all:", "--require-hashes", "-r", "requirements.txt")
}

func command(ctx context.Context, dir, program string, args ...string) error {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir, cmd.WaitDelay = dir, 5*time.Second
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", strings.Join(append([]string{program}, args...), " "), err, out[max(0, len(out)-2000):])
	}
	return nil
}

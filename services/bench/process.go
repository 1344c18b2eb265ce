package bench

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"
)

// The groups that processor time and memory are told apart by.
const (
	servicesGroup = "services"
	postgresGroup = "postgres"
	natsGroup     = "nats"
	mockGroup     = "mock"
	loadGroup     = "load"
)

var groups = []string{servicesGroup, postgresGroup, natsGroup, mockGroup, loadGroup}

// processes are the main process of each group. Postgres's has children, which count with it.
type processes map[string]int

// tick is the unit of /proc's processor times: 1/100 s on every Linux.
const tick = 10 * time.Millisecond

// cpu is the processor time each group has used since its start. Without /proc it is empty.
func (p processes) cpu() map[string]time.Duration {
	used := map[string]time.Duration{}
	for group, pid := range p {
		main, err := readProcess(pid)
		if err != nil {
			continue
		}
		used[group] = main.own
		if group == postgresGroup {
			used[group] += main.reaped // what its ended children had used; only Postgres's are part of the stack
			for _, child := range children(pid) {
				used[group] += child.own
			}
		}
	}
	return used
}

// machine is the processor time that everything on this machine has used since it started, 0 without /proc.
func machine() time.Duration {
	raw, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0
	}
	line, _, _ := strings.Cut(string(raw), "\n")
	fields := strings.Fields(line) // cpu user nice system idle iowait irq softirq steal guest guest_nice
	if len(fields) < 9 || fields[0] != "cpu" {
		return 0
	}
	var used time.Duration
	for _, i := range []int{1, 2, 3, 6, 7, 8} {
		n, err := strconv.ParseInt(fields[i], 10, 64)
		if err != nil {
			return 0
		}
		used += time.Duration(n) * tick
	}
	return used
}

// memory is what each group holds now, in bytes. What the processes of Postgres share is counted once.
func (p processes) memory() map[string]int64 {
	held := map[string]int64{}
	for group, pid := range p {
		pids := []int{pid}
		if group == postgresGroup {
			for _, child := range children(pid) {
				pids = append(pids, child.pid)
			}
		}
		var private, shared, file int64
		for _, pid := range pids {
			fields := readStatus(pid)
			private += fields["RssAnon"]
			shared, file = max(shared, fields["RssShmem"]), max(file, fields["RssFile"])
		}
		held[group] = private + shared + file
	}
	return held
}

// watch looks at the memory once a second until ctx ends, and returns the highest of each group.
func (p processes) watch(ctx context.Context) (peaks func() map[string]int64) {
	var watching sync.WaitGroup
	highest := p.memory()
	watching.Go(func() {
		ticker := time.NewTicker(time.Second)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				raise(highest, p.memory())
				return
			case <-ticker.C:
				raise(highest, p.memory())
			}
		}
	})
	return func() map[string]int64 {
		watching.Wait()
		return highest
	}
}

func raise(highest, now map[string]int64) {
	for group, bytes := range now {
		highest[group] = max(highest[group], bytes)
	}
}

// proc is one line of /proc/PID/stat.
type proc struct {
	pid, parent int
	own, reaped time.Duration
}

func readProcess(pid int) (proc, error) {
	raw, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return proc{}, fmt.Errorf("read process %d: %w", pid, err)
	}
	return parseProcess(pid, string(raw))
}

// parseProcess reads the fields after the command's name, which may hold anything, and is in parentheses for that.
func parseProcess(pid int, stat string) (proc, error) {
	_, rest, found := cutLast(stat, ")")
	fields := strings.Fields(rest)
	if !found || len(fields) < 15 {
		return proc{}, fmt.Errorf("read process %d: its line is cut", pid)
	}
	numbers := make([]int64, 15)
	for i := 1; i < len(numbers); i++ {
		n, err := strconv.ParseInt(fields[i], 10, 64)
		if err != nil {
			return proc{}, fmt.Errorf("read process %d: %w", pid, err)
		}
		numbers[i] = n
	}
	return proc{
		pid: pid, parent: int(numbers[1]),
		own:    time.Duration(numbers[11]+numbers[12]) * tick,
		reaped: time.Duration(numbers[13]+numbers[14]) * tick,
	}, nil
}

func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}

func children(parent int) []proc {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	var found []proc
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		if p, err := readProcess(pid); err == nil && p.parent == parent {
			found = append(found, p)
		}
	}
	return found
}

// readStatus reads the sizes in /proc/PID/status, in bytes; none if the process has ended.
func readStatus(pid int) map[string]int64 {
	raw, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "status"))
	if err != nil {
		return nil
	}
	sizes := map[string]int64{}
	for line := range strings.Lines(string(raw)) {
		name, value, _ := strings.Cut(line, ":")
		if kilobytes, isSize := strings.CutSuffix(strings.TrimSpace(value), " kB"); isSize {
			if n, err := strconv.ParseInt(kilobytes, 10, 64); err == nil {
				sizes[name] = n << 10
			}
		}
	}
	return sizes
}

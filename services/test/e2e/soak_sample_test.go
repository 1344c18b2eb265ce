//go:build e2e

package e2e

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"windlass.dev/windlass/pkg/store/storetest"
)

// addProcess measures a process: memory in MiB, goroutines and descriptors.
func (m sample) addProcess(t *testing.T, name string, p *process) {
	t.Helper()
	pid := p.current().cmd.Process.Pid
	rss, err := residentMiB(pid)
	if err != nil {
		t.Errorf("memory of %s: %v", name, err)
	}
	m["rss "+name] = rss
	open, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	if err != nil {
		t.Errorf("descriptors of %s: %v", name, err)
	}
	m["descriptors "+name] = float64(len(open))
	goroutines, err := p.metric(t.Context(), "go_goroutines")
	if err != nil {
		t.Errorf("goroutines of %s: %v", name, err)
	}
	m["goroutines "+name] = goroutines
}

func residentMiB(pid int) (float64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kb, err := strconv.ParseFloat(strings.Fields(rest)[0], 64)
			return kb / 1024, err
		}
	}
	return 0, fmt.Errorf("process %d shows no VmRSS", pid)
}

// metric reads a metric without labels from the admin listener.
func (p *process) metric(ctx context.Context, name string) (float64, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+p.variable("WINDLASS_ADMIN_LISTEN")+"/metrics", nil)
	if err != nil {
		return 0, err
	}
	resp, err := probe.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() {
		if rest, ok := strings.CutPrefix(lines.Text(), name+" "); ok {
			return strconv.ParseFloat(rest, 64)
		}
	}
	return 0, fmt.Errorf("%s has no metric %s: %w", p.name, name, lines.Err())
}

const sizesSQL = `
SELECT (SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()),
       (SELECT sum(pg_table_size(relid))::float8 / 1048576 FROM pg_stat_user_tables),
       (SELECT sum(pg_indexes_size(relid))::float8 / 1048576 FROM pg_stat_user_tables),
       (SELECT count(*) FROM requests), (SELECT count(*) FROM steps)`

// addDatabase measures connections, sizes in MiB and rows.
func (m sample) addDatabase(t *testing.T, url string) {
	t.Helper()
	var connections, requests, steps int
	var tables, indexes float64
	storetest.Query(t, url, sizesSQL, nil, &connections, &tables, &indexes, &requests, &steps)
	m["connections postgres"], m["tables postgres"], m["indexes postgres"] = float64(connections), tables, indexes
	m["rows requests"], m["rows steps"] = float64(requests), float64(steps)
}

// addTo measures the streams: bytes in MiB, messages and subjects.
func (b *broker) addTo(t *testing.T, m sample) {
	t.Helper()
	b.each(t, func(ctx context.Context, s jetstream.Stream) error {
		ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
		defer cancel()
		info, err := s.Info(ctx)
		if err != nil {
			return err
		}
		name := strings.ToLower(strings.TrimPrefix(info.Config.Name, "WINDLASS_"))
		m["bytes "+name] = float64(info.State.Bytes) / (1 << 20)
		m["messages "+name] = float64(info.State.Msgs)
		m["subjects "+name] = float64(info.State.NumSubjects)
		return nil
	})
	if rss, err := residentMiB(b.current().cmd.Process.Pid); err == nil {
		m["memory nats"] = rss // it is restarted: shown only
	}
}

// variable returns a variable of the process's environment; the last one
// counts.
func (p *process) variable(name string) (value string) {
	for _, e := range p.env {
		if v, ok := strings.CutPrefix(e, name+"="); ok {
			value = v
		}
	}
	return value
}

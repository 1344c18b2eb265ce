package bus_test

import (
	"context"
	"strconv"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"windlass.dev/windlass/pkg/bus"
	"windlass.dev/windlass/pkg/bus/consume"
	"windlass.dev/windlass/pkg/bus/message"
)

// cpu is the processor time of the process so far, the embedded server's
// included.
func cpu(tb testing.TB) time.Duration {
	tb.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// measure publishes b.N messages first and then times what work does until
// count reached them.
func measure(b *testing.B, f *fixture, makeMessage func(int) message.Message, count *atomic.Int64, work func()) {
	b.Helper()
	const chunk = 500
	for i := 0; i < b.N; i += chunk {
		var msgs []message.Message
		for j := i; j < min(i+chunk, b.N); j++ {
			msgs = append(msgs, makeMessage(j))
		}
		f.publish(b, msgs...)
	}
	began := cpu(b)
	b.ResetTimer()
	work()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for count.Load() < int64(b.N) {
		<-tick.C
	}
	b.StopTimer()
	b.ReportMetric(float64((cpu(b)-began).Microseconds())/float64(b.N), "cpu-µs/msg")
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msg/s")
}

// BenchmarkRun is one message with a handler that does nothing: pull, call,
// acknowledge; client and server together.
func BenchmarkRun(b *testing.B) {
	f := setUp(b)
	var count atomic.Int64
	measure(b, f, tool, &count, func() {
		f.run(b, consume.Config{Work: consume.ToolWork(pool), Slots: 32, Handle: handle(func(consume.Delivery) { count.Add(1) })})
	})
}

// BenchmarkRunBatches is one message of batches that do nothing.
func BenchmarkRunBatches(b *testing.B) {
	f := setUp(b, func(c *bus.Config) { c.MaxBytes.Step = 900 << 20 })
	var count atomic.Int64
	measure(b, f, completed, &count, func() {
		f.runBatches(b, consume.Config{HandleBatch: func(_ context.Context, ds []consume.Delivery) []error {
			count.Add(int64(len(ds)))
			return nil
		}})
	})
}

// BenchmarkPublish is one step's publishes: five tool commands, pipelined, all
// PubAcks awaited.
func BenchmarkPublish(b *testing.B) {
	f := setUp(b)
	began := cpu(b)
	for i := 0; b.Loop(); i++ {
		var msgs []message.Message
		for j := range 5 {
			msgs = append(msgs, tool(5*i+j))
		}
		f.publish(b, msgs...)
	}
	b.ReportMetric(float64((cpu(b)-began).Microseconds())/float64(5*b.N), "cpu-µs/msg")
}

// BenchmarkRenew is one second of 10,000 messages in flight, each renewed every
// third of the default AckWait of 4 s.
func BenchmarkRenew(b *testing.B) {
	const inFlight = 10_000
	f := setUp(b, ackWait(4*time.Second))
	var msgs []message.Message
	for i := range inFlight {
		msgs = append(msgs, tool(i))
	}
	f.publish(b, msgs...)
	var held atomic.Int64
	stop := f.run(b, consume.Config{Work: consume.ToolWork(pool), Slots: inFlight, Handle: func(ctx context.Context, _ consume.Delivery) error {
		held.Add(1)
		<-ctx.Done()
		return context.Cause(ctx)
	}})
	eventually(b, "all are in flight", func() bool { return held.Load() == inFlight })
	began := cpu(b)
	b.ResetTimer()
	for range b.N {
		<-time.After(time.Second)
	}
	b.StopTimer()
	b.ReportMetric(float64((cpu(b)-began).Milliseconds())/float64(b.N), "cpu-ms/s")
	if got := held.Load(); got != inFlight {
		b.Errorf("deliveries = %d, want %d: leases were lost", got, inFlight)
	}
	stop()
}

// BenchmarkPublishResults is one result published into a step stream that has
// room, and into one that drops its oldest messages.
func BenchmarkPublishResults(b *testing.B) {
	for _, limit := range []int64{900 << 20, 4 << 20} {
		b.Run(strconv.FormatInt(limit>>20, 10)+"MiB", func(b *testing.B) {
			f := setUp(b, func(c *bus.Config) { c.MaxBytes.Step = limit })
			const chunk = 100
			for i := 0; i < 30_000; i += chunk { // the smaller stream is full then
				f.publish(b, results(i, chunk)...)
			}
			began := cpu(b)
			b.ResetTimer()
			for i := 0; i < b.N; i += chunk {
				f.publish(b, results(i, min(chunk, b.N-i))...)
			}
			b.StopTimer()
			b.ReportMetric(float64((cpu(b)-began).Microseconds())/float64(b.N), "cpu-µs/msg")
		})
	}
}

func results(first, n int) []message.Message {
	msgs := make([]message.Message, n)
	for i := range msgs {
		msgs[i] = completed(first + i)
	}
	return msgs
}

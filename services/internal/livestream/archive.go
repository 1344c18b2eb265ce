package livestream

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/klauspost/compress/zstd"
	"google.golang.org/protobuf/encoding/protodelim"

	"windlass.dev/windlass/pkg/responses/event"
	stepv1 "windlass.dev/windlass/proto/gen/windlass/step/v1"
)

const (
	// MaxArchive bounds an archive, in bytes. A larger stream is not kept.
	// Events compress about tenfold.
	MaxArchive = 64 << 20
	// window is the distance at which the compression finds repetitions: events
	// resemble their neighbours.
	window = 1 << 17
	// maxEvent bounds one event of an archive.
	maxEvent = 128 << 20
)

// ErrTooLarge says that a stream does not fit an archive.
var ErrTooLarge = errors.New("the stream is too large to be archived")

var encoders = sync.Pool{New: func() any {
	e, err := zstd.NewWriter(
		nil, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(window), zstd.WithLowerEncoderMem(true),
	)
	if err != nil {
		panic(err) // the options are constants
	}
	return e
}}

// Archive collects the events of a stream, compressed, except the terminal one,
// which follows from the answer.
type Archive struct {
	out     bytes.Buffer
	encoder *zstd.Encoder
}

// restartedMark precedes an archive whose numbers have begun again. Decoders
// skip it: it is a frame that the format reserves for users.
var restartedMark = append([]byte{0x57, 0x2A, 0x4D, 0x18, 9, 0, 0, 0}, "restarted"...)

// MarkRestarted returns an archive with the mark that its stream was Restarted;
// see Sequencer.
func MarkRestarted(archive []byte) []byte { return append(bytes.Clone(restartedMark), archive...) }

// IsRestarted reports whether an archive was marked.
func IsRestarted(archive []byte) bool { return bytes.HasPrefix(archive, restartedMark) }

// NewArchive begins an archive. The caller ends it with Bytes or Discard.
func NewArchive() *Archive {
	a := &Archive{encoder: encoders.Get().(*zstd.Encoder)}
	a.encoder.Reset(&a.out)
	return a
}

// Add adds an event, or returns ErrTooLarge if it does not fit.
func (a *Archive) Add(e event.Event) error {
	if a.out.Len() > MaxArchive {
		return ErrTooLarge
	}
	if _, err := protodelim.MarshalTo(a.encoder, &stepv1.LiveFrame{Type: e.Type, Data: e.Data}); err != nil {
		return fmt.Errorf("archive an event: %w", err)
	}
	return nil
}

// Bytes ends the archive and returns it.
func (a *Archive) Bytes() ([]byte, error) {
	defer encoders.Put(a.encoder)
	if err := a.encoder.Close(); err != nil {
		return nil, fmt.Errorf("end an archive: %w", err)
	}
	return a.out.Bytes(), nil
}

// Discard ends the archive without a result.
func (a *Archive) Discard() {
	a.encoder.Reset(io.Discard)
	encoders.Put(a.encoder)
}

// Read passes the events of an archive to yield, and returns the first error of
// yield.
func Read(archive []byte, yield func(event.Event) error) error {
	d, err := zstd.NewReader(bytes.NewReader(archive),
		zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(window), zstd.WithDecoderLowmem(true))
	if err != nil {
		return fmt.Errorf("open an archive: %w", err)
	}
	defer d.Close()
	in, options := bufio.NewReader(d), protodelim.UnmarshalOptions{MaxSize: maxEvent}
	for {
		var f stepv1.LiveFrame
		err := options.UnmarshalFrom(in, &f)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read an archive: %w", err)
		}
		if err := yield(event.Event{Type: f.GetType(), Data: f.GetData()}); err != nil {
			return err
		}
	}
}

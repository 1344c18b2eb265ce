package conn

import (
	"maps"

	"github.com/nats-io/nats.go/jetstream"
)

// mergeStream returns the configuration to which an existing stream is updated.
// Retention and storage cannot change. Replicas only grow, because an operator
// may have raised them.
func mergeStream(have, want jetstream.StreamConfig) jetstream.StreamConfig {
	next := have
	next.Description, next.Subjects = want.Description, want.Subjects
	next.MaxMsgs, next.MaxBytes, next.MaxAge = want.MaxMsgs, want.MaxBytes, want.MaxAge
	next.MaxMsgsPerSubject = want.MaxMsgsPerSubject
	next.Discard, next.DiscardNewPerSubject = want.Discard, want.DiscardNewPerSubject
	next.AllowDirect, next.RePublish = want.AllowDirect, want.RePublish
	if want.Duplicates > 0 {
		next.Duplicates = want.Duplicates
	}
	next.Replicas = max(have.Replicas, want.Replicas)
	next.Metadata = mergeMetadata(have.Metadata, want.Metadata)
	return next
}

// mergeConsumer returns the configuration to which an existing consumer is
// updated. Start, storage and MaxWaiting cannot change; a pause stays.
func mergeConsumer(have, want jetstream.ConsumerConfig) jetstream.ConsumerConfig {
	next := have
	next.Description = want.Description
	next.FilterSubject, next.FilterSubjects = want.FilterSubject, want.FilterSubjects
	next.AckWait, next.MaxDeliver, next.BackOff = want.AckWait, want.MaxDeliver, want.BackOff
	next.MaxAckPending = want.MaxAckPending
	next.Metadata = mergeMetadata(have.Metadata, want.Metadata)
	return next
}

// mergeMetadata keeps the entries that the server or an operator added.
func mergeMetadata(have, want map[string]string) map[string]string {
	next := maps.Clone(have)
	if next == nil {
		next = make(map[string]string, len(want))
	}
	maps.Copy(next, want)
	return next
}

// Package subject builds and parses the NATS subjects of messages. It is pure:
// it knows neither a connection nor a stream's configuration.
//
// A subject is <prefix>.<family>.<names>.<identity>, for example
// windlass.tool.web.search.<request>.<epoch>-<turn>-<index>-<attempt>. Command
// streams keep one message per subject, so that the identity at the end makes a
// second publish of the same command harmless.
//
// It promises that Parse reads every subject that the constructors build
// (TestParseSubject), that it builds the same text from what it read
// (FuzzParseSubject), and that two names never share a token
// (TestTokenKeepsNamesApart, FuzzToken).
package subject

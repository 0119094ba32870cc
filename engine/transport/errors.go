package transport

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"unicode"

	"golang.org/x/crypto/ssh"
)

// Classes of errors, for errors.Is.
var (
	// ErrUnreachable: no SSH server answered, or not in time.
	ErrUnreachable = errors.New("host unreachable")
	// ErrAuth: the server answered and did not let us in.
	ErrAuth = errors.New("authentication failed")
	// ErrForwarding: the server does not open a channel to a socket.
	ErrForwarding = errors.New("the SSH server refused to open the socket")
	// ErrLost: the connection was there and is gone.
	ErrLost = errors.New("SSH connection lost")
	// ErrTimeout: the caller stopped waiting.
	ErrTimeout = errors.New("no answer over SSH in time")
)

// Error is what failed, where, of which class, and why.
type Error struct {
	Doing string
	Where string // node or address
	Class error
	Err   error
	Hint  string // what can be done, if anything is known
}

// Error reads "cannot log in to node1: authentication failed (…)".
func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "cannot %s", e.Doing)
	if e.Where != "" {
		fmt.Fprintf(&b, " %s", e.Where)
	}
	switch {
	case e.Class != nil && e.Err != nil && !errors.Is(e.Err, context.DeadlineExceeded):
		// What was joined comes as lines.
		fmt.Fprintf(&b, ": %v (%s)", e.Class, printable(strings.ReplaceAll(e.Err.Error(), "\n", "; ")))
	case e.Class != nil:
		fmt.Fprintf(&b, ": %v", e.Class)
	case e.Err != nil:
		fmt.Fprintf(&b, ": %s", printable(e.Err.Error()))
	}
	if e.Hint != "" {
		b.WriteString("; " + e.Hint)
	}
	return b.String()
}

// Unwrap gives the class and the cause.
func (e *Error) Unwrap() []error {
	var all []error
	if e.Class != nil {
		all = append(all, e.Class)
	}
	if e.Err != nil {
		all = append(all, e.Err)
	}
	return all
}

// HostKeyError is a server whose key is not the known one, or not known.
type HostKeyError struct {
	Host        string // as it would stand in known_hosts
	Fingerprint string // SHA256:…, of the key that the server showed
	KeyType     string
	// Known are the keys on file when there are some: the key has changed.
	Known []KnownKey
	// Revoked tells that known_hosts says never to accept this key.
	Revoked bool
	// Certificate is what is wrong with the certificate that the server showed.
	Certificate string
	// Accept is the command that makes this key known. It must be run only
	// after the fingerprint was compared with the host's own.
	Accept string

	key ssh.PublicKey
}

// KnownKey is a line of known_hosts.
type KnownKey struct{ Fingerprint, KeyType, Place string }

// Error tells what to compare and how to accept the key.
func (e *HostKeyError) Error() string {
	shown := e.KeyType + " " + e.Fingerprint
	switch {
	case e.Revoked:
		return fmt.Sprintf("the key of %s is revoked in known_hosts: %s", e.Host, shown)
	case e.Certificate != "":
		return fmt.Sprintf("the certificate of %s is not good: %s; it is for the key %s, known_hosts has %s. Nothing was sent to it. "+
			"Ask who signs the host's certificates", e.Host, e.Certificate, shown, e.known())
	case len(e.Known) > 0:
		return fmt.Sprintf("the key of %s has CHANGED: it shows %s, known is %s. Someone may be in between. If the host was "+
			"reinstalled and its console shows the same fingerprint, run: %s", e.Host, shown, e.known(), e.Accept)
	}
	return fmt.Sprintf("the key of %s is not known: %s. If the host's console shows the same fingerprint "+
		"(ssh-keygen -lf /etc/ssh/ssh_host_*_key.pub), run: %s", e.Host, shown, e.Accept)
}

func (e *HostKeyError) known() string {
	var all []string
	for _, k := range e.Known {
		all = append(all, k.KeyType+" "+k.Fingerprint+" in "+k.Place)
	}
	return strings.Join(all, ", ")
}

// printable drops what an SSH server's words must not do to a terminal.
func printable(s string) string {
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t' || r == '\r':
			return ' '
		case unicode.Is(unicode.C, r):
			return -1
		}
		return r
	}, s))
}

// Package virt talks to one libvirt daemon over one connection.
//
// It is the only place that knows the wire library. What it adds to it: every
// call has a deadline and returns when its context ends; a connection that is
// suspect is closed and never used again; a lost connection is told apart from
// a refusal, because after a loss nobody knows whether the host did what it
// was asked (see Unknown); the daemon's keepalive is answered, so that a host
// notices within half a minute that its client is gone; and every string that
// goes into a model value has passed Clean.
//
// A Conn is used by any number of goroutines. It is never repaired: when it is
// gone, open another.
package virt

// Package transport reaches a host by SSH and carries streams and commands
// over one connection to it. It is the only place that knows the SSH library.
//
// Host keys are checked against known_hosts, always: there is no way to turn
// that off, and a key that is not known stops the connection with the command
// that would accept it. Everything that waits has a context, and ends when the
// context or the connection does, even if the peer says nothing any more.
package transport

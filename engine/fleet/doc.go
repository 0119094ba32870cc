// Package fleet keeps a line to every node of the configuration.
//
// Each node has a supervisor of its own: it logs in by SSH, opens libvirt,
// watches both for signs of life, and starts again when one is gone. A node
// that is dead, frozen or slow holds up nobody else. What can be said of the
// way to a node is its state, with the reason and what to do about it.
//
// A node has one SSH connection and several to libvirt over it: one for
// polling, one for acts of people, and one each for whatever is long or must
// be cancelled by closing it.
package fleet

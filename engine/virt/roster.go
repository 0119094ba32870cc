package virt

import (
	"sync"

	"github.com/digitalocean/go-libvirt"

	"horcrux/engine/model"
)

// roster has the names and UUIDs of the domains a connection has heard of, so
// that hearing of them again makes no new strings.
type roster struct {
	mu    sync.Mutex
	of    map[[16]byte]acquaintance
	words map[string]string // names of devices
}

type acquaintance struct {
	uuid model.UUID
	raw  string // the name as the host has it
	name string // fit to be shown
}

// maxRoster bounds what a host that makes up domains can have us keep.
const maxRoster = 2 * maxList

func newRoster() *roster {
	return &roster{of: map[[16]byte]acquaintance{}, words: map[string]string{}}
}

// domain knows a domain by its UUID; a nil name changes nothing.
func (r *roster) domain(raw [16]byte, name []byte) acquaintance {
	r.mu.Lock()
	defer r.mu.Unlock()
	a, ok := r.of[raw]
	if ok && (name == nil || a.raw == string(name)) {
		return a
	}
	if len(r.of) >= maxRoster {
		clear(r.of)
	}
	if !ok {
		a.uuid = formatUUID(libvirt.UUID(raw))
	}
	a.raw = string(name)
	if a.name = Clean(a.raw); a.name == a.raw {
		a.name = a.raw // one string for both
	}
	r.of[raw] = a
	return a
}

// named gives the name of a domain for libvirt's error texts.
func (r *roster) named(raw [16]byte) (string, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	a, ok := r.of[raw]
	return a.raw, ok && a.raw != ""
}

// word is a text that many domains have, fit to be shown.
func (r *roster) word(b []byte) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if s, ok := r.words[string(b)]; ok {
		return s
	}
	if len(r.words) >= maxDevices {
		clear(r.words)
	}
	raw := string(b)
	s := Clean(raw)
	r.words[raw] = s
	return s
}

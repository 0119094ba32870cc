package transport

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"sync/atomic"

	"al.essio.dev/pkg/shellescape"
	"github.com/skeema/knownhosts"
	"golang.org/x/crypto/ssh"
	xknownhosts "golang.org/x/crypto/ssh/knownhosts"
)

// hostKeys is how one server's key is checked. There is no way round it.
type hostKeys struct {
	target     Target
	db         *knownhosts.HostKeyDB // nil if no file exists
	algorithms []string              // types that known_hosts has come first, so that the server shows one of them
	// ask is called for a key of a server that known_hosts does not have; nil
	// means that it was accepted and written.
	ask func(*HostKeyError) error
	// accepted is the first key that was found good; a connection may show it
	// again later.
	accepted atomic.Pointer[string]
}

func readHostKeys(t Target) (*hostKeys, error) {
	h := &hostKeys{target: t}
	if files := existing(t.KnownHosts); len(files) > 0 {
		db, err := knownhosts.NewDB(files...)
		if err != nil {
			return nil, fmt.Errorf("known_hosts cannot be read: %w", err)
		}
		h.db = db
		for _, k := range db.HostKeys(h.lookup()) {
			if k.Cert {
				// The authority's own type says nothing about the host's.
				h.algorithms = append(h.algorithms, certificateTypes...)
				break
			}
		}
		for _, a := range db.HostKeyAlgorithms(h.lookup()) {
			if !slices.Contains(h.algorithms, a) {
				h.algorithms = append(h.algorithms, a)
			}
		}
	}
	// A server that has no key of a known type is asked for another all the
	// same: it is refused, and both fingerprints can be shown.
	for _, a := range shownFirst {
		if !slices.Contains(h.algorithms, a) {
			h.algorithms = append(h.algorithms, a)
		}
	}
	return h, nil
}

// shownFirst is what an unknown server is asked for: its Ed25519 key if it has
// one, as OpenSSH does, so that both show the same fingerprint.
var shownFirst = []string{
	ssh.KeyAlgoED25519, ssh.KeyAlgoECDSA256, ssh.KeyAlgoECDSA384, ssh.KeyAlgoECDSA521, ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256,
}

// certificateTypes are asked for where known_hosts has an authority.
var certificateTypes = []string{
	ssh.CertAlgoED25519v01, ssh.CertAlgoECDSA256v01, ssh.CertAlgoECDSA384v01, ssh.CertAlgoECDSA521v01,
	ssh.CertAlgoRSASHA512v01, ssh.CertAlgoRSASHA256v01,
}

// lookup is host:port as known_hosts is asked for it.
func (h *hostKeys) lookup() string {
	if h.target.KeyAlias != "" {
		return net.JoinHostPort(h.target.KeyAlias, "22")
	}
	return h.target.Address()
}

func (h *hostKeys) host() string { return xknownhosts.Normalize(h.lookup()) }

// verify is check, and remembers what was good.
func (h *hostKeys) verify(host string, remote net.Addr, key ssh.PublicKey) error {
	err := h.check(host, remote, key)
	if err == nil {
		k := plain(key)
		line := k.Type() + " " + base64.StdEncoding.EncodeToString(k.Marshal())
		h.accepted.CompareAndSwap(nil, &line)
	}
	return err
}

// check is called before the server learns anything about us.
func (h *hostKeys) check(_ string, remote net.Addr, key ssh.PublicKey) error {
	var err error = &xknownhosts.KeyError{}
	if h.db != nil {
		err = h.db.HostKeyCallback()(h.lookup(), remoteAddr(remote), key)
	}
	if err == nil {
		return nil
	}
	e := &HostKeyError{Host: h.host(), Fingerprint: ssh.FingerprintSHA256(plain(key)), KeyType: plain(key).Type(), key: key}
	_, certified := key.(*ssh.Certificate)
	var unknown *xknownhosts.KeyError
	var revoked *xknownhosts.RevokedError
	switch {
	case errors.As(err, &revoked), certified && strings.Contains(err.Error(), "revoked"):
		e.Revoked = true
	case certified:
		e.Certificate = printable(err.Error())
		e.Known = h.known()
	case errors.As(err, &unknown) && h.wantsCertificate(unknown.Want):
		e.Certificate = "it showed none"
		e.Known = h.known()
	case errors.As(err, &unknown):
		e.Known = places(unknown.Want)
		e.Accept = h.accept(key, len(unknown.Want) > 0)
		if len(unknown.Want) == 0 && h.ask != nil {
			return h.ask(e)
		}
	default:
		return err
	}
	return e
}

// wantsCertificate tells that known_hosts has only authorities for the server.
func (h *hostKeys) wantsCertificate(want []xknownhosts.KnownKey) bool {
	if len(want) == 0 {
		return false
	}
	for _, k := range h.db.HostKeys(h.lookup()) {
		if !k.Cert {
			return false
		}
	}
	return true
}

func plain(key ssh.PublicKey) ssh.PublicKey {
	if c, ok := key.(*ssh.Certificate); ok {
		return c.Key
	}
	return key
}

// known lists what known_hosts has for the server.
func (h *hostKeys) known() []KnownKey {
	var all []KnownKey
	if h.db == nil {
		return nil
	}
	for _, k := range h.db.HostKeys(h.lookup()) {
		what := k.Type()
		if k.Cert {
			what = "authority " + what
		}
		all = append(all, KnownKey{ssh.FingerprintSHA256(k), what, strings.Join(existing(h.target.KnownHosts), ", ")})
	}
	return all
}

// acceptHostKey asks a person, once, and writes the key down on a typed yes.
func (k *Keyring) acceptHostKey(ctx context.Context, t Target, e *HostKeyError) error {
	id := "host key " + e.Host + " " + e.Fingerprint
	declined := func() bool {
		k.mu.Lock()
		defer k.mu.Unlock()
		return k.given[id] != nil
	}
	if k.prompter == nil || declined() {
		return e
	}
	k.asking.Lock()
	defer k.asking.Unlock()
	if declined() {
		return e
	}
	// Somebody may have accepted it while this one waited.
	h, err := readHostKeys(t)
	if err != nil {
		return err
	}
	if err := h.check("", nil, e.key); err == nil {
		return nil
	} else if again := new(HostKeyError); errors.As(err, &again) && len(again.Known) > 0 {
		return again
	}
	yes, err := k.AcceptHostKey(ctx, e)
	if err != nil || !yes {
		_ = k.refuse(ctx, id, e)
		return e
	}
	if err := remember(h.file(), h.host(), e.key); err != nil {
		return &Error{Doing: "write down the key of", Where: e.Host, Err: err, Hint: e.Accept}
	}
	return nil
}

// accept is the shell command that makes key the known one.
func (h *hostKeys) accept(key ssh.PublicKey, changed bool) string {
	file := shellescape.Quote(h.file())
	cmd := "echo " + shellescape.Quote(keyLine(h.host(), key)) + " >> " + file
	if changed {
		cmd = "ssh-keygen -R " + shellescape.Quote(h.host()) + " -f " + file + " && " + cmd
	}
	return cmd
}

func keyLine(host string, key ssh.PublicKey) string {
	return host + " " + key.Type() + " " + base64.StdEncoding.EncodeToString(key.Marshal())
}

func (h *hostKeys) file() string {
	for _, f := range h.target.KnownHosts {
		if !strings.HasPrefix(f, "/etc/") {
			return f
		}
	}
	if len(h.target.KnownHosts) > 0 {
		return h.target.KnownHosts[0]
	}
	home, _ := os.UserHomeDir()
	return home + "/.ssh/known_hosts"
}

func places(want []xknownhosts.KnownKey) []KnownKey {
	var all []KnownKey
	for _, k := range want {
		all = append(all, KnownKey{ssh.FingerprintSHA256(k.Key), k.Key.Type(), fmt.Sprintf("%s:%d", k.Filename, k.Line)})
	}
	return all
}

// remoteAddr gives the checker something that it can parse; behind a jump host
// there is no such address.
func remoteAddr(a net.Addr) net.Addr {
	if a != nil {
		if _, _, err := net.SplitHostPort(a.String()); err == nil {
			return a
		}
	}
	return &net.TCPAddr{IP: net.IPv4zero}
}

package relay

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"horcrux/engine/model"
	"horcrux/engine/tether"
	"horcrux/engine/transport"
	"horcrux/engine/virt"
)

// Target is a node as the other one reaches it.
type Target interface {
	Node
	MigrateAddress() string
	MigratePort() int
}

// listenWithin is how long a listener on the source may take to be there.
const listenWithin = 10 * time.Second

// knockWithin is how long a login from the source to the target may take.
const knockWithin = 20 * time.Second

// clean is what a job's name may have, as it becomes part of scripts' data and
// of a line in authorized_keys.
var clean = regexp.MustCompile(`^[A-Za-z0-9]{1,64}$`)

// Tunnel carries the same as Relay from node to node: for each connection that
// QEMU or libvirt opens on the source, that host's ssh logs in to the target
// with a key that is made for this move, and that is good there for nothing but
// the move's sockets.
type Tunnel struct {
	job model.JobID
	src Node
	dst Target

	mu        sync.Mutex
	ciphers   string // what ssh may encrypt with, the best first; its own choice if empty
	shared    bool   // connections go over those that are open already
	from      *transport.Client
	listeners []*listener
	closed    bool
	noise     []string // what the shells of both say at every login
}

// listener is a command on the source that waits at one socket.
type listener struct {
	socket string
	stream transport.Stream
	stop   context.CancelFunc
	gone   chan struct{}
}

// NewTunnel makes a tunnel, which does nothing yet.
func NewTunnel(job model.JobID, src Node, dst Target) *Tunnel {
	return &Tunnel{job: job, src: src, dst: dst}
}

// Make makes the folders on both nodes: for sockets one of QEMU's user, for
// what lets the data in one of root's.
func (t *Tunnel) Make(ctx context.Context, dir string) error {
	if !clean.MatchString(string(t.job)) || dir != model.RelayDir(t.job) {
		return fmt.Errorf("cannot make %q: not the folder of job %q", dir, t.job)
	}
	for _, n := range []Node{t.src, t.dst} {
		if err := do(ctx, n, nil, "make the folder for the sockets", makeScript, dir, owner); err != nil {
			return err
		}
		if err := do(ctx, n, nil, "make the folder for the key", `umask 077 && mkdir -- "$1"`, keyDir(t.job)); err != nil {
			return err
		}
	}
	return nil
}

// Login gives the source a key and the target's own, as this machine knows it,
// and lets that key in at the target.
func (t *Tunnel) Login(ctx context.Context) error {
	// What the target shows to a login of ours has been compared with known_hosts.
	seen, err := t.dst.Login(ctx)
	if err != nil {
		return fmt.Errorf("cannot learn the host key of %s: %w", t.dst.Name(), err)
	}
	hostKey := seen.HostKey()
	_ = seen.Close()
	if hostKey == "" {
		return fmt.Errorf("cannot learn the host key of %s: the login showed none", t.dst.Name())
	}
	private, public, err := transport.NewKey(alias(t.job))
	if err != nil {
		return fmt.Errorf("cannot make a key for the move: %w", err)
	}
	k := keyDir(t.job)
	for _, f := range []struct {
		n    Node
		name string
		text []byte
	}{
		{t.src, "known_hosts", []byte(alias(t.job) + " " + hostKey + "\n")},
		{t.src, "key", private},
		{t.dst, "mark", []byte(marked(t.job) + "\n")},
		{t.dst, "in", []byte(inScript)},
	} {
		if err := do(ctx, f.n, bytes.NewReader(f.text), "write "+k+"/"+f.name, `umask 077 && set -C && cat >"$1"`, k+"/"+f.name); err != nil {
			return err
		}
	}
	if err := letIn(ctx, t.dst, t.job, public); err != nil {
		return err
	}
	t.ciphers = t.fast(ctx)
	if err := t.knock(ctx); err != nil {
		return err
	}
	from, err := t.src.Login(ctx)
	if err != nil {
		return fmt.Errorf("cannot open the connection that watches over the data: %w", err)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		_ = from.Close()
		return errClosed
	}
	t.from = from
	return nil
}

// cipherScript lists what ssh could encrypt with, if the CPU has AES.
const cipherScript = `grep -qw aes /proc/cpuinfo && ssh -Q cipher; :`

// fast puts AES-GCM before what ssh would take by itself: a CPU that has AES
// does it in half the time, and it is the CPU that bounds such a connection.
func (t *Tunnel) fast(ctx context.Context) string {
	ctx, cancel := context.WithTimeout(ctx, knockWithin)
	defer cancel()
	res, err := t.src.Exec(ctx, []string{"sh", "-c", cipherScript, "horcrux"}, nil)
	if err != nil {
		return ""
	}
	return ciphersOf(string(res.Stdout))
}

func ciphersOf(text string) string {
	has := strings.Fields(text)
	var out []string
	for _, c := range []string{
		"aes128-gcm@openssh.com", "aes256-gcm@openssh.com", "chacha20-poly1305@openssh.com", "aes128-ctr", "aes192-ctr", "aes256-ctr",
	} {
		if slices.Contains(has, c) {
			out = append(out, c)
		}
	}
	return strings.Join(out, ",")
}

// knock logs in once: what sshd on the target has against the source or the key
// is found before anything depends on it.
func (t *Tunnel) knock(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, knockWithin)
	defer cancel()
	what := fmt.Sprintf("cannot log in from %s to %s as root with a key of the move", t.src.Name(), t.dst.Name())
	next := fmt.Sprintf("let root of %s log in to %s (AllowUsers, Match and from= in sshd_config and PAM there), or use --path direct or relay", t.src.Name(), t.dst.Name())
	res, err := t.src.Exec(ctx, tether.Command(t.ssh("t", "-o", "ControlPath=none")...), tether.Heart(ctx))
	if err == nil {
		err = res.Failed("ssh")
	}
	if err != nil {
		return fmt.Errorf("%s: %w; %s", what, err, next)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for line := range strings.Lines(string(res.Stderr)) {
		if line = virt.Clean(strings.TrimSpace(line)); line != "" {
			t.noise = append(t.noise, line)
		}
	}
	return nil
}

// news is what was said less what the shells say at every login, of a locale
// that is not there perhaps: whoever listens for trouble does not mean that.
func news(said string, noise []string) string {
	for _, n := range noise {
		said = strings.ReplaceAll(said, n, "")
	}
	return strings.TrimSpace(said)
}

var errClosed = errors.New("the way from node to node is closed")

// waitScript waits for a socket and gives it to QEMU's user, as its folder is.
const waitScript = `i=0
while [ ! -S "$1" ]; do
[ $i -lt 100 ] || exit 1
sleep 0.1
i=$((i+1))
done
chown --reference="${1%/*}" -- "$1"`

// numbered is the name of a socket for one of the files that are copied.
var numbered = regexp.MustCompile(`^c[0-9]{1,3}$`)

// wordOf is what the key asks for to get to a socket: m, d, or the number of a
// file; empty for no socket of ours.
func wordOf(socket string) string {
	switch base := path.Base(socket); {
	case numbered.MatchString(base):
		return base
	case base[0] == 'm' || base[0] == 'd':
		return base[:1]
	}
	return ""
}

// Listen opens the sockets on the source. What their connections carry comes
// out of the target's sockets of the same names.
func (t *Tunnel) Listen(ctx context.Context, sockets ...string) error {
	for _, s := range sockets {
		word := wordOf(s)
		if path.Dir(s) != model.RelayDir(t.job) || word == "" || strings.ContainsAny(s, "\n\x00") {
			return fmt.Errorf("cannot listen at %q: not a socket of job %s", s, t.job)
		}
		if err := do(ctx, t.dst, strings.NewReader(s+"\n"), "write down the socket", `umask 077 && cat >"$1"`, keyDir(t.job)+"/"+word); err != nil {
			return err
		}
		if err := t.stay(ctx, s, t.command(s, word)); err != nil {
			return err
		}
	}
	return nil
}

// stay starts what waits at a socket on the source until Close or Leave.
func (t *Tunnel) stay(ctx context.Context, socket string, argv []string) error {
	t.mu.Lock()
	from, closed := t.from, t.closed
	t.mu.Unlock()
	if closed || from == nil {
		return errClosed
	}
	stream, err := from.Start(ctx, tether.Command(argv...))
	if err != nil {
		return fmt.Errorf("cannot listen at %s on %s: %w", socket, t.src.Name(), err)
	}
	l := &listener{socket: socket, stream: stream, stop: tether.Feed(stream), gone: make(chan struct{})}
	go func() {
		_, _ = io.Copy(io.Discard, stream)
		close(l.gone)
	}()
	t.mu.Lock()
	closed = t.closed
	if !closed {
		t.listeners = append(t.listeners, l)
	}
	t.mu.Unlock()
	if closed {
		l.end()
		return errClosed
	}
	ctx, cancel := context.WithTimeout(ctx, listenWithin+5*time.Second)
	defer cancel()
	if err := do(ctx, t.src, nil, "wait for "+socket, waitScript, socket); err != nil {
		if said := stream.Stderr(); said != "" {
			err = fmt.Errorf("%w; %s", err, virt.Clean(said))
		}
		return err
	}
	return nil
}

// command waits at a socket, and starts an ssh for each connection.
func (t *Tunnel) command(socket, word string) []string {
	argv := []string{"env", "SYSTEMD_LOG_LEVEL=err", "systemd-socket-activate", "--accept", "--inetd", "-l", socket}
	if !t.shared {
		return append(argv, t.ssh(word, "-o", "ControlMaster=no", "-o", "ControlPath=none")...)
	}
	argv = append(argv, "sh", "-c", overScript, keyDir(t.job))
	return append(argv, t.ssh(word, "-o", "ControlMaster=no")[1:]...)
}

// overScript takes the first connection that nobody uses. ssh closes what it
// inherits, so that it cannot hold the lock itself.
const overScript = `flock -n -E 99 "$0/x0.lock" ssh -S "$0/x0" "$@"
r=$?
[ $r -eq 99 ] || exit $r
exec ssh -S "$0/x1" "$@"`

// Share opens two connections for all that comes in later: what is short would
// spend more on its logins than on its data. Where one of them is gone, ssh logs
// in as it would have without.
func (t *Tunnel) Share(ctx context.Context) error {
	for _, x := range []string{"x0", "x1"} {
		control := keyDir(t.job) + "/" + x
		argv := t.ssh("t", "-M", "-N", "-S", control)
		if err := t.stay(ctx, control, argv); err != nil {
			return err
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.shared = true
	return nil
}

// ssh logs in from the source to the target.
func (t *Tunnel) ssh(word string, more ...string) []string {
	k := keyDir(t.job)
	argv := append([]string{"ssh", "-F", "none", "-T"}, more...)
	for _, o := range []string{
		// Nothing asks, nothing is forwarded, and only this key goes to only this host.
		"BatchMode=yes", "StrictHostKeyChecking=yes", "UserKnownHostsFile=" + k + "/known_hosts", "GlobalKnownHostsFile=none",
		marked(t.job), "CheckHostIP=no", "UpdateHostKeys=no", "IdentitiesOnly=yes", "IdentityAgent=none", "IdentityFile=" + k + "/key",
		"PreferredAuthentications=publickey", "ClearAllForwardings=yes", "EscapeChar=none",
		"ServerAliveInterval=15", "ServerAliveCountMax=8", "ConnectTimeout=10", "LogLevel=ERROR",
	} {
		argv = append(argv, "-o", o)
	}
	if t.ciphers != "" {
		argv = append(argv, "-o", "Ciphers="+t.ciphers)
	}
	return append(argv, "-p", strconv.Itoa(t.dst.MigratePort()), "-l", "root", "--", t.dst.MigrateAddress(), word)
}

// Leave stops listening at a socket, and ends its connections.
func (t *Tunnel) Leave(socket string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.listeners = slices.DeleteFunc(t.listeners, func(l *listener) bool {
		if l.socket != socket {
			return false
		}
		l.end()
		return true
	})
}

// Err is what went wrong, nil if nothing did.
func (t *Tunnel) Err() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.from == nil {
		return nil
	}
	if !t.closed && t.from.Err() != nil {
		return fmt.Errorf("the SSH connection to %s that watched over the data is gone: %w", t.src.Name(), t.from.Err())
	}
	for _, l := range t.listeners {
		said := news(virt.Clean(l.stream.Stderr()), t.noise)
		select {
		case <-l.gone:
			if !t.closed {
				return fmt.Errorf("%s stopped listening at %s: %s", t.src.Name(), l.socket, said)
			}
		default:
		}
		if said != "" {
			return fmt.Errorf("ssh from %s to %s said: %s", t.src.Name(), t.dst.Name(), said)
		}
	}
	return nil
}

// Close ends all that runs on the source. It may be called again.
func (t *Tunnel) Close() {
	t.mu.Lock()
	if t.closed {
		t.mu.Unlock()
		return
	}
	t.closed = true
	from, all := t.from, t.listeners
	t.mu.Unlock()
	for _, l := range all {
		l.end()
	}
	timer := time.NewTimer(closeWithin)
	defer timer.Stop()
	for _, l := range all {
		select {
		case <-l.gone:
		case <-timer.C: // a silent host; nothing of it is waited for
		}
	}
	if from != nil {
		_ = from.Close()
	}
}

func (l *listener) end() {
	l.stop()
	go func() { _ = l.stream.CloseWrite() }()
}

// do runs a constant script with data as its arguments.
func do(ctx context.Context, n Node, stdin io.Reader, what, script string, args ...string) error {
	res, err := n.Exec(ctx, append([]string{"sh", "-c", script, "horcrux"}, args...), stdin)
	if err == nil {
		err = res.Failed("sh")
	}
	if err != nil {
		return fmt.Errorf("cannot %s on %s: %w", what, n.Name(), err)
	}
	return nil
}

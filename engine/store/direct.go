package store

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"

	"horcrux/engine/tether"
	"horcrux/engine/virt"
)

// The ports of libvirt's own migrations: where they get through a firewall, so
// do we. libvirt takes them from below and tries each, so we begin above.
const (
	firstPort = 49152
	lastPort  = 49215
)

// reachWithin is how long a server may take to start and to be reached.
const reachWithin = 10 * time.Second

// direct carries data from the source to the target, over TCP or through a
// tunnel: a qemu-nbd on the target serves the partial file, qemu-img on the
// source writes to it.
type direct struct {
	c      *Copy
	host   string // the target's address as the source resolves it
	tunnel Tunnel // nil over TCP
	// probe is the server by which the way was tried; its file uses it.
	probe     *server
	probeFile *file
}

// server is a qemu-nbd that serves one partial file.
type server struct {
	guard  *guard
	port   string
	socket string // instead of a port
	export string
	leave  func() // stops listening on the source
}

func (s *server) release() {
	s.leave()
	s.guard.release()
}

// reaching says what was tried, for a person.
func (d *direct) reaching(port string) string {
	if d.tunnel != nil {
		return fmt.Sprintf("reach %s by SSH", d.c.dst.Name())
	}
	return "reach " + d.host + " port " + port
}

// servedScript waits until a server of NBD answers.
const servedScript = `i=0
while [ $i -lt 100 ]; do
qemu-img info "$1" >/dev/null 2>&1 && exit 0
sleep 0.05
i=$((i+1))
done
exec qemu-img info "$1"`

func (d *direct) words() string {
	if d.tunnel != nil {
		return fmt.Sprintf("from %s to %s by SSH of the nodes, with a key of this move", d.c.src.Name(), d.c.dst.Name())
	}
	return fmt.Sprintf("directly from %s to %s (%s) over TCP, not encrypted", d.c.src.Name(), d.c.dst.Name(), d.host)
}

// newDirect resolves the target's address where it will be used.
func newDirect(ctx context.Context, c *Copy) (*direct, error) {
	host := c.dst.MigrateAddress()
	if _, err := netip.ParseAddr(host); err != nil {
		if !c.srcTools.Has("getent") {
			return nil, fmt.Errorf("%s has no getent to resolve %s", c.src.Name(), host)
		}
		out, err := run(ctx, c.src, "resolve "+host, nil, "getent", "ahosts", "--", host)
		if err != nil {
			return nil, err
		}
		host, _, _ = strings.Cut(strings.TrimSpace(out), " ")
		if _, err := netip.ParseAddr(host); err != nil {
			return nil, fmt.Errorf("%s resolves %s to %q", c.src.Name(), c.dst.MigrateAddress(), virt.Clean(host))
		}
	}
	return &direct{c: c, host: host}, nil
}

// serve starts a server for a partial file and waits until the source reaches it.
func (d *direct) serve(ctx context.Context, f *file) (*server, error) {
	var id [8]byte
	if _, err := rand.Read(id[:]); err != nil {
		return nil, err
	}
	export := token(d.c.plan.Job) + "-" + hex.EncodeToString(id[:])
	if d.tunnel != nil {
		s, err := d.start(ctx, f, "", export)
		if err != nil && withoutAIO(f, err) {
			s, err = d.start(ctx, f, "", export)
		}
		return s, err
	}
	var last error
	for try := range 8 {
		n, err := rand.Int(rand.Reader, big.NewInt(lastPort-firstPort+1))
		if err != nil {
			return nil, err
		}
		port := strconv.FormatInt(lastPort-n.Int64()*int64(min(try+1, 2))/2, 10)
		s, err := d.start(ctx, f, port, export)
		if err == nil {
			return s, nil
		}
		last = err
		if withoutAIO(f, err) {
			continue
		}
		if !strings.Contains(err.Error(), "Address already in use") {
			break
		}
	}
	return nil, last
}

// withoutAIO tells that a server was built without Linux's AIO, and does without.
func withoutAIO(f *file, err error) bool {
	if !strings.Contains(err.Error(), "aio=native") {
		return false
	}
	f.cacheMode = []string{"--cache=none"}
	return true
}

// try serves a file to see whether the way can be gone; it is used from then on.
func (d *direct) try(ctx context.Context, f *file) error {
	s, err := d.serve(ctx, f)
	if err != nil {
		return err
	}
	d.probe, d.probeFile = s, f
	d.c.direct = d
	return nil
}

func (d *direct) start(ctx context.Context, f *file, port, export string) (*server, error) {
	what := "serve " + f.partial + " for the copy"
	node := d.c.dst
	s := &server{port: port, export: export, leave: func() {}}
	argv := []string{"qemu-nbd", "-f", "raw", "-t", "-e", "16", "-x", export, "--discard=unmap"}
	if d.tunnel != nil {
		s.socket = d.tunnel.Socket()
		argv = append(argv, "-k", s.socket)
	} else {
		argv = append(argv, "-b", d.host, "-p", port)
	}
	argv = append(argv, f.cacheMode...)
	stream, err := node.Start(ctx, tether.Command(append(argv, "--", f.partial)...))
	if err != nil {
		return nil, &lineError{what, string(node.Name()), err}
	}
	s.guard = keep(stream)
	go func() {
		b := make([]byte, 256)
		for {
			if _, err := stream.Read(b); err != nil {
				close(s.guard.gone)
				return
			}
		}
	}()
	image, err := asJSON(d.nbd(s))
	if err != nil {
		return nil, err
	}
	// The server's own node tells whether it is up, the source whether it is reached.
	for _, n := range []Node{node, d.c.src} {
		command := []string{"sh", "-c", servedScript, "horcrux-copy", image}
		if n != node && d.tunnel != nil {
			if err := d.tunnel.Listen(ctx, s.socket); err != nil {
				s.release()
				return nil, err
			}
			s.leave = func() { d.tunnel.Leave(s.socket) }
			// The server is up: a login that is refused once is not to be repeated.
			command = []string{"qemu-img", "info", image}
		}
		asked, cancel := context.WithTimeout(ctx, reachWithin)
		answer := make(chan error, 1)
		go func() {
			_, err := runSupervised(asked, n, d.reaching(port), command...)
			answer <- err
		}()
		select {
		case err = <-answer:
		case <-s.guard.gone:
			err = &runError{what, string(node.Name()), virt.Clean(stream.Stderr()), 1}
		}
		if err != nil && asked.Err() != nil && ctx.Err() == nil {
			err = &runError{d.reaching(port), string(n.Name()), "no answer within " + reachWithin.String() + "; a firewall perhaps", 1}
		}
		cancel()
		if err != nil {
			err = d.withSSH(err)
			s.release()
			return nil, err
		}
	}
	return s, nil
}

// withSSH adds to an error what SSH complained of.
func (d *direct) withSSH(err error) error {
	if d.tunnel == nil {
		return err
	}
	if said := d.tunnel.Err(); said != nil {
		return fmt.Errorf("%w; %w", err, said)
	}
	return err
}

func (d *direct) nbd(s *server) map[string]any {
	if s.socket != "" {
		return map[string]any{"driver": "nbd", "export": s.export, "server": map[string]any{"type": "unix", "path": s.socket}}
	}
	return map[string]any{
		"driver": "nbd", "export": s.export,
		"server": map[string]any{"type": "inet", "host": d.host, "port": s.port},
	}
}

// directFile carries one file.
type directFile struct {
	*direct
	file *file

	mu     sync.Mutex
	server *server
}

func (d *direct) open(_ context.Context, f *file) (carrier, error) {
	c := &directFile{direct: d, file: f}
	if f == d.probeFile {
		c.server = d.probe
	}
	return c, nil
}

// end ends the server of the probe, if its file never came to its turn.
func (d *direct) end() {
	if d.probe != nil {
		d.probe.release()
	}
}

func (f *directFile) close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.server != nil {
		f.server.release()
		f.server = nil
	}
}

func (f *directFile) up(ctx context.Context) (*server, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.server != nil {
		return f.server, nil
	}
	s, err := f.serve(ctx, f.file)
	if err == nil {
		f.server = s
	}
	return s, err
}

// put sends a window, piece by piece, and the source's hash of it is made
// meanwhile, while its bytes are in memory.
func (f *directFile) put(ctx context.Context, w window, again bool) (string, error) {
	s, err := f.up(ctx)
	if err != nil {
		return "", err
	}
	type answer struct {
		sum string
		err error
	}
	hashed := make(chan answer, 1)
	ctx, cancel := context.WithCancel(ctx)
	var hashing sync.WaitGroup
	defer hashing.Wait()
	defer cancel()
	hashing.Go(func() {
		sum, err := f.c.srcHash.sum(ctx, f.file.Source, w, readCached)
		hashed <- answer{sum, err}
	})
	for rest := w; len(rest.extents) > 0; {
		p := rest.pieces(f.c.pace.piece())
		began := time.Now()
		if err := f.send(ctx, s, p[0], again); err != nil {
			return "", err
		}
		took := time.Since(began)
		f.c.pace.took(p[0].bytes(), took)
		f.c.copied(f.file, p[0].bytes())
		if err := f.c.pace.rest(ctx, p[0].bytes(), took); err != nil {
			return "", err
		}
		rest.extents = nil
		for _, q := range p[1:] {
			rest.extents = append(rest.extents, q.extents...)
		}
	}
	a := <-hashed
	return a.sum, a.err
}

// send writes a piece. On a fresh file only data are sent; over what may be
// there from before, zeros too.
func (f *directFile) send(ctx context.Context, s *server, w window, again bool) error {
	part := func(under map[string]any) map[string]any {
		return map[string]any{"driver": "raw", "offset": w.off(), "size": w.end() - w.off(), "file": under}
	}
	from, err1 := asJSON(part(map[string]any{"driver": "file", "filename": f.file.Source}))
	to, err2 := asJSON(part(f.nbd(s)))
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	argv := []string{"qemu-img", "convert", "-q", "-n", "-W", "-m", "8", "-t", "writeback", "-O", "raw"}
	if !again {
		argv = append(argv, "--target-is-zero")
	}
	if rate := f.c.pace.share(); rate > 0 {
		argv = append(argv, "-r", strconv.FormatUint(rate, 10))
	}
	_, err := runSupervised(ctx, f.c.src, fmt.Sprintf("send %s at %d to %s", f.file.Source, w.off(), f.c.dst.Name()), append(argv, from, to)...)
	var failed *runError
	if errors.As(err, &failed) {
		if full(failed.why) {
			return fmt.Errorf("%w: %w", errFull, &runError{"write " + f.file.partial, string(f.c.dst.Name()), failed.why, 1})
		}
		return fmt.Errorf("%w: %w", errHelper, f.withSSH(err))
	}
	return err
}

var errFull = errors.New("the target has no space left")

// full tells whether an error text is about a full disk.
func full(text string) bool {
	return strings.Contains(text, "No space left") || strings.Contains(text, "Disk quota exceeded") || strings.Contains(text, "File too large")
}
